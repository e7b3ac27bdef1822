"""Decoupled distillation: how sure the teacher is of the label, and how it ranks the other classes."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.objectives.checks import above_zero, same_shape
from limbeck.objectives.logits import divergence, mean_over_labelled
from limbeck.objectives.objective import Taught
from limbeck.objectives.outputs import Batch, Outputs
from limbeck.objectives.promises import promises


@promises("least", "shift", "batch", "temperature")
def dkd_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    temperature: float = 4.0,
    alpha: float = 1.0,
    beta: float = 8.0,
) -> Tensor:
    """The loss of Zhao et al., "Decoupled Knowledge Distillation" (CVPR 2022): alpha · TCKD + beta · NCKD.

    `dkd_parts` has the formula of the two. The defaults are the released ones for CIFAR-100; there beta is tuned for
    each pair (8, 6 or 2), and the whole term grows linearly over the first 20 epochs, which is left to the caller.

    Args:
        student: (B, C) logits, C > 1.
        teacher: (B, C) logits.
        labels: (B,) int64 classes; -1 marks an unlabelled picture, which does not count.
        temperature: T > 0; larger is softer.
        alpha: weight of the part on the label.
        beta: weight of the part on the other classes.

    Returns:
        a scalar, float32; 0 when no picture is labelled.

    Raises:
        LimbeckError: shapes that differ, a single class, or a temperature that is not above 0.
    """
    target, others = dkd_parts(student, teacher, labels, temperature)
    return alpha * target + beta * others


def dkd_parts(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float = 4.0) -> tuple[Tensor, Tensor]:
    """The two parts of decoupled distillation (Zhao et al., CVPR 2022), TCKD and NCKD.

    With p = softmax(logits / T) and the label y, both are T² · mean over the labelled pictures of KL(teacher ‖
    student): TCKD between the pairs (p_y, 1 - p_y), NCKD between the distributions over the classes other than y. The
    divergence of `kd_loss` is TCKD + (1 - teacher's p_y) · NCKD, picture by picture. No gradient flows into the
    teacher.

    Args:
        student: (B, C) logits, C > 1.
        teacher: (B, C) logits.
        labels: (B,) int64 classes; -1 marks an unlabelled picture, which does not count.
        temperature: T > 0; larger is softer.

    Returns:
        TCKD and NCKD, two scalars, float32, 0 or more; 0 when no picture is labelled.

    Raises:
        LimbeckError: shapes that differ, a single class, or a temperature that is not above 0.
    """
    same_shape(student, teacher)
    above_zero(temperature)
    student, teacher = student.float() / temperature, teacher.detach().float() / temperature
    is_label = label_mask(labels, student.shape[1])
    target = divergence(_label_or_not(student, is_label), _label_or_not(teacher, is_label))
    others = divergence(log_softmax_of_others(student, is_label), log_softmax_of_others(teacher, is_label))
    squared = temperature**2
    return squared * mean_over_labelled(target, labels), squared * mean_over_labelled(others, labels)


def label_mask(labels: Tensor, classes: int) -> Tensor:
    """(B, C) bool, true at each picture's label; at class 0 for an unlabelled picture.

    Raises:
        LimbeckError: there are no other classes than the label's.
    """
    if classes < 2:
        raise LimbeckError(
            f"logits of {classes} class are not possible: this loss compares the label with the other classes. "
            "Use at least 2 classes, or kd_loss."
        )
    return F.one_hot(labels.clamp(min=0), classes).bool()


def log_softmax_of_others(logits: Tensor, is_label: Tensor) -> Tensor:
    """(B, C) log-probabilities among the classes other than the label; 0 at the label, so that it adds nothing."""
    # Masked by -inf and not by a large number, which logits of that size would outweigh.
    return F.log_softmax(logits.masked_fill(is_label, -torch.inf), dim=1).masked_fill(is_label, 0.0)


def _label_or_not(logits: Tensor, is_label: Tensor) -> Tensor:
    """(B, 2): log p_y and log(1 - p_y), the latter without the cancellation of 1 - p_y."""
    log_all = F.log_softmax(logits, dim=1)
    log_label = log_all.masked_fill(~is_label, 0.0).sum(dim=1)
    return torch.stack([log_label, log_all.masked_fill(is_label, -torch.inf).logsumexp(dim=1)], dim=1)


class DKD(Taught):
    """Decoupled distillation (Zhao et al., CVPR 2022): warm-up · `dkd_loss`."""

    name: Literal["dkd"] = "dkd"
    temperature: float = Field(4.0, gt=0, description="Softens both networks' probabilities; above 0.")
    alpha: float = Field(1.0, ge=0, description="Weight of the part on the label.")
    beta: float = Field(8.0, ge=0, description="Weight of the part on the other classes; published: 8, 6 or 2 by pair.")
    warmup: float = Field(20.0, ge=0, description="Epochs over which the teacher's term grows from 0.")

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        def loss(labels: Tensor) -> Tensor:
            return dkd_loss(student.logits, teacher.logits, labels, self.temperature, self.alpha, self.beta)

        return batch.over_labels(loss) * batch.ramp(self.warmup)
