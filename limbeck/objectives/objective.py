"""What an objective is: a typed description that turns the two networks' outputs into named, weighted loss terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from pydantic import SerializeAsAny
from torch import Tensor, nn

from limbeck import own
from limbeck.errors import LimbeckError
from limbeck.spec import Family


@dataclass
class Outputs:
    """What a network said about some pictures.

    Attributes:
        logits: (B, C).
        taps: outputs of submodules, by dotted path, for the objectives that ask for them.
    """

    logits: Tensor
    taps: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class Batch:
    """What was shown, and when.

    Attributes:
        index: (B,) int64, the pictures' places in the training set.
        images: (B, 3, H, W) float views in [0, 1].
        labels: (B,) int64; -1 where unlabelled.
        step: 0-d float, optimizer steps taken so far.
        epoch: 0-d float, epochs seen so far, with fractions.
        progress: 0-d float, from 0 at the start of the training to 1 at its end.
        mix: how the pictures were mixed, where they were.
    """

    index: Tensor
    images: Tensor
    labels: Tensor
    step: Tensor
    epoch: Tensor
    progress: Tensor
    mix: Tensor | None = None


class Objective(Family):
    """Base of the objectives. A new one is a subclass with a ``name`` and a `forward`.

    An objective without parameters of its own needs nothing else. One that learns (adapters, critics) overrides
    `build` and returns a module of its own with the same `forward`.
    """

    needs_teacher: ClassVar[bool] = False

    def forward(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        """The weighted terms of the loss by name, each a float32 scalar; their sum is what is minimised."""
        raise NotImplementedError

    def build(self) -> nn.Module:
        """The module that training calls, with whatever it learns as parameters."""
        return _Stateless(self)


AnyObjective = SerializeAsAny[Objective]


class _Stateless(nn.Module):
    """An objective that learns nothing, as a module."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self._objective = objective

    def forward(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        return self._objective.forward(student, teacher, batch)


def total(parts: dict[str, Tensor]) -> Tensor:
    """The sum of an objective's parts: what training minimises."""
    return torch.stack(list(parts.values())).sum()


def rehearse(
    objective: Objective,
    student: Outputs,
    teacher: Outputs | None,
    batch: Batch,
    place: Callable[[nn.Module], nn.Module] = lambda module: module,
) -> None:
    """Builds an objective, calls it once as training will, and throws what was built away.

    Torch's random state is left as it was.

    Args:
        objective: the description.
        student, teacher: what the networks might say of ``batch``.
        batch: any pictures.
        place: moves what is built to the device.

    Raises:
        LimbeckError: it fails, or what it returns cannot be trained with; the message names its class and file.
    """
    kind = type(objective)
    who = f"objective {objective.name!r} (class {kind.__name__} in {own.file(kind)})"
    if kind.forward is Objective.forward and kind.build is Objective.build:
        raise LimbeckError(f"{who} has no forward. {_WANTED}")
    logits = student.logits.detach().requires_grad_()
    try:
        with torch.random.fork_rng(devices=[logits.device] if logits.is_cuda else []), own.blamed(objective):
            module = objective.build()
            if not isinstance(module, nn.Module):
                raise LimbeckError(f"{who}: build returned {_described(module)}, not a torch.nn.Module.")
            parts = place(module)(Outputs(logits, student.taps), teacher, batch)
            if wrong := _unusable(parts):
                raise LimbeckError(f"{who}: forward returned {wrong}. {_WANTED}")
            total(parts).backward()
    except LimbeckError:
        raise
    except Exception as error:
        raise LimbeckError(f"{who} cannot be used: {own.said(error)}. {_WANTED}") from error


_WANTED = (
    "forward(student, teacher, batch) must return a dictionary of named losses, each a float tensor without "
    "dimensions that depends on student.logits, for example {'mine': loss}; their sum is minimised."
)


def _unusable(parts: object) -> str | None:
    """What is wrong with an objective's terms, worded to follow "returned"; None where nothing is."""
    if not isinstance(parts, dict) or not parts:
        return _described(parts)
    for name, part in parts.items():
        if not isinstance(name, str):
            return f"a dictionary with the name {name!r}, which is no text"
        if not isinstance(part, Tensor) or part.ndim or not part.is_floating_point():
            return f"{name!r} as {_described(part)}"
    return None if total(parts).requires_grad else "losses that do not depend on student.logits"


def _described(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and type {str(value.dtype).removeprefix('torch.')}"
    if value is None or (isinstance(value, dict) and not value):
        return repr(value)
    return f"{type(value).__name__} {' '.join(repr(value).split()):.60}"
