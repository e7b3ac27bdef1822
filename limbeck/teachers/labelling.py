"""How a teacher's answers come to a student's views, as a recipe says it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import SerializeAsAny
from torch import nn

from limbeck.errors import LimbeckError
from limbeck.spec import Family
from limbeck.teachers.live import LiveTeacher
from limbeck.teachers.stored import StoredLogits
from limbeck.training.device import Engine
from limbeck.training.loop import LabelsViews


class Labelling(Family):
    """Base of the ways to ask a teacher: a subclass has a ``name`` and `build`."""

    def build(
        self, network: nn.Module, engine: Engine, folder: Path, pictures: int, taps: tuple[str, ...] = ()
    ) -> LabelsViews:
        """Who labels views for a training.

        Args:
            network: the teacher, on the engine's device.
            engine: device and precision to call it with.
            folder: where answers may be kept until the run is complete.
            pictures: size of the training set.
            taps: submodules of the teacher whose outputs the objective needs.

        Raises:
            LimbeckError: features are needed, and this way cannot give them.
        """
        raise NotImplementedError


class Live(Labelling):
    """Asks the teacher about every view, in every training."""

    name: Literal["live"] = "live"

    def build(
        self, network: nn.Module, engine: Engine, folder: Path, pictures: int, taps: tuple[str, ...] = ()
    ) -> LabelsViews:
        return LiveTeacher(network, engine, taps)


class Stored(Labelling):
    """Asks the teacher about each view once, and keeps its answers for all seeds, rounded to half precision."""

    name: Literal["stored"] = "stored"

    def build(
        self, network: nn.Module, engine: Engine, folder: Path, pictures: int, taps: tuple[str, ...] = ()
    ) -> LabelsViews:
        if taps:
            raise LimbeckError(
                f"logits = 'stored' keeps a teacher's logits, but the objective needs features ({', '.join(taps)}). "
                "Type --logits live"
            )
        return StoredLogits(LiveTeacher(network, engine), folder, pictures)


AnyLabelling = SerializeAsAny[Labelling]
