"""Trackio, as its own environment variables say: TRACKIO_DIR, TRACKIO_SPACE_ID, TRACKIO_SERVER_URL, ..."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path

import trackio
from trackio.sqlite_storage import SQLiteStorage

from limbeck.trackers.tracker import PROJECT, RESULT, Run, Tracker


class Trackio(Tracker):
    """One Trackio run in the project limbeck; metrics are "teacher/loss" over epochs."""

    def start(self, run: Run) -> str:
        with contextlib.redirect_stdout(io.StringIO()):  # it introduces itself at length
            self._run = trackio.init(
                PROJECT,
                name=run.id,
                config=dict(run.recipe),
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        return f"trackio show --project {PROJECT}, run {run.id}"

    def has(self, stage: str, told: int) -> int:
        """What is in the local store: Trackio writes there twice a second, and a kill comes in between."""
        if self._run.url is not None:
            return told  # a server's is not asked
        rows = SQLiteStorage.get_logs(PROJECT, self._run.name)
        if stage == RESULT:
            return int(any(name.startswith(f"{RESULT}/") for row in rows for name in row))
        return max((row["step"] for row in rows if f"{stage}/loss" in row), default=0)

    def log(self, stage: str, epoch: int, figures: Mapping[str, float]) -> None:
        self._run.log({f"{stage}/{name}": value for name, value in figures.items()}, step=epoch)

    def result(self, figures: Mapping[str, float]) -> None:
        self._run.log({f"result/{name}": value for name, value in figures.items()}, step=0)

    def artifact(self, path: Path) -> None:
        """Trackio keeps files by project, not by run: the run's folder has them."""

    def close(self, finished: bool) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            trackio.finish()  # not the run's own, which would leave the exit handler one more to finish
