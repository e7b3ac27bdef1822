"""The flow of solution procedure: how a network's channels at one stage go together with those at the next."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.objectives.adapters import adapt
from limbeck.objectives.checks import same_shape
from limbeck.objectives.features import Featured, features
from limbeck.objectives.objective import Known
from limbeck.objectives.outputs import Batch, Outputs


def fsp_loss(
    student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor], form: Literal["released", "paper"] = "released"
) -> Tensor:
    """The FSP loss of Yim et al., "A Gift from Knowledge Distillation" (CVPR 2017).

    The FSP matrix of two stages of one network holds, for each channel of the earlier and each of the later, the mean
    over the pixels of their product. "released" is the mean over pictures and entries of the squared difference of the
    student's matrix and the teacher's, which the weight of 50 goes with; "paper" sums over the entries instead. Zero
    where the matrices are equal. The student may see another number of pixels than the teacher. No gradient flows into
    the teacher.

    Args:
        student: the maps (B, C1, H, W) of an earlier stage and (B, C2, H', W') of a later one.
        teacher: the same of the teacher, with the same C1 and C2.
        form: see above.

    Returns:
        a scalar, float32, 0 or more; independent of the batch size.

    Raises:
        LimbeckError: maps that are not (B, C, H, W), or channels or batches that differ.
    """
    ours, theirs = fsp_matrix(*student), fsp_matrix(*(stage.detach() for stage in teacher))
    same_shape(ours, theirs, "FSP matrices (batch, earlier channels, later channels)")
    squares = (ours - theirs).square()
    return squares.mean() if form == "released" else squares.sum((1, 2)).mean()


def fsp_matrix(earlier: Tensor, later: Tensor) -> Tensor:
    """The mean over the pixels of each product of two channels, one of either stage.

    (B, C1, H, W) and (B, C2, H', W') to (B, C1, C2), float32. Where their sizes differ, both are brought to the
    smaller height and width by average pooling.

    Raises:
        LimbeckError: stages that are not maps, or of different batches.
    """
    if earlier.ndim != 4 or later.ndim != 4 or len(earlier) != len(later):
        raise LimbeckError(
            f"stages {tuple(earlier.shape)} and {tuple(later.shape)} do not fit: both must be (batch, channels, "
            "height, width), of the same pictures. Tap two convolutions of one network."
        )
    size = min(earlier.shape[2], later.shape[2]), min(earlier.shape[3], later.shape[3])
    one, other = (_pooled(stage.float(), size).flatten(2) for stage in (earlier, later))
    with torch.autocast(earlier.device.type, enabled=False):
        return one @ other.transpose(1, 2) / one.shape[2]


def _pooled(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return maps if tuple(maps.shape[2:]) == size else F.adaptive_avg_pool2d(maps, size)


class FSP(Featured):
    """A gift from knowledge distillation (Yim et al., CVPR 2017): the FSP matrices.

    Of every two stages that follow each other; a stage whose channels differ from the teacher's gets a learned 1x1
    convolution. The paper trains with it before the labels; here both are learned together.
    """

    name: Literal["fsp"] = "fsp"
    weight: float = Field(50.0, ge=0, description="Weight of the teacher's term.")
    form: Literal["released", "paper"] = Field("released", description="The authors' code, or the paper's formula.")

    def learned(self, known: Known) -> nn.Module:
        shapes = self.shapes(known)
        if len(shapes) < 2:
            raise LimbeckError("fsp compares two stages that follow each other, but finds one. Name more of each.")
        return nn.ModuleList(adapt(ours, (theirs[0], *ours[1:])) for ours, theirs in shapes)

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        ours = [adapter(tap) for adapter, tap in zip(learned.children(), features(student.taps), strict=True)]
        pairs = zip(pairwise(ours), pairwise(features(teacher.taps)), strict=True)
        return torch.stack([fsp_loss(one, other, self.form) for one, other in pairs]).sum()
