"""What an objective is: a typed description that turns the two networks' outputs into named, weighted loss terms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from pydantic import SerializeAsAny
from torch import Tensor, nn

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
