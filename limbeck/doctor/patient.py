"""The logits that a loss is examined on, and what is known of it before the questions begin."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from limbeck.doctor.kinds import Kind, recognise
from limbeck.doctor.subject import Look, RefusedError, Subject

PICTURES = 16


class Patient:
    """A subject with ordinary logits: (16, C), Gaussian, of deviation 3, from a seed of their own.

    Raises:
        LimbeckError: the loss cannot be called on them.
        ChangedInPlaceError: it writes over what its gradient needs.
    """

    def __init__(self, subject: Subject, classes: int) -> None:
        draws = torch.Generator().manual_seed(20)

        def normal() -> Tensor:
            return torch.randn(PICTURES, classes, generator=draws, dtype=torch.float64)

        self.subject, self.classes = subject, classes
        self.student, self.teacher, self.direction = 3 * normal(), 3 * normal(), normal()
        self.labels = torch.randint(classes, (PICTURES,), generator=draws)
        subject.settle(self.student, self.teacher, self.labels)
        self.look: Look = subject.look(self.student, self.teacher, self.labels)
        if subject.takes("labels") and subject.takes("teacher") and self.look.finite and self.look.student is not None:
            self._set_labels_aside()

    def _set_labels_aside(self) -> None:
        """Measures a separate cross-entropy with the labels, and takes it out of what is examined from now on."""
        others = (self.labels + 1) % self.classes
        try:
            elsewhere = self.subject.look(self.student, self.teacher, others)
        except RefusedError:
            return
        seen = self.look.pull - elsewhere.pull
        wanted = _hard(self.student, self.labels) - _hard(self.student, others)
        weight = float((seen * wanted).sum() / wanted.square().sum())
        if weight > 1e-6 and float((seen - weight * wanted).norm()) < 1e-3 * float(seen.norm()):
            self.subject.labels_weight = weight
            self.look = self.subject.look(self.student, self.teacher, self.labels)

    @cached_property
    def taught(self) -> bool:
        """Whether the value, or the student's gradient, depends on the teacher's logits."""
        other = self.subject.look(self.student, self.teacher.flip(0), self.labels)
        if other.student is not None and float((other.pull - self.look.pull).norm()) > 1e-6 * float(
            self.look.pull.norm()
        ):
            return True
        return abs(other.value - self.look.value) > 1e-6 * (abs(self.look.value) + 1e-6)

    @cached_property
    def kind(self) -> Kind | None:
        """The known form that it has."""
        if self.look.student is None or not self.taught or self._nothing_left:
            return None
        return recognise(self.student, self.teacher, self.look.pull, self.subject.temperature) or (
            recognise(self.student, self.teacher, self.look.pull, None) if self.subject.temperature else None
        )

    @property
    def _nothing_left(self) -> bool:
        return float(self.look.pull.norm()) < 1e-9

    @cached_property
    def temperature(self) -> float:
        """The temperature that it has, or the largest in common use."""
        return self.kind.temperature if self.kind else self.subject.temperature or 20.0

    def at(self, row: Tensor) -> float:
        """The loss where every picture's student says the same (C,)."""
        return self.subject.look(row.expand_as(self.student), self.teacher, self.labels).value

    def examine(
        self, student: Tensor, teacher: Tensor, labels: Tensor | None = None, dtype: torch.dtype | None = None
    ) -> Look:
        """The loss and its gradients on other logits."""
        return self.subject.look(student, teacher, self.labels if labels is None else labels, dtype=dtype)

    def least(self, value: Callable[[Tensor], Tensor], start: Tensor, steps: int = 250) -> tuple[float, Tensor]:
        """The least value met by Adam on the way down from a start, and where."""
        at = start.detach().to(self.subject.dtype).clone().requires_grad_()
        walk = torch.optim.Adam([at], lr=0.1)
        best, where = float("inf"), at.detach().clone()
        for _ in range(steps):
            loss = value(at)
            if loss.item() < best:
                best, where = loss.item(), at.detach().clone()
            walk.zero_grad()
            loss.backward()
            if at.grad is None or not at.grad.isfinite().all():
                break
            walk.step()
        return best, where.double()


def _hard(student: Tensor, labels: Tensor) -> Tensor:
    leaf = student.clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(leaf, labels), leaf)[0]
