"""Normalised distillation: a soft target for the label, and the other classes as a distribution of their own."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from limbeck.objectives.checks import above_zero, same_shape
from limbeck.objectives.dkd import label_mask, log_softmax_of_others
from limbeck.objectives.logits import mean_over_labelled
from limbeck.objectives.objective import Taught
from limbeck.objectives.outputs import Batch, Outputs
from limbeck.objectives.promises import promises


@promises("shift", "batch", "temperature")
def nkd_loss(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float = 1.0, gamma: float = 1.5) -> Tensor:
    """The loss of Yang et al., "From Knowledge Distillation to Self-Knowledge Distillation" (ICCV 2023), NKD.

    With s, t = softmax(logits) of student and teacher, y the label, and ŝ, t̂ the softmax of logits / T over the
    classes other than y: mean over the labelled pictures of -t_y · log s_y - gamma · T² · Σ over i ≠ y of t̂_i · log
    ŝ_i. The temperature is in the second part only. A cross-entropy and not a divergence: equal logits give the
    teacher's entropies and not 0, nor are they its least value. The cross-entropy with the labels is not in it. No
    gradient flows into the teacher.

    The defaults are the released ones for ImageNet; for CIFAR-100 they are temperature 3 and gamma 3.5.

    Args:
        student: (B, C) logits, C > 1.
        teacher: (B, C) logits.
        labels: (B,) int64 classes; -1 marks an unlabelled picture, which does not count.
        temperature: T > 0; larger is softer.
        gamma: weight of the part on the other classes.

    Returns:
        a scalar, float32; 0 when no picture is labelled.

    Raises:
        LimbeckError: shapes that differ, a single class, or a temperature that is not above 0.
    """
    same_shape(student, teacher)
    above_zero(temperature)
    student, teacher = student.float(), teacher.detach().float()
    is_label = label_mask(labels, student.shape[1])
    target = (F.softmax(teacher, dim=1) * F.log_softmax(student, dim=1) * is_label).sum(dim=1)
    hat_student = log_softmax_of_others(student / temperature, is_label)
    hat_teacher = log_softmax_of_others(teacher / temperature, is_label)
    others = (hat_teacher.exp() * hat_student).sum(dim=1)
    return mean_over_labelled(-(target + gamma * temperature**2 * others), labels)


class NKD(Taught):
    """Normalised distillation (Yang et al., ICCV 2023): `nkd_loss`."""

    name: Literal["nkd"] = "nkd"
    temperature: float = Field(1.0, gt=0, description="Softens both networks' probabilities; above 0.")
    gamma: float = Field(1.5, ge=0, description="Weight of the other classes; the authors' CIFAR-100: T 3, gamma 3.5.")

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        def loss(labels: Tensor) -> Tensor:
            return nkd_loss(student.logits, teacher.logits, labels, self.temperature, self.gamma)

        return batch.over_labels(loss)
