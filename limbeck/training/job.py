"""One network's training, described."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from limbeck.data.dataset import Dataset
from limbeck.data.views import Views
from limbeck.objectives import Outputs
from limbeck.training.device import Engine
from limbeck.training.optim import Train


class LabelsViews(Protocol):
    """What the loop asks of a teacher, however it answers (live, stored, several)."""

    def outputs(self, index: Tensor, views_NCHW: Tensor, epoch: int) -> Outputs:
        """What the teacher says of these uint8 views of these pictures in this epoch; on the views' device."""


@dataclass
class Job:
    """One network's training.

    Attributes:
        network: takes float pictures in [0, 1]; on the engine's device.
        objective: a module, `Objective.build()`.
        teacher: who labels the views; None where the objective needs nobody.
        pictures: the training set, on the engine's device.
        views, train, engine: how.
        seed: of order and dropout. Initial weights are the network's own.
        view_seed: of the views.
        folder: where checkpoint.pt and metrics.jsonl are kept.
        identity: what this training is; a checkpoint of another one is refused.
        taps: submodules of the network whose outputs the objective needs.
        evaluate: called with the network that would be kept, after every epoch; its figures join the metrics.
        progress: told (steps done, a short note) while training.
        recorded: told the rows of metrics.jsonl, all that there are, whenever they and their checkpoint are written.
    """

    network: nn.Module
    objective: nn.Module
    teacher: LabelsViews | None
    pictures: Dataset
    views: Views
    train: Train
    engine: Engine
    seed: int
    view_seed: int
    folder: Path
    identity: str
    taps: tuple[str, ...] = ()
    evaluate: Callable[[nn.Module], dict[str, float]] = lambda network: {}
    progress: Callable[[int, str], None] = lambda steps, note: None
    recorded: Callable[[list[dict[str, Any]]], None] = lambda rows: None

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch; the last batch may be smaller than the others."""
        return -(-len(self.pictures) // self.train.batch_size)
