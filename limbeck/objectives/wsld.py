"""Weighted soft labels: distils where the student does worse on the label than the teacher does."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from limbeck.objectives.checks import above_zero, same_shape
from limbeck.objectives.logits import mean_over_labelled
from limbeck.objectives.objective import Taught
from limbeck.objectives.outputs import Batch, Outputs
from limbeck.objectives.promises import promises


@promises("shift", "batch", "temperature")
def wsld_loss(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float = 4.0) -> Tensor:
    """The loss of Zhou et al., "Rethinking Soft Labels for Knowledge Distillation" (ICLR 2021), WSLD.

    T² · mean over the labelled pictures of w · cross-entropy(softmax(teacher / T), softmax(student / T)), where w = 1 -
    exp(-CE_s / (CE_t + 1e-7)), CE_s and CE_t being the two networks' cross-entropies with the label at T = 1. The
    weight lies in [0, 1) up to rounding, near 0 where the student beats the teacher, and is a constant for the
    gradient. As a cross-entropy it is not 0 at equal logits. No gradient flows into the teacher.

    The published weights (2.25 for CIFAR-100 at T = 4, 2.5 for ImageNet at T = 2) are left to the caller.

    Args:
        student: (B, C) logits.
        teacher: (B, C) logits.
        labels: (B,) int64 classes; -1 marks an unlabelled picture, which does not count.
        temperature: T > 0; larger is softer.

    Returns:
        a scalar, float32, 0 or more; 0 when no picture is labelled.

    Raises:
        LimbeckError: shapes that differ, or a temperature that is not above 0.
    """
    same_shape(student, teacher)
    above_zero(temperature)
    student, teacher = student.float(), teacher.detach().float()
    log_student = F.log_softmax(student / temperature, dim=1)
    soft = -(F.softmax(teacher / temperature, dim=1) * log_student).sum(dim=1)
    known = labels.clamp(min=0)
    student_error = F.cross_entropy(student.detach(), known, reduction="none")
    teacher_error = F.cross_entropy(teacher, known, reduction="none")
    weight = -torch.expm1(-student_error / (teacher_error + 1e-7))
    return temperature**2 * mean_over_labelled(weight * soft, labels)


class WSLD(Taught):
    """Weighted soft labels (Zhou et al., ICLR 2021): `wsld_loss`."""

    name: Literal["wsld"] = "wsld"
    weight: float = Field(2.25, ge=0, description="Weight of the teacher's term.")
    temperature: float = Field(4.0, gt=0, description="Softens both networks' probabilities; above 0.")

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        def loss(labels: Tensor) -> Tensor:
            return wsld_loss(student.logits, teacher.logits, labels, self.temperature)

        return batch.over_labels(loss)
