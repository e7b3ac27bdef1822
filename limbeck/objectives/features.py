"""The base of the objectives that compare features: which submodules of the two networks, and in what pairs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.models.ensemble import Ensemble
from limbeck.models.normalised import plain
from limbeck.objectives.adapters import adapt
from limbeck.objectives.objective import Known, Taps, Taught
from limbeck.objectives.outputs import Batch, Outputs
from limbeck.objectives.taps import Probe

Where = Literal["stages", "middle", "last", "rectifiers", "embedding"]


class Featured(Taught):
    """Base of the objectives that compare what passes through submodules of the student and of the teacher.

    Without a path given, `where` chooses by the shapes: every stage (the last map of each size), the middle or the
    last one, what goes into the stages' rectifiers, or what goes into the classifier. Stages are paired by their sizes.
    """

    where: ClassVar[Where] = "stages"
    student_taps: tuple[str, ...] = Field((), description="Submodules of the student, by dotted path; none: by shape.")
    teacher_taps: tuple[str, ...] = Field((), description="Submodules of the teacher, in the same order.")

    @model_validator(mode="after")
    def _as_many(self) -> Self:
        ours, theirs = self.student_taps, self.teacher_taps
        if self._paired() and len(ours) != len(theirs):
            raise ValueError(
                f"student_taps names {len(ours)} submodules and teacher_taps {len(theirs)}, but they are compared in "
                "pairs; give as many of each, or none for a choice by shape"
            )
        for taps in (ours, theirs):
            if len(set(taps)) != len(taps):
                raise ValueError(f"{', '.join(taps)} names a submodule twice")
        return self

    def taps(self, known: Known) -> Taps:
        if not self.weight:
            return (), ()
        student, teacher = known.student, known.teacher
        if isinstance(plain(known.teacher_network), Ensemble) and not self.teacher_taps:  # type: ignore[arg-type]
            raise LimbeckError(
                f"{self.name} compares features, and there are several teachers, each with its own. Name one's "
                "submodules with student_taps and teacher_taps (members.0...), or learn from their logits, as kd does."
            )
        ours = self.student_taps or _chosen(student, self.where)
        theirs = self.teacher_taps or _chosen(teacher, self.where)
        for network, probed, paths in (
            ("student", student, ours),
            ("teacher", teacher, theirs),
        ):
            if not paths:
                raise LimbeckError(
                    f"{self.name} finds no maps in the {network} to compare. Name submodules with student_taps and "
                    f"teacher_taps; there are {', '.join(list(probed.outputs)[:8])}, ..."
                )
        if self.student_taps or not self._paired():
            return ours, theirs
        ours, theirs = paired(student, ours, teacher, theirs)
        if self.where == "middle":
            middle = len(ours) // 2
            return ours[middle : middle + 1], theirs[middle : middle + 1]
        return ours, theirs

    def shapes(self, known: Known) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """The shapes, without the batch, of what is compared: (the student's, the teacher's), in the order of the taps.

        Raises:
            LimbeckError: a path names no submodule.
        """
        ours, theirs = self.taps(known)
        student = [_shape(known.student, path, self.where) for path in ours]
        return list(zip(student, [_shape(known.teacher, path, self.where) for path in theirs], strict=False))

    def _paired(self) -> bool:
        return True


class Staged(Featured):
    """Base of the objectives that compare each pair of features by itself: the sum of `stage` over the pairs."""

    def adapter(self, ours: tuple[int, ...], theirs: tuple[int, ...]) -> nn.Module:
        """What is learned for a pair of these shapes: by default, what brings the student's to the teacher's."""
        return adapt(ours, theirs)

    def stage(self, ours: Tensor, theirs: Tensor, adapter: nn.Module, later: int) -> Tensor:
        """The loss of one pair: a float32 scalar.

        Args:
            ours: the student's, (B, ...).
            theirs: the teacher's, (B, ...).
            adapter: the pair's.
            later: how many pairs come after it.
        """
        raise NotImplementedError

    def learned(self, known: Known) -> nn.Module:
        return nn.ModuleList(self.adapter(*pair) for pair in self.shapes(known))

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        stages = list(zip(features(student.taps), features(teacher.taps), learned.children(), strict=True))
        return torch.stack([self.stage(*stage, len(stages) - n) for n, stage in enumerate(stages, start=1)]).sum()


def features(taps: dict[str, Tensor]) -> list[Tensor]:
    """What was tapped, in order."""
    return list(taps.values())


def pooled(tap: Tensor) -> Tensor:
    """(B, D) of maps (B, D, H, W), averaged over the pixels; of tokens (B, N, D), over them; of (B, D) as it is."""
    if tap.ndim == 4:
        return tap.float().mean(dim=(2, 3))
    return tap.float().mean(dim=1) if tap.ndim == 3 else tap.float()


def paired(
    student: Probe, ours: tuple[str, ...], teacher: Probe, theirs: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """As many places of the one network as of the other, in their order, so that the maps' sizes differ least.

    Where not all of them are maps, the longer list is thinned out evenly, and keeps its last.
    """
    count = min(len(ours), len(theirs))
    shapes = [[student.shape(path) for path in ours], [teacher.shape(path) for path in theirs]]
    if any(len(shape) != 3 for some in shapes for shape in some):
        return _thinned(ours, count), _thinned(theirs, count)

    def differ(pair: tuple[Sequence[int], Sequence[int]]) -> float:
        sizes = zip([shapes[0][i] for i in pair[0]], [shapes[1][i] for i in pair[1]], strict=True)
        return sum(abs(math.log(a[1] * a[2] / (b[1] * b[2]))) for a, b in sizes)

    choices = itertools.product(
        itertools.combinations(range(len(ours)), count), itertools.combinations(range(len(theirs)), count)
    )
    best = min(choices, key=differ)
    return tuple(ours[i] for i in best[0]), tuple(theirs[i] for i in best[1])


def _thinned(paths: tuple[str, ...], count: int) -> tuple[str, ...]:
    return tuple(paths[(number + 1) * len(paths) // count - 1] for number in range(count))


def _chosen(network: Probe, where: Where) -> tuple[str, ...]:
    if where == "embedding":
        return (network.embedding(),)
    if where == "rectifiers":
        return tuple(dict.fromkeys(network.before_relu()))
    stages = network.stages()
    return stages[-1:] if where == "last" else stages


def _shape(network: Probe, path: str, where: Where) -> tuple[int, ...]:
    shape = network.shape(path)
    if where != "embedding":
        return shape
    return shape[:1] if len(shape) == 3 else shape[-1:]
