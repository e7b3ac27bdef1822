"""Relational distillation: distances between pictures, and angles between three of them."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.objectives.checks import same_shape
from limbeck.objectives.features import Featured, Where, features, pooled
from limbeck.objectives.outputs import Batch, Outputs
from limbeck.objectives.promises import promises

_COINCIDE = 1e-5  # share of the mean distance below which float32 knows no direction from one picture to the other


@promises("least")
def rkd_distance_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """The distance-wise loss of Park, Kim, Lu and Cho, "Relational Knowledge Distillation" (CVPR 2019).

    The smooth L1 difference (Huber, δ = 1) of the two networks' Euclidean distances between pictures, each network's
    divided by their mean over the pairs of two different pictures. The mean is over all B² pairs, i = j included, as in
    the released code, where its weight is 25; the paper writes the sum. Zero at equal features, unchanged when either
    side's features are moved, rotated or scaled as a whole. It depends on who else is in the batch.

    Equal features have the distance 0 and get no gradient through it; where all are equal, every distance is 0.

    Args:
        student: (B, ...) features, of any shape behind the batch, B of 2 or more.
        teacher: (B, ...) features of the same pictures; no gradient flows into them.

    Returns:
        a scalar, float32, 0 or more.

    Raises:
        LimbeckError: batches that differ in size, or a batch of one picture.
    """
    said, wanted = _distances(_rows(student)), _distances(_rows(teacher.detach()))
    same_shape(said, wanted, "distances of the pictures")
    return F.smooth_l1_loss(said / _mean(said), wanted / _mean(wanted))


@promises("least")
def rkd_angle_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """The angle-wise loss of Park, Kim, Lu and Cho, "Relational Knowledge Distillation" (CVPR 2019).

    The smooth L1 difference (Huber, δ = 1) of the two networks' cosines of the angle at picture i between the ways to j
    and to k. The mean is over all B³ triples, those with equal pictures included, as in the released code, where its
    weight is 50; the paper writes the sum over triples of different pictures. Zero at equal features, unchanged when
    either side's features are moved, rotated or scaled as a whole. It depends on who else is in the batch. Takes memory
    in proportion to B²·D + B³.

    Where two pictures coincide (nearer than 1e-5 of the mean distance), there is no way from one to the other: the
    cosine counts as 0, and the pair gets no gradient through it.

    Args:
        student: (B, ...) features, of any shape behind the batch, B of 2 or more.
        teacher: (B, ...) features of the same pictures; no gradient flows into them.

    Returns:
        a scalar, float32, 0 or more.

    Raises:
        LimbeckError: batches that differ in size, or a batch of one picture.
    """
    said, wanted = _angles(_rows(student)), _angles(_rows(teacher.detach()))
    same_shape(said, wanted, "angles of the pictures")
    return F.smooth_l1_loss(said, wanted)


def _rows(features: Tensor) -> Tensor:
    if len(features) < 2:
        raise LimbeckError(
            f"a batch of {len(features)} picture has no pairs, and relational distillation compares pairs. "
            "Use a batch size that leaves 2 or more pictures in the last batch."
        )
    return features.float().flatten(1)


def _distances(rows: Tensor) -> Tensor:
    # From the differences: through dot products, float32 loses the distances of pictures that are near each other.
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")


def _mean(distances: Tensor) -> Tensor:
    """Over the pairs of two different pictures; 1 where all distances are 0."""
    count = len(distances)
    mean = distances.sum() / (count * (count - 1))
    return torch.where(mean > 0, mean, 1.0)


def _angles(rows: Tensor) -> Tensor:
    """(B, B, B) cosines of the angle at picture i between the ways to j and k."""
    distances = _distances(rows)
    apart = distances > _COINCIDE * _mean(distances.detach())
    ways = (rows[None, :] - rows[:, None]) / torch.where(apart, distances, 1.0)[:, :, None]
    ways = torch.where(apart[:, :, None], ways, 0.0)
    with torch.autocast(rows.device.type, enabled=False):
        return ways @ ways.transpose(1, 2)


class RKD(Featured):
    """Relational distillation (Park et al., CVPR 2019): (distances and angles)."""

    name: Literal["rkd"] = "rkd"
    relates: ClassVar[bool] = True
    where: ClassVar[Where] = "embedding"
    distance: float = Field(25.0, ge=0, description="Weight of the distances' part.")
    angle: float = Field(50.0, ge=0, description="Weight of the angles' part; it takes memory as the cube of a batch.")

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        (ours,), (theirs,) = features(student.taps), features(teacher.taps)
        ours, theirs = pooled(ours), pooled(theirs)
        parts = [self.distance * rkd_distance_loss(ours, theirs)] if self.distance else []
        parts += [self.angle * rkd_angle_loss(ours, theirs)] if self.angle else []
        return torch.stack(parts).sum()
