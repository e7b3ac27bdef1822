"""Distillation by correlation: the student's probabilities need only rise and fall with the teacher's."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.objectives.checks import above_zero, same_shape
from limbeck.objectives.objective import Taught
from limbeck.objectives.outputs import Batch, Outputs
from limbeck.objectives.promises import promises


@promises("least", "shift")
def dist_loss(
    student: Tensor, teacher: Tensor, temperature: float = 4.0, beta: float = 1.0, gamma: float = 1.0
) -> Tensor:
    """The loss of Huang et al., "Knowledge Distillation from A Stronger Teacher" (NeurIPS 2022), DIST.

    With p = softmax(logits / T) and r the Pearson correlation of the student's and the teacher's p: T² · [beta · (1 -
    mean over pictures of r of their rows) + gamma · (1 - mean over classes of r of their columns)], the relations
    between classes and within a class. As in the released code there is the factor T², and 1e-8 is added to the product
    of the norms, which damps the classes that hardly occur in a batch. Zero, up to that, at equal logits; the columns
    are those of this batch, so repeating a batch changes nothing, but splitting it does.

    A row or column without any variation (a constant row of logits, a batch of equal rows) has no correlation: it
    counts as r = 0 and gives no gradient. No gradient flows into the teacher.

    The published weight 2 (for CIFAR-100 at T = 4) is left to the caller.

    Args:
        student: (B, C) logits; B > 1 unless gamma is 0.
        teacher: (B, C) logits.
        temperature: T > 0; larger is softer.
        beta: weight of the relations between classes.
        gamma: weight of the relations within a class.

    Returns:
        a scalar, float32, from 0 to 2 · T² · (beta + gamma).

    Raises:
        LimbeckError: shapes that differ, a temperature that is not above 0, or a batch of 1 with a gamma above 0.
    """
    same_shape(student, teacher)
    above_zero(temperature)
    if gamma and len(student) < 2:
        raise LimbeckError(
            f"a batch of {len(student)} is not possible: DIST correlates each class over the pictures of a batch. "
            "Use batches of at least 2, or gamma = 0."
        )
    student = F.softmax(student.float() / temperature, dim=1)
    teacher = F.softmax(teacher.detach().float() / temperature, dim=1)
    between = 1 - _correlation(student, teacher, dim=1).mean()
    within = 1 - _correlation(student, teacher, dim=0).mean()
    return temperature**2 * (beta * between + gamma * within)


def _correlation(a: Tensor, b: Tensor, dim: int) -> Tensor:
    a, b = _centred(a, dim), _centred(b, dim)
    norms = a.norm(dim=dim) * b.norm(dim=dim)
    # Where nothing varies the gradient would be b / 1e-8: large enough to end a training.
    return ((a * b).sum(dim=dim) / (norms + 1e-8)).where(norms > 0, 0.0)


def _centred(values: Tensor, dim: int) -> Tensor:
    """Less their mean; exactly 0 where all are equal, which the rounded mean alone does not give."""
    values = values - values.detach().amax(dim=dim, keepdim=True)
    return values - values.mean(dim=dim, keepdim=True)


class DIST(Taught):
    """Distillation from a stronger teacher (Huang et al., NeurIPS 2022): `dist_loss`."""

    name: Literal["dist"] = "dist"
    relates: ClassVar[bool] = True
    weight: float = Field(2.0, ge=0, description="Weight of the teacher's term.")
    temperature: float = Field(4.0, gt=0, description="Softens both networks' probabilities; above 0.")
    beta: float = Field(1.0, ge=0, description="Weight of the relations between classes.")
    gamma: float = Field(1.0, ge=0, description="Weight of the relations within a class.")

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        return dist_loss(student.logits, teacher.logits, self.temperature, self.beta, self.gamma)
