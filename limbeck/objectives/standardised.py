"""Logit standardisation: the student need not copy the size of the teacher's logits, only their shape."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, Literal, ParamSpec, TypeVar

from pydantic import Field, model_validator
from torch import Tensor, nn

from limbeck.objectives.features import Featured
from limbeck.objectives.kd import KD
from limbeck.objectives.logits import cross_entropy
from limbeck.objectives.objective import AnyObjective, Known, Taught
from limbeck.objectives.outputs import Batch, Outputs

P = ParamSpec("P")
R = TypeVar("R")


def standardise(logits: Tensor, correction: int = 1) -> Tensor:
    """The Z-score of Sun et al., "Logit Standardization in Knowledge Distillation" (CVPR 2024).

    (z - mean) / (std + 1e-7), where mean and standard deviation are each row's own. The released code divides the
    squares by C - 1, the paper by C: ``correction`` 1 and 0. A constant row, which has no shape, becomes zeros and gets
    no gradient. Where it is nearly constant the gradient is large, like 1 / std.

    Args:
        logits: (B, C).
        correction: what is taken off C in the variance, 0 or 1.

    Returns:
        (B, C), float32; no row's values change when a constant is added to it or it is multiplied by one above 0.
    """
    logits = logits.float()
    # Less the largest first: then a constant row is exactly 0, which less its rounded mean it is not.
    centred = logits - logits.detach().amax(dim=1, keepdim=True)
    centred = centred - centred.mean(dim=1, keepdim=True)
    variance = centred.square().sum(dim=1, keepdim=True) / max(logits.shape[1] - correction, 1)
    varies = variance > 0
    deviation = variance.where(varies, 1.0).sqrt()  # the slope of the root at 0 is infinite
    return (centred / (deviation + 1e-7)).where(varies, 0.0)


def standardised(loss: Callable[Concatenate[Tensor, Tensor, P], R]) -> Callable[Concatenate[Tensor, Tensor, P], R]:
    """The standardised form of a loss on logits (Sun et al., CVPR 2024): of the logits after `standardise`.

    ``standardised(kd_loss)(student, teacher, temperature=2)``. Sun et al. use a temperature of 2, and for CIFAR-100 the
    weight 9 on the distillation and 0.1 on the labels' cross-entropy, which is not standardised.

    Args:
        loss: takes the student's and the teacher's logits, (B, C), as its first two arguments.

    Returns:
        a loss with the same arguments, of which the first two are given by position.
    """

    @functools.wraps(loss)
    def of_standardised(student: Tensor, teacher: Tensor, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return loss(standardise(student), standardise(teacher), *args, **kwargs)

    return of_standardised


class Standardised(Taught):
    """Logit standardisation (Sun et al., CVPR 2024) of any objective on logits: weight · it, on standardised logits.

    The labels' term, with the weight that `of` gives it, keeps the logits as they are.
    """

    name: Literal["standardised"] = "standardised"
    labels: float = Field(0.0, ge=0, description="Weight of the labels' term.")
    of: AnyObjective = Field(
        KD(temperature=2, weight=9, labels=0.1), description="What is computed on standardised logits."
    )

    @model_validator(mode="after")
    def _on_logits(self) -> Standardised:
        taught = isinstance(self.of, Taught) and self.of.needs_teacher and self.of.weight
        if not taught or isinstance(self.of, (Featured, Standardised)):
            raise ValueError(
                f"of = {self.of.name!r} does not compare logits; choose kd, dkd, dist or another that does"
            )
        return self

    def relating(self, known: Known | None = None) -> tuple[str, ...]:
        return self.of.relating(known) if self.weight else ()

    @property
    def needs_teacher(self) -> bool:
        return self.of.needs_teacher

    def build(self, known: Known | None = None) -> nn.Module:
        assert isinstance(self.of, Taught)
        taught = self.of.with_(labels=0).build(known)
        return _OfStandardised(taught, self.weight, self.labels + self.of.labels)


class _OfStandardised(nn.Module):
    def __init__(self, taught: nn.Module, weight: float, labels: float) -> None:
        super().__init__()
        self.taught, self._weight, self._labels = taught, weight, labels

    def forward(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        assert teacher is not None
        ours, theirs = (Outputs(standardise(outputs.logits)) for outputs in (student, teacher))
        parts = {name: self._weight * part for name, part in self.taught(ours, theirs, batch).items()}
        if self._labels:
            labelled = batch.over_labels(lambda labels: cross_entropy(student.logits, labels))
            parts["labels"] = self._labels * labelled
        return parts
