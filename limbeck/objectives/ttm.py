"""Matching a transformed teacher: only the teacher is softened, by a power of its probabilities."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from limbeck.objectives.checks import above_zero, same_shape
from limbeck.objectives.logits import divergence
from limbeck.objectives.objective import Taught
from limbeck.objectives.outputs import Batch, Outputs
from limbeck.objectives.promises import promises


@promises("shift", "batch")
def ttm_loss(student: Tensor, teacher: Tensor, gamma: float = 0.1) -> Tensor:
    """The loss of Zheng and Yang, "Knowledge Distillation Based on Transformed Teacher Matching" (ICLR 2024), TTM.

    With t = softmax(teacher) and q = t^gamma / Σ t^gamma, the mean over the batch of KL(q ‖ softmax(student)), in nats.
    That is `kd_loss` with a temperature 1 / gamma on the teacher alone, and without T². Zero where the student says q,
    not where the logits are equal (unless gamma is 1). No gradient flows into the teacher.

    The published weight (45 for one pair on CIFAR-100) is left to the caller.

    Args:
        student: (B, C) logits.
        teacher: (B, C) logits.
        gamma: the power, above 0; smaller is softer, 1 leaves the teacher as it is.

    Returns:
        a scalar, float32, 0 or more.

    Raises:
        LimbeckError: shapes that differ, or a gamma that is not above 0.
    """
    divergence, _ = _matching(student, teacher, gamma)
    return divergence.mean()


@promises("shift", "batch")
def wttm_loss(student: Tensor, teacher: Tensor, gamma: float = 0.1) -> Tensor:
    """The weighted form of Zheng and Yang's transformed teacher matching (ICLR 2024), WTTM.

    Each picture's divergence of `ttm_loss` is weighed by Σ t^gamma, which for gamma below 1 is 1 where the teacher is
    certain and grows to C^(1 - gamma) where it knows nothing; then the mean over the batch. The weights are not
    normalised: the size of the loss grows with the classes. No gradient flows into the teacher.

    Args:
        student: (B, C) logits.
        teacher: (B, C) logits.
        gamma: the power, above 0; smaller is softer, 1 leaves the teacher as it is.

    Returns:
        a scalar, float32, 0 or more.

    Raises:
        LimbeckError: shapes that differ, or a gamma that is not above 0.
    """
    divergence, power_sum = _matching(student, teacher, gamma)
    return (power_sum * divergence).mean()


def _matching(student: Tensor, teacher: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    """(B,) KL(q ‖ student) and (B,) Σ t^gamma."""
    same_shape(student, teacher)
    above_zero(gamma, "gamma", example=0.1)
    log_power = gamma * F.log_softmax(teacher.detach().float(), dim=1)
    log_sum = log_power.logsumexp(dim=1, keepdim=True)
    log_q, log_student = log_power - log_sum, F.log_softmax(student.float(), dim=1)
    return divergence(log_student, log_q), log_sum.squeeze(1).exp()


class TTM(Taught):
    """Transformed teacher matching (Zheng and Yang, ICLR 2024): `ttm_loss`."""

    name: Literal["ttm"] = "ttm"
    weight: float = Field(45.0, ge=0, description="Weight of the teacher's term.")
    gamma: float = Field(0.1, gt=0, description="Power of the teacher's probabilities; 1 / a temperature.")

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        return ttm_loss(student.logits, teacher.logits, self.gamma)


class WTTM(TTM):
    """Weighted transformed teacher matching (Zheng and Yang, ICLR 2024): a picture counts as its teacher is unsure."""

    name: Literal["wttm"] = "wttm"  # type: ignore[assignment]

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        return wttm_loss(student.logits, teacher.logits, self.gamma)
