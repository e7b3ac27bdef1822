"""How a teacher's answers come to a student's views, as a recipe says it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from pydantic import SerializeAsAny
from torch import nn

from limbeck.spec import Family
from limbeck.teachers.live import LiveTeacher
from limbeck.teachers.stored import StoredLogits
from limbeck.training.device import Engine
from limbeck.training.loop import LabelsViews


class Labelling(Family):
    """Base of the ways to ask a teacher: a subclass has a ``name`` and `build`.

    Attributes:
        replays: whether a later training on the same views is spared the teacher.
    """

    replays: ClassVar[bool] = False

    def build(self, network: nn.Module, engine: Engine, folder: Path, pictures: int) -> LabelsViews:
        """Who labels views for a training.

        Args:
            network: the teacher, on the engine's device.
            engine: device and precision to call it with.
            folder: where answers may be kept until the run is complete.
            pictures: size of the training set.
        """
        raise NotImplementedError


class Live(Labelling):
    """Asks the teacher about every view, in every training."""

    name: Annotated[Literal["live"], tyro.conf.Suppress] = "live"

    def build(self, network: nn.Module, engine: Engine, folder: Path, pictures: int) -> LabelsViews:
        return LiveTeacher(network, engine)


class Stored(Labelling):
    """Asks the teacher about each view once, and keeps its answers for all seeds, rounded to half precision."""

    name: Annotated[Literal["stored"], tyro.conf.Suppress] = "stored"
    replays: ClassVar[bool] = True

    def build(self, network: nn.Module, engine: Engine, folder: Path, pictures: int) -> LabelsViews:
        return StoredLogits(LiveTeacher(network, engine), folder, pictures)


AnyLabelling = SerializeAsAny[Labelling]
