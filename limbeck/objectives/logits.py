"""Losses on logits: pure functions, student first, teacher second, labels third; computed in float32."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from limbeck.errors import LimbeckError, unknown
from limbeck.objectives.checks import above_zero, same_shape
from limbeck.objectives.promises import promises


@promises("least", "shift", "batch", "temperature")
def kd_loss(student: Tensor, teacher: Tensor, temperature: float = 4.0) -> Tensor:
    """The soft-target loss of Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015).

    T² · mean over the batch of KL(softmax(teacher / T) ‖ softmax(student / T)), in nats. The factor T² keeps the
    gradient's size the same at every temperature. Zero where the two agree up to a constant per row, and otherwise
    positive. No gradient flows into the teacher.

    Args:
        student: (B, C) logits.
        teacher: (B, C) logits.
        temperature: T > 0; larger is softer.

    Returns:
        a scalar, float32.

    Raises:
        LimbeckError: shapes that differ, or a temperature that is not above 0.
    """
    same_shape(student, teacher)
    above_zero(temperature)
    log_student = F.log_softmax(student.float() / temperature, dim=1)
    log_teacher = F.log_softmax(teacher.detach().float() / temperature, dim=1)
    return temperature**2 * divergence(log_student, log_teacher).mean()


def cross_entropy(student: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy with the labels, averaged over the labelled pictures of the batch, in nats.

    Args:
        student: (B, C) logits.
        labels: (B,) int64 classes; -1 marks an unlabelled picture, which does not count.
        label_smoothing: in [0, 1), the mass spread evenly over all classes (Szegedy et al., CVPR 2016).

    Returns:
        a scalar, float32; 0 when no picture is labelled.
    """
    labelled = (labels >= 0).sum().clamp(min=1)
    total = F.cross_entropy(student.float(), labels, ignore_index=-1, label_smoothing=label_smoothing, reduction="sum")
    return total / labelled


@promises("shift", "batch")
def tf_kd_loss(
    student: Tensor,
    labels: Tensor,
    temperature: float = 20.0,
    correct: float = 0.99,
    form: Literal["released", "paper"] = "released",
) -> Tensor:
    """The virtual teacher's term of Yuan et al., "Revisiting Knowledge Distillation via Label Smoothing" (CVPR 2020).

    The virtual teacher u gives the label the probability ``correct`` and shares out the rest evenly. The loss is the
    mean over the labelled pictures of a divergence: in "released", as the authors' code has it, KL(softmax(u / T) ‖
    softmax(student)); in "paper" KL(softmax(u / T) ‖ softmax(student / T)). No factor T² in either. The released code
    divides by the number of classes, and its CIFAR-100 settings multiply by 100, which is that number; neither is done
    here.

    Args:
        student: (B, C) logits.
        labels: (B,) int64 classes; -1 marks an unlabelled picture, which does not count.
        temperature: T > 0.
        correct: in (0, 1).
        form: see above.

    Returns:
        a scalar, float32, 0 or more; 0 when no picture is labelled.

    Raises:
        LimbeckError: a temperature that is not above 0, ``correct`` outside (0, 1), or an unknown form.
    """
    above_zero(temperature)
    if not 0 < correct < 1:
        raise LimbeckError(f"correct = {correct} is not possible: it must lie between 0 and 1. Try 0.99.")
    if form not in ("released", "paper"):
        raise unknown("form of tf_kd_loss", form, ("released", "paper"))
    classes = student.shape[1]
    others = (1 - correct) / (classes - 1)
    virtual = others + (correct - others) * F.one_hot(labels.clamp(min=0), classes).float()
    log_teacher = F.log_softmax(virtual / temperature, dim=1)
    log_student = F.log_softmax(student.float() / (temperature if form == "paper" else 1.0), dim=1)
    return mean_over_labelled(divergence(log_student, log_teacher), labels)


def divergence(log_student: Tensor, log_teacher: Tensor) -> Tensor:
    """(B,) KL(teacher ‖ student), in nats, of (B, C) rows of log-probabilities."""
    return (log_teacher.exp() * (log_teacher - log_student)).sum(dim=1)


def mean_over_labelled(losses: Tensor, labels: Tensor) -> Tensor:
    """The mean of (B,) losses over the labelled pictures (-1 marks the others); 0 when no picture is labelled."""
    labelled = labels >= 0
    return losses.where(labelled, 0.0).sum() / labelled.sum().clamp(min=1)
