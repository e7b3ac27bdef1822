"""What a loss says of itself, so that `limbeck.check` can hold it to its word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args

from limbeck.errors import unknown

Promise = Literal["least", "shift", "batch", "temperature"]
Loss = TypeVar("Loss", bound=Callable[..., Any])

_NAME = "__limbeck_promises__"


def promises(*names: Promise) -> Callable[[Loss], Loss]:
    """Marks a loss of (student logits, teacher logits[, labels]), with its default options, as keeping these:

    - "least": no student has a smaller loss than the one whose logits equal the teacher's;
    - "shift": a constant added to a picture's logits changes nothing;
    - "batch": a batch's loss is the mean of its pictures', whatever the batch size;
    - "temperature": the gradient keeps its size as the temperature grows: T² is there.

    What is not promised may hold or not. ``functools.wraps`` carries the promises over, ``functools.partial`` does not.

    Raises:
        LimbeckError: an unknown promise.
    """
    for name in names:
        if name not in get_args(Promise):
            raise unknown("promise", name, get_args(Promise))

    def mark(loss: Loss) -> Loss:
        setattr(loss, _NAME, frozenset(names))
        return loss

    return mark


def promised(loss: Callable[..., Any]) -> frozenset[Promise]:
    """What the loss promises; nothing where it was not marked."""
    kept: frozenset[Promise] = getattr(loss, _NAME, frozenset())
    return kept
