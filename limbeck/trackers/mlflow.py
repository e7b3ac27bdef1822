"""MLflow, as its own environment variables say: MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME, ..."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

# A server that is gone must not hold a training up: left alone, every call would try again for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

import mlflow
from mlflow.entities import Metric, Param

from limbeck.recipes.fields import leaves
from limbeck.trackers.tracker import PROJECT, Run, Tracker

_TAG = "limbeck.run"
_PARAMETERS = 100  # at a time, as MLflow takes them
_LONGEST = 6000  # characters of a parameter's value


class MLflow(Tracker):
    """One MLflow run, found again by its tag; metrics are "teacher/loss" over epochs."""

    def start(self, run: Run) -> str:
        self._client = mlflow.MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
        known = self._client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else self._client.create_experiment(name)
        found = self._client.search_runs([experiment], f"tags.`{_TAG}` = '{run.id}'", max_results=1)
        if found:
            self._id = found[0].info.run_id
            self._client.set_terminated(self._id, "RUNNING")
        else:
            self._id = self._client.create_run(experiment, run_name=run.name, tags={_TAG: run.id}).info.run_id
            parameters = [Param(path, str(value)[:_LONGEST]) for path, value in leaves(run.recipe).items()]
            for place in range(0, len(parameters), _PARAMETERS):
                self._client.log_batch(self._id, params=parameters[place : place + _PARAMETERS])
        return f"{mlflow.get_tracking_uri()}, run {self._id} of experiment {name}"

    def log(self, stage: str, epoch: int, figures: Mapping[str, float]) -> None:
        self._log(figures, f"{stage}/", epoch)

    def result(self, figures: Mapping[str, float]) -> None:
        self._log(figures, "result/", 0)

    def artifact(self, path: Path) -> None:
        self._client.log_artifact(self._id, str(path))

    def close(self, finished: bool) -> None:
        self._client.set_terminated(self._id, "FINISHED" if finished else "KILLED")

    def _log(self, figures: Mapping[str, float], above: str, step: int) -> None:
        now = int(1000 * time.time())
        metrics = [Metric(f"{above}{name}", value, now, step) for name, value in figures.items()]
        self._client.log_batch(self._id, metrics=metrics)
