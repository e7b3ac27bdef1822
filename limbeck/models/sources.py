"""Networks that are trained already and that limbeck did not make, by the names that `limbeck.models.names` lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from pydantic import Field, model_validator
from torch import Tensor

from limbeck import own
from limbeck.errors import LimbeckError
from limbeck.models.model import Model
from limbeck.models.names import FORMS, is_library, is_source
from limbeck.models.network import Network
from limbeck.models.normalised import Normalised
from limbeck.models.programs import refuse_missing_function

__all__ = ["FORMS", "Source", "is_source", "refuse_what_does_not_answer"]


class Source(Network):
    """Someone else's network, trained already: where it comes from, and how it is shown pictures."""

    both_or_none: ClassVar[bool] = True

    name: str = Field(description=f"One of {FORMS}; its code is run.")
    mean: tuple[float, ...] | None = Field(
        None, description="A channel's mean in [0, 1]; none: pictures as they are, but what its library says."
    )
    std: tuple[float, ...] | None = Field(None, description="A channel's deviation; none: as for mean.")

    @model_validator(mode="after")
    def _can_be(self) -> Source:
        refuse_missing_function(self.name)
        if not is_source(self.name):
            raise ValueError(f"this names no network; give {FORMS}")
        return self

    def build(self, num_classes: int) -> Normalised:
        """The network in eval mode, on the CPU; it takes float pictures (B, C, H, W) in [0, 1].

        Args:
            num_classes: of a library's network without pretrained weights, and for a function that takes it; others
                have what they have, which `refuse_what_does_not_answer` looks at.

        Raises:
            LimbeckError: there is no such file, function or name, it gives no network, the library is missing, the
                weights cannot be had or are of another network; or there are none, and it would answer at random.
        """
        network = self.made(num_classes, None)
        if is_library(self.name) and self.weights is None and not self.pretrained:
            raise LimbeckError(
                f"{self.name} has random weights: it has nothing to say yet. Give a file with a state dictionary "
                "(--weights FILE; of a run's teacher, --teacher.weights FILE), or what its library fetches "
                "(--pretrained), or a path/to/file.py:FUNCTION that loads some."
            )
        network.eval()
        return network

    def _described(self, size: int | None) -> Model:
        return Model(name=self.name, size=size)


def refuse_what_does_not_answer(
    name: str, network: Callable[[Tensor], Any], pictures: Tensor, classes: tuple[str, int]
) -> str | None:
    """Asks a network about a few pictures, and refuses one whose answers are no logits of these classes.

    Args:
        name: what the network is called.
        network: on the pictures' device, in eval mode.
        pictures: float (B, C, H, W), three or more.
        classes: the name of a data set, and the number of its classes.

    Returns:
        what a reader of its figures has to know, if there is something.

    Raises:
        LimbeckError: it cannot look at one of them or at all together, or does not answer with finite (B, classes).
    """
    shape = " x ".join(map(str, pictures.shape[2:]))
    asked = f"{name} was asked about pictures of {shape}, floats (B, {pictures.shape[1]}, H, W) in [0, 1],"
    for some in (pictures[:1], pictures):
        try:
            with torch.no_grad():
                logits = network(some)
        except LimbeckError:
            raise
        except Exception as error:
            many = f"{len(some)} at once" if len(some) > 1 else "one"
            raise LimbeckError(
                f"{asked} {many}, and failed: {own.said(error)}. "
                + (
                    "It has to take any number at once; export it with a dynamic batch dimension."
                    if len(some) > 1
                    else "If it needs them of another size, type that (--size 224; of a run, --student.size or "
                    "--teacher.size); if it needs others, write a function that returns a module which makes them of "
                    "these, and give path/to/file.py:FUNCTION."
                )
            ) from error
        if not isinstance(logits, Tensor):
            raise LimbeckError(f"{asked} and answered with {type(logits).__name__}, not with a tensor of logits.")
        if logits.ndim != 2 or len(logits) != len(some):
            raise LimbeckError(
                f"{asked} {len(some)} at once, and answered with {tuple(logits.shape)}: it must be (B, classes)."
            )
        if logits.shape[1] != classes[1]:
            raise LimbeckError(
                f"{name} answers with {logits.shape[1]} classes, but {classes[0]} has {classes[1]}. "
                "Choose another data set or network."
            )
    if not logits.isfinite().all():
        raise LimbeckError(f"{asked} and answered with numbers that are not finite. Are its weights loaded?")
    if (logits >= 0).all() and torch.allclose(logits.float().sum(1), torch.ones(len(logits), device=logits.device)):
        return (
            f"{name} answers with probabilities where logits are expected: its NLL, ECE, Brier score and KL are those "
            "of another softmax over them. Leave its last softmax away."
        )
    return None
