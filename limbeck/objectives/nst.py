"""Neuron selectivity transfer: the student's channels are distributed over the pixels as the teacher's are."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from limbeck.objectives.adapters import adapt, same_maps
from limbeck.objectives.features import Staged


def nst_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Huang and Wang, "Like What You Like: Knowledge Distill via Neuron Selectivity Transfer" (2017).

    Each channel, scaled to length 1 over its pixels, is one sample; the loss is the squared maximum mean discrepancy
    between the student's channels and the teacher's with the polynomial kernel k(a, b) = (a · b)²: mean k(t, t) +
    mean k(s, s) - 2 mean k(s, t), averaged over pictures. It does not depend on the sign, the scale or the order of the
    channels. The paper weighs it by λ/2; the weight of 50 of the public comparisons goes with the value as it is here.
    No gradient flows into the teacher.

    Args:
        student: (B, C_s, H, W) maps.
        teacher: (B, C_t, H, W) maps; the number of channels may differ.

    Returns:
        a scalar, float32, 0 or more up to rounding; independent of the batch size.

    Raises:
        LimbeckError: maps that are not (B, C, H, W), or whose batches or pixels differ.
    """
    same_maps(student, teacher)
    ours, theirs = (F.normalize(maps.float().flatten(2), dim=2) for maps in (student, teacher.detach()))
    with torch.autocast(student.device.type, enabled=False):
        return _mean_kernel(theirs, theirs) + _mean_kernel(ours, ours) - 2 * _mean_kernel(ours, theirs)


def _mean_kernel(one: Tensor, other: Tensor) -> Tensor:
    """The mean of (a · b)² over pictures, the channels a of one and b of the other; both (B, C, P)."""
    (batch, channels, pixels), others = one.shape, other.shape[1]
    if pixels < min(channels, others):  # the sum over channels as one over pairs of pixels: the smaller matrices
        total = ((one.transpose(1, 2) @ one) * (other.transpose(1, 2) @ other)).sum()
    else:
        total = (one @ other.transpose(1, 2)).square().sum()
    return total / (batch * channels * others)


class NST(Staged):
    """Neuron selectivity transfer (Huang and Wang 2017): the sum over stages."""

    name: Literal["nst"] = "nst"
    weight: float = Field(50.0, ge=0, description="Weight of the teacher's term.")

    def adapter(self, ours: tuple[int, ...], theirs: tuple[int, ...]) -> nn.Module:
        return adapt(ours, (ours[0], *theirs[1:]))

    def stage(self, ours: Tensor, theirs: Tensor, adapter: nn.Module, later: int) -> Tensor:
        return nst_loss(adapter(ours), theirs)
