"""Weights & Biases, as its own environment variables say: WANDB_API_KEY, WANDB_PROJECT, WANDB_MODE=offline, ..."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import wandb

from limbeck.trackers.tracker import PROJECT, RESULT, Run, Tracker


class WandB(Tracker):
    """One W&B run; each training's curves are over its own epochs.

    Offline, a start writes its files anew as long as none was synchronised: those of a process that was killed lack
    what it had not yet written.
    """

    def start(self, run: Run) -> str:
        self._folder = run.folder
        earlier = list(run.folder.glob(f"wandb/offline-run-*-{run.id}"))
        self._synchronised = any(True for folder in earlier for _ in folder.glob("*.synced"))
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            id=run.id,
            name=run.name,
            resume="allow",
            config=dict(run.recipe),
            dir=str(run.folder),
            settings=wandb.Settings(silent=True, console="off", disable_git=True, init_timeout=30),
        )
        self._stages: set[str] = set()
        if self._run.offline:
            for folder in [] if self._synchronised else earlier:
                shutil.rmtree(folder, ignore_errors=True)
            return f"offline; wandb sync {run.folder}/wandb/offline-run-*"
        return str(self._run.url)

    def has(self, stage: str, told: int) -> int:
        if self._run.offline:
            return told if self._synchronised else 0
        return 0 if stage == RESULT else int(self._run.summary.get(f"{stage}/epoch") or 0)

    def log(self, stage: str, epoch: int, figures: Mapping[str, float]) -> None:
        if stage not in self._stages:
            self._stages.add(stage)
            self._run.define_metric(f"{stage}/*", step_metric=f"{stage}/epoch")
        self._run.log({f"{stage}/epoch": epoch, **{f"{stage}/{name}": value for name, value in figures.items()}})

    def result(self, figures: Mapping[str, float]) -> None:
        self._run.summary.update({f"result/{name}": value for name, value in figures.items()})

    def artifact(self, path: Path) -> None:
        self._run.save(str(path), base_path=str(self._folder), policy="now")

    def close(self, finished: bool) -> None:
        self._run.finish(exit_code=0 if finished else 1)
