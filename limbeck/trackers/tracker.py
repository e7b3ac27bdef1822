"""What a tracker is, and which there are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from limbeck.errors import unknown

TRACKERS = {"tensorboard": "TensorBoard", "wandb": "WandB", "mlflow": "MLflow", "trackio": "Trackio"}
"""By the name that is typed, which is also that of the package, of the extra, and of the module here: the class."""
PROJECT = "limbeck"  # where a tracker keeps runs together, unless its own settings name another
RESULT = "result"  # stands among the stages where it is told what the run came to
EXAMPLE = "limbeck run RECIPE --tracker tensorboard"


class Run(NamedTuple):
    """The run that is followed.

    Attributes:
        id: the folder's first name and some characters more; it is kept in the folder, wherever that is moved, and is
            another for every other folder, on any machine.
        name: the folder's.
        recipe: as recipe.json has it.
        folder: the run folder.
    """

    id: str
    name: str
    recipe: Mapping[str, Any]
    folder: Path


class Tracker(ABC):
    """Somebody who is told what happens in a run; made without arguments.

    Whatever one raises once the run has begun is caught: it is told nothing more.
    """

    @abstractmethod
    def start(self, run: Run) -> str | None:
        """Takes up the run, or begins it; says where it can be looked at, if it knows."""

    def has(self, stage: str, told: int) -> int:
        """How many of the first ``told`` epochs of a training, told in earlier starts, it has; asked after `start`.

        One that keeps things on their way for a while may have lost some when a process was killed.
        """
        return told

    @abstractmethod
    def log(self, stage: str, epoch: int, figures: Mapping[str, float]) -> None:
        """One epoch, from 1, of one training ("teacher", "seed0/distilled"): the figures of metrics.jsonl."""

    @abstractmethod
    def result(self, figures: Mapping[str, float]) -> None:
        """What the run ended with: the means and half-widths of its summary, "digits/accuracy/gain"."""

    @abstractmethod
    def artifact(self, path: Path) -> None:
        """A small file of the run's folder, for those that keep files."""

    @abstractmethod
    def close(self, finished: bool) -> None:
        """The end of this start of the run, which is the last one where the run is finished."""


def refuse_unknown(name: str) -> str:
    """The name of a tracker, if it is one.

    Raises:
        LimbeckError: it is none.
    """
    if name not in TRACKERS:
        raise unknown("tracker", name, TRACKERS, f"A recipe is typed before it: {EXAMPLE}")
    return name
