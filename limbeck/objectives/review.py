"""Knowledge review: a stage of the student, with the deeper ones fused into it, learns from one of the teacher's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.models.maps import enough_to_normalise
from limbeck.objectives.adapters import same_maps
from limbeck.objectives.checks import same_shape
from limbeck.objectives.features import Featured, features
from limbeck.objectives.objective import Known
from limbeck.objectives.outputs import Batch, Outputs

_WIDEST = 512
_POOLS = (4, 2, 1)


def hcl_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """The hierarchical context loss of Chen et al., "Distilling Knowledge via Knowledge Review" (CVPR 2021).

    The mean squared difference of the maps, and of the maps average-pooled to 4x4, 2x2 and 1x1, weighted 1, 1/2, 1/4
    and 1/8, over the sum of the weights used. A pool that is not smaller than the map is skipped, and the next one
    takes its weight, as in the authors' code. Zero where the maps are equal. Stages are summed; the weight of 5 goes
    with that sum. No gradient flows into the teacher.

    Args:
        student: (B, C, H, W) maps (one of `Review`'s).
        teacher: (B, C, H, W) maps.

    Returns:
        a scalar, float32, 0 or more; independent of the batch size.

    Raises:
        LimbeckError: maps that are not (B, C, H, W), or that differ in shape.
    """
    same_maps(student, teacher)
    same_shape(student, teacher, "maps")
    difference = student.float() - teacher.detach().float()  # pooling is linear: once for both
    pools = [pool for pool in _POOLS if pool < min(difference.shape[2:])]
    levels = [difference, *(F.adaptive_avg_pool2d(difference, pool) for pool in pools)]
    weights = [0.5**level for level in range(len(levels))]
    total = torch.stack([weight * level.square().mean() for weight, level in zip(weights, levels, strict=True)]).sum()
    return total / sum(weights)


class Review(nn.Module):
    """What ReviewKD learns: to fuse, from the deepest stage to the shallowest, what came from deeper into each map.

    Each stage is brought to a common width by a 1x1 convolution; what comes from the deeper ones is resized to it,
    and the two are added with weights for each pixel from a 1x1 convolution and a sigmoid on both (attention-based
    fusion). The result, at the teacher's size, goes on to the next stage, and through a 3x3 convolution to the
    teacher's channels. The convolutions to a width are without bias and batch-normalised; sizes change by the nearest
    pixel.

    Args:
        student_shapes: (C, H, W) of the student's maps, from the shallowest to the deepest; a vector of D numbers is
            (D, 1, 1).
        teacher_shapes: (C, H, W) of the teacher's, as many.
        width: channels inside; None: as many as the deepest student's map has, at most 512.

    Raises:
        LimbeckError: no stages, not as many of the one as of the other, or shapes that are not (C, H, W).
    """

    def __init__(
        self,
        student_shapes: Sequence[tuple[int, ...]],
        teacher_shapes: Sequence[tuple[int, ...]],
        width: int | None = None,
    ) -> None:
        super().__init__()
        if not student_shapes or len(student_shapes) != len(teacher_shapes):
            raise LimbeckError(
                f"{len(student_shapes)} of the student's stages and {len(teacher_shapes)} of the teacher's cannot be "
                "compared: there must be as many of each, and at least one. Tap one stage of the teacher for each."
            )
        if wrong := [tuple(shape) for shape in (*student_shapes, *teacher_shapes) if len(shape) != 3]:
            raise LimbeckError(
                f"knowledge review fuses maps, not features of shape {wrong[0]}: for one picture they must be "
                "(channels, height, width). Tap a convolution; write a vector's shape as (D, 1, 1)."
            )
        inside = min(_WIDEST, student_shapes[-1][0]) if width is None else width
        deepest = len(student_shapes) - 1
        self.stages = nn.ModuleList(
            _Fusion(ours[0], inside, theirs, fuses=depth < deepest)
            for depth, (ours, theirs) in enumerate(zip(student_shapes, teacher_shapes, strict=True))
        )

    def forward(self, student: Sequence[Tensor]) -> list[Tensor]:
        """The student's maps, shallowest first, to maps of the teacher's shapes, in the same order.

        Raises:
            LimbeckError: another number of maps than of stages, or one value a channel while training.
        """
        if len(student) != len(self.stages):
            raise LimbeckError(
                f"{len(student)} maps for {len(self.stages)} stages: give one for each, shallowest first."
            )
        reviewed: list[Tensor] = []
        deeper: Tensor | None = None
        for stage, maps in zip(reversed(self.stages), reversed(student), strict=True):
            out, deeper = stage(maps.float(), deeper)
            reviewed.append(out)
        return reviewed[::-1]


class _Fusion(nn.Module):
    """One stage: its map and what came from deeper, to a map for the teacher's and what goes on."""

    def __init__(self, channels: int, inside: int, teacher_shape: tuple[int, ...], fuses: bool) -> None:
        super().__init__()
        wanted, *self.size = teacher_shape
        self.enter = _normalised(nn.Conv2d(channels, inside, 1, bias=False))
        self.leave = _normalised(nn.Conv2d(inside, wanted, 3, padding=1, bias=False))
        self.attend = nn.Sequential(nn.Conv2d(2 * inside, 2, 1), nn.Sigmoid()) if fuses else None

    def forward(self, maps: Tensor, deeper: Tensor | None) -> tuple[Tensor, Tensor]:
        enough_to_normalise(maps, self)
        inside = self.enter(maps)
        if self.attend is not None and deeper is not None:
            deeper = _resized(deeper, list(maps.shape[2:]))
            here, there = self.attend(torch.cat([inside, deeper], 1)).split(1, 1)
            inside = inside * here + deeper * there
        inside = _resized(inside, self.size)
        enough_to_normalise(inside, self)
        return self.leave(inside), inside


def _normalised(convolution: nn.Conv2d) -> nn.Sequential:
    nn.init.kaiming_uniform_(convolution.weight, a=1)
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels))


def _resized(maps: Tensor, size: list[int]) -> Tensor:
    return maps if list(maps.shape[2:]) == size else F.interpolate(maps, size, mode="nearest")


class ReviewKD(Featured):
    """Knowledge review (Chen et al., CVPR 2021): `hcl_loss` summed over the stages."""

    name: Literal["review"] = "review"
    weight: float = Field(5.0, ge=0, description="Weight of the teacher's term.")
    width: int | None = Field(
        None, ge=1, description="Channels inside; none: as many as the deepest map has, at most 512."
    )
    warmup: float = Field(20.0, ge=0, description="Epochs over which the teacher's term grows from 0.")

    def learned(self, known: Known) -> nn.Module:
        ours, theirs = zip(*self.shapes(known), strict=True)
        return Review(ours, theirs, self.width)

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        pairs = zip(learned(features(student.taps)), features(teacher.taps), strict=True)
        part = torch.stack([hcl_loss(ours, theirs) for ours, theirs in pairs]).sum()
        return part * batch.ramp(self.warmup)
