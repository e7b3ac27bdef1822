"""TensorBoard: event files in the run's folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard.writer import SummaryWriter

from limbeck.trackers.tracker import Run, Tracker

FOLDER = "tensorboard"


class TensorBoard(Tracker):
    """A folder for each training, so that the curves of equal names lie over one another.

    The event files are written anew at every start: what was not yet on the disk when a process was killed is there
    again, and nothing is there twice.
    """

    def start(self, run: Run) -> str:
        self._folder: Path = run.folder / FOLDER
        self._writers: dict[str, SummaryWriter] = {}
        shutil.rmtree(self._folder, ignore_errors=True)
        recipe = json.dumps(run.recipe, indent=2)
        self._writer(".").add_text("recipe", "\n".join(f"    {line}" for line in recipe.splitlines()))
        self._writer(".").flush()
        return f"tensorboard --logdir {self._folder}"

    def has(self, stage: str, told: int) -> int:
        return 0

    def log(self, stage: str, epoch: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._writer(stage).add_scalar(name, value, epoch)
        self._writer(stage).flush()

    def result(self, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._writer(".").add_scalar(f"result/{name}", value, 0)

    def artifact(self, path: Path) -> None:
        """The event files lie beside them."""

    def close(self, finished: bool) -> None:
        for writer in self._writers.values():
            writer.close()

    def _writer(self, stage: str) -> SummaryWriter:
        if stage not in self._writers:
            self._writers[stage] = SummaryWriter(str(self._folder / stage))
        return self._writers[stage]
