"""What the losses refuse, in one place, so that every message is the same."""

from __future__ import annotations

from torch import Tensor

from limbeck.errors import LimbeckError


def same_shape(student: Tensor, teacher: Tensor, what: str = "logits") -> None:
    """Refuses two tensors whose shapes differ; both must speak of the same pictures, in the same order."""
    if student.shape != teacher.shape:
        hint = "(batch, classes), with the same classes in the same order" if what == "logits" else "of equal shape"
        raise LimbeckError(
            f"student {what} {tuple(student.shape)} and teacher {what} {tuple(teacher.shape)} differ in shape. "
            f"Both must be {hint}."
        )


def above_zero(value: float, name: str = "temperature", example: float = 4) -> None:
    """Refuses a value that is not above 0."""
    if not value > 0:
        raise LimbeckError(f"{name} = {value} is not possible: it must be above 0. Try {example:g}.")
