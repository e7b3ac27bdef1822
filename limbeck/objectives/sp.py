"""Similarity-preserving distillation: pictures that the teacher finds alike, the student finds alike."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from limbeck.objectives.checks import same_shape
from limbeck.objectives.features import Staged, Where
from limbeck.objectives.promises import promises


@promises("least")
def sp_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """The loss of Tung and Mori, "Similarity-Preserving Knowledge Distillation" (ICCV 2019).

    ‖Ĝ_s - Ĝ_t‖²_F / B², where G = F·Fᵀ holds the dot products of every two pictures' flattened features and Ĝ is G with
    each row divided by its L2 norm. Nothing of the features but their similarities is compared, so the two networks'
    widths and sizes are free. Zero at equal features, unchanged when either side's features are rotated or scaled as a
    whole. It depends on who else is in the batch, and shrinks roughly as 1/B. Paper and released code agree; the
    weight published with it is 3000.

    A picture whose features are all zero has a row of zeros in Ĝ, and gets no gradient through it.

    Args:
        student: (B, ...) features, of any shape behind the batch.
        teacher: (B, ...) features of the same pictures; no gradient flows into them.

    Returns:
        a scalar, float32, 0 or more; 0 for a batch of one picture that is not zero on one side only.

    Raises:
        LimbeckError: batches that differ in size.
    """
    similarities, wanted = gram(student), gram(teacher.detach())
    same_shape(similarities, wanted, "similarities of the pictures")
    return (unit_rows(similarities) - unit_rows(wanted)).square().mean()


def gram(features: Tensor) -> Tensor:
    """The (B, B) dot products of the flattened (B, ...) features, in float32 even where autocast is on."""
    with torch.autocast(features.device.type, enabled=False):
        rows = features.float().flatten(1)
        return rows @ rows.T


def unit_rows(rows: Tensor) -> Tensor:
    """Each row of (N, D) divided by its L2 norm; a row of zeros stays zero and gets a gradient of zero."""
    squared = rows.square().sum(dim=1, keepdim=True)
    nonzero = squared > 0
    # Two masks: the inner one keeps the infinite slope at 0 out of the backward pass, where inf · 0 would be nan.
    return torch.where(nonzero, rows / torch.where(nonzero, squared, 1.0).sqrt(), 0.0)


class SP(Staged):
    """Similarity-preserving distillation (Tung and Mori, ICCV 2019): the last stage's."""

    name: Literal["sp"] = "sp"
    relates: ClassVar[bool] = True
    where: ClassVar[Where] = "last"
    weight: float = Field(3000.0, ge=0, description="Weight of the teacher's term.")

    def adapter(self, ours: tuple[int, ...], theirs: tuple[int, ...]) -> nn.Module:
        return nn.Identity()

    def stage(self, ours: Tensor, theirs: Tensor, adapter: nn.Module, later: int) -> Tensor:
        return sp_loss(ours, theirs)
