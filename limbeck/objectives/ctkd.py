"""Distillation with a temperature that is learned against the student, more so as the training goes on."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from limbeck.objectives.checks import above_zero, same_shape
from limbeck.objectives.logits import divergence
from limbeck.objectives.objective import Known, Taught
from limbeck.objectives.outputs import Batch, Outputs
from limbeck.objectives.promises import promises


@promises("least", "shift", "batch", "temperature")
def ctkd_loss(student: Tensor, teacher: Tensor, temperature: Tensor) -> Tensor:
    """The loss of Li et al., "Curriculum Temperature for Knowledge Distillation" (AAAI 2023): `kd_loss` at a learned T.

    T² · mean over the batch of KL(softmax(teacher / T) ‖ softmax(student / T)), in nats. The gradient reaches T through
    both softmaxes and through T², as in the released code; none reaches the teacher's logits.

    Args:
        student: (B, C) logits.
        teacher: (B, C) logits.
        temperature: T, a 0-d tensor above 0, from `LearnedTemperature`. Its value is not checked: that would make
            every step wait for the device.

    Returns:
        a scalar, float32, 0 or more.

    Raises:
        LimbeckError: shapes that differ.
    """
    same_shape(student, teacher)
    temperature = temperature.float()
    log_student = F.log_softmax(student.float() / temperature, dim=1)
    log_teacher = F.log_softmax(teacher.detach().float() / temperature, dim=1)
    return temperature.square() * divergence(log_student, log_teacher).mean()


class LearnedTemperature(nn.Module):
    """The global temperature of CTKD (Li et al., AAAI 2023): T = lowest + span · sigmoid(θ), with θ learned from 1 on.

    Between θ and its use lies a reversal of the gradient (Ganin and Lempitsky, ICML 2015): whatever lowers the loss for
    the student raises it for θ. The paper's other variant, a temperature for each picture, is not here.

    Args:
        lowest: T where θ goes to minus infinity, above 0.
        span: how far above that T may go, above 0.

    Raises:
        LimbeckError: a lowest or span that is not above 0.
    """

    def __init__(self, lowest: float = 1.0, span: float = 20.0) -> None:
        super().__init__()
        above_zero(lowest, "lowest", example=1)
        above_zero(span, "span", example=20)
        self.lowest, self.span = lowest, span
        self.theta = nn.Parameter(torch.ones(()))

    def forward(self, reversal: Tensor | float = 1.0) -> Tensor:
        """The temperature, a 0-d float32 tensor; θ's gradient is multiplied by -reversal (see `reversal_weight`)."""
        theta = self.theta.float()
        fixed = theta.detach()
        return self.lowest + self.span * torch.sigmoid(fixed - reversal * (theta - fixed))


def reversal_weight(epoch: Tensor | float, epochs: float = 10.0) -> Tensor:
    """The curriculum of CTKD: how much of the reversed gradient the temperature gets, rising from 0 to 1 as a cosine.

    (1 - cos(π · epoch / epochs)) / 2, and 1 from ``epochs`` on. The released code changes it once an epoch and counts
    from 1: `floor(epoch) + 1` gives just that.

    Args:
        epoch: epochs since the start of the training, with fractions; a number or a 0-d tensor.
        epochs: how long it rises, above 0.

    Returns:
        a scalar in [0, 1], float32.

    Raises:
        LimbeckError: epochs that are not above 0.
    """
    above_zero(epochs, "epochs", example=10)
    share = torch.as_tensor(epoch, dtype=torch.float32) / epochs
    return (1 - torch.cos(math.pi * share.clamp(0, 1))) / 2


class CTKD(Taught):
    """Curriculum temperature (Li et al., AAAI 2023): `ctkd_loss` at a learned T."""

    name: Literal["ctkd"] = "ctkd"
    weight: float = Field(0.9, ge=0, description="Weight of the teacher's term.")
    labels: float = Field(0.1, ge=0, description="Weight of the labels' term.")
    lowest: float = Field(1.0, gt=0, description="Lowest temperature.")
    span: float = Field(20.0, gt=0, description="How far above that it may go.")
    epochs: float = Field(10.0, gt=0, description="Epochs over which the reversed gradient grows to its whole.")

    def learned(self, known: Known) -> nn.Module:
        return LearnedTemperature(self.lowest, self.span)

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        reversal = reversal_weight(batch.epoch.floor() + 1, self.epochs)
        return ctkd_loss(student.logits, teacher.logits, learned(reversal))
