"""Variational information distillation: how well the student's maps tell the teacher's."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.objectives.adapters import adapt
from limbeck.objectives.checks import same_shape
from limbeck.objectives.features import Staged

_LEAST = 1e-5


def vid_loss(
    student: Tensor, teacher: Tensor, variance: Tensor, form: Literal["released", "paper"] = "released"
) -> Tensor:
    """Ahn et al., "Variational Information Distillation for Knowledge Transfer" (CVPR 2019).

    The teacher's map is taken for a draw from a Gaussian about what the student predicts, with a learned variance σ²
    for each channel; the loss is its negative log-likelihood without the constant, ½ [(student - teacher)² / σ² + log
    σ²]. "released" is its mean over all elements, which the weight of 1 goes with; "paper" sums each picture's
    elements and averages over the batch. It may be negative, and equal maps do not make it 0. No gradient flows into
    the teacher.

    Args:
        student: (B, C, H, W), what the student predicts the teacher's maps to be (`Variational`).
        teacher: (B, C, H, W) maps.
        variance: (C,), σ², above 0 (`Variational.variance`).
        form: see above.

    Returns:
        a scalar, float32; independent of the batch size.

    Raises:
        LimbeckError: maps whose shapes differ, or that are not (B, C, H, W); another number of variances than of
            channels.
    """
    same_shape(student, teacher, "maps")
    if student.ndim != 4 or variance.shape != student.shape[1:2]:
        raise LimbeckError(
            f"maps {tuple(student.shape)} and variances {tuple(variance.shape)} do not fit: maps must be (batch, "
            "channels, height, width), with one variance for each channel. Take both from one Variational."
        )
    spread = variance.float()[:, None, None]
    surprise = (student.float() - teacher.detach().float()).square() / spread + spread.log()
    return surprise.mean() / 2 if form == "released" else surprise.flatten(1).sum(1).mean() / 2


class Variational(nn.Module):
    """What VID learns: the mean of the teacher's map given the student's, and a variance for each of its channels.

    The mean is three 1x1 convolutions with ReLU between them and as many channels inside as the teacher has, on maps
    pooled to the teacher's size; σ² = softplus(``log_scale``) + 1e-5, with ``log_scale`` a parameter like any other.

    Args:
        student_shape: (C, H, W) of the student's map.
        teacher_shape: (C, H, W) of the teacher's map.
        variance: σ² at the start; above 1e-5.

    Raises:
        LimbeckError: shapes that are not (C, H, W), or a variance that is too small.
    """

    def __init__(self, student_shape: tuple[int, ...], teacher_shape: tuple[int, ...], variance: float = 5.0) -> None:
        super().__init__()
        if len(student_shape) != 3 or len(teacher_shape) != 3:
            raise LimbeckError(
                f"VID compares maps, not features of shape {tuple(student_shape)} and {tuple(teacher_shape)}: for one "
                "picture both must be (channels, height, width). Tap a convolution."
            )
        if not variance > _LEAST:
            raise LimbeckError(f"variance = {variance} is not possible: it must be above {_LEAST}. Try 5.")
        before, channels = student_shape[0], teacher_shape[0]
        self.mean = nn.Sequential(
            adapt(student_shape, (before, *teacher_shape[1:])),
            nn.Conv2d(before, channels, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1, bias=False),
        )
        raw = variance - _LEAST
        # The inverse of softplus, written so that a large variance does not overflow.
        self.log_scale = nn.Parameter(torch.full((channels,), raw + math.log(-math.expm1(-raw))))

    def forward(self, student: Tensor) -> Tensor:
        """(B, *student_shape) to the means (B, *teacher_shape)."""
        mean: Tensor = self.mean(student.float())
        return mean

    @property
    def variance(self) -> Tensor:
        """(C,), σ² for each of the teacher's channels, above 0; with its gradient."""
        return F.softplus(self.log_scale) + _LEAST


class VID(Staged):
    """Variational information distillation (Ahn et al., CVPR 2019): sum over stages."""

    name: Literal["vid"] = "vid"
    variance: float = Field(5.0, gt=0, description="σ² at the start; it is learned.")
    form: Literal["released", "paper"] = Field("released", description="The authors' code, or the paper's formula.")

    def adapter(self, ours: tuple[int, ...], theirs: tuple[int, ...]) -> nn.Module:
        return Variational(ours, theirs, self.variance)

    def stage(self, ours: Tensor, theirs: Tensor, adapter: nn.Module, later: int) -> Tensor:
        assert isinstance(adapter, Variational)
        return vid_loss(adapter(ours), theirs, adapter.variance, self.form)
