"""Hints: the student's features are regressed onto the teacher's."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from limbeck.objectives.checks import same_shape


def fitnet_loss(student: Tensor, teacher: Tensor, form: Literal["released", "paper"] = "released") -> Tensor:
    """The hint loss of Romero et al., "FitNets: Hints for Thin Deep Nets" (ICLR 2015).

    "released" is what the public comparisons compute, and what their weight of 100 goes with: the mean over all
    elements of (student - teacher)². "paper" is half the sum of the squares of each picture, averaged over the batch.
    Zero where the two are equal. No gradient flows into the teacher.

    Args:
        student: (B, ...) features, brought to the teacher's shape (`limbeck.objectives.adapters.adapt`).
        teacher: (B, ...) features of the same shape.
        form: see above.

    Returns:
        a scalar, float32, 0 or more; independent of the batch size.

    Raises:
        LimbeckError: shapes that differ.
    """
    same_shape(student, teacher, "features")
    squares = (student.float() - teacher.detach().float()).square()
    return squares.mean() if form == "released" else squares.flatten(1).sum(1).mean() / 2
