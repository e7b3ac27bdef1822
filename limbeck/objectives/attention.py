"""Attention transfer: the student looks where the teacher looks."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from limbeck.objectives.adapters import adapt, same_maps
from limbeck.objectives.features import Staged


def attention_loss(student: Tensor, teacher: Tensor, form: Literal["released", "paper"] = "released") -> Tensor:
    """Activation-based attention transfer of Zagoruyko and Komodakis, "Paying More Attention to Attention" (ICLR 2017).

    A map's attention is the mean over its channels of the squared activations, scaled to length 1 over the pixels.
    "released" is what the authors' code computes, and what the weight of 1000 goes with: the mean over pictures and
    pixels of the squared difference of the two attentions. "paper" is half the length of their difference, averaged
    over pictures. Neither depends on the sign or the scale of a map, nor on the order of its channels. Stages are
    summed. No gradient flows into the teacher.

    Args:
        student: (B, C_s, H, W) maps.
        teacher: (B, C_t, H, W) maps; the number of channels may differ.
        form: see above.

    Returns:
        a scalar, float32, 0 or more; independent of the batch size. A map of 1x1 pixels has one attention only, and the
        loss is 0.

    Raises:
        LimbeckError: maps that are not (B, C, H, W), or whose batches or pixels differ.
    """
    same_maps(student, teacher)
    difference = attention(student) - attention(teacher.detach())
    if form == "released":
        return difference.square().mean()
    return torch.linalg.vector_norm(difference, dim=1).mean() / 2


def attention(maps: Tensor) -> Tensor:
    """Where a map is active: (B, C, H, W) to (B, H·W), float32, of length 1 (0 for a map of zeros)."""
    return F.normalize(maps.float().square().mean(1).flatten(1), dim=1)


class AttentionTransfer(Staged):
    """Attention transfer (Zagoruyko and Komodakis, ICLR 2017): the sum over stages."""

    name: Literal["attention"] = "attention"
    weight: float = Field(1000.0, ge=0, description="Weight of the teacher's term.")
    form: Literal["released", "paper"] = Field("released", description="The authors' code, or the paper's formula.")

    def adapter(self, ours: tuple[int, ...], theirs: tuple[int, ...]) -> nn.Module:
        return adapt(ours, (ours[0], *theirs[1:]))

    def stage(self, ours: Tensor, theirs: Tensor, adapter: nn.Module, later: int) -> Tensor:
        return attention_loss(adapter(ours), theirs, self.form)
