"""Recognising a loss by the gradient it gives the student: the forms that public code has, right and wrong."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Name = Literal["forward", "reverse", "log_target missing", "log_target unasked", "no logarithm", "twice"]

TEMPERATURES = (4.0, 1.0, 2.0, 3.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 16.0, 20.0, 30.0, 0.5, 1.5, 2.5)


@dataclass(frozen=True)
class Kind:
    """A form that fits, its temperature, and how many times the form's mean over the batch the loss is."""

    name: Name
    temperature: float
    factor: float


def recognise(student: Tensor, teacher: Tensor, gradient: Tensor, temperature: float | None) -> Kind | None:
    """The form whose gradient is a multiple of this one; None where none fits.

    Args:
        student: (B, C) logits at which the gradient was taken.
        teacher: (B, C) logits.
        gradient: (B, C), of the loss by the student.
        temperature: the loss's; None where it is not known, and the usual ones are tried.
    """
    gradient = gradient.double()
    size = gradient.norm()
    if not size.isfinite() or not size:
        return None
    for guess in TEMPERATURES if temperature is None else (temperature,):
        for name, form in _forms(guess):
            reference = _gradient(form, student, teacher)
            factor = (gradient * reference).sum() / reference.square().sum().clamp(min=1e-30)
            if factor > 0 and (gradient - factor * reference).norm() < 1e-3 * size:
                return Kind(name, guess, float(factor))
    return None


def softmax_of_probabilities(at: Callable[[Tensor], float], classes: int, margin: float) -> bool:
    """Whether a loss, seen from outside, is a cross-entropy of a softmax of probabilities, whatever its target.

    Let the student's probabilities be p, and the loss linear in p but for logsumexp(p), as it is when softmax comes
    twice. Less its values at the corners, weighed by p, it is then a multiple of logsumexp(p) - logsumexp(corner),
    in which the target no longer occurs. That is a known number for p spread evenly over k classes.

    Args:
        at: the loss of a batch in which every picture's logits are the given (C,).
        classes: C.
        margin: how large a logit is sure of its class, at the loss's temperature.
    """
    rows = margin * torch.eye(classes, dtype=torch.float64)
    corners = torch.tensor([at(row) for row in rows], dtype=torch.float64)
    counts = (2, 3, classes)
    seen = torch.tensor([at(rows[:k].sum(0)) - float(corners[:k].mean()) for k in counts], dtype=torch.float64)
    if not corners.isfinite().all() or not seen.isfinite().all() or seen[-1].abs() < 1e-6 * (1 + corners.abs().max()):
        return False
    # Temperatures between the two softmaxes; far above 2 no one can tell this from squared differences.
    for sharp in (0.1, 0.2, 0.25, 0.5, 1.0, 2.0):
        wanted = torch.tensor([_spread(k, classes, sharp) - _spread(1, classes, sharp) for k in counts])
        if torch.allclose(seen / seen[-1], (wanted / wanted[-1]).double(), rtol=0.01, atol=0):
            return bool(seen[-1] < 0)
    return False


def _spread(k: int, classes: int, temperature: float) -> float:
    """logsumexp(p / T) of p spread evenly over k of the classes."""
    return math.log(classes - k + k * math.exp(1 / (k * temperature)))


def _gradient(form: Callable[[Tensor, Tensor], Tensor], student: Tensor, teacher: Tensor) -> Tensor:
    leaf = student.detach().double().clone().requires_grad_()
    return torch.autograd.grad(form(leaf, teacher.detach().double()).sum(1).mean(), leaf)[0]


def _forms(T: float) -> Iterable[tuple[Name, Callable[[Tensor, Tensor], Tensor]]]:
    def log(z: Tensor) -> Tensor:
        return F.log_softmax(z, dim=1)

    def p(z: Tensor) -> Tensor:
        return F.softmax(z, dim=1)

    yield "forward", lambda s, t: -p(t / T) * log(s / T)
    yield "reverse", lambda s, t: p(s / T) * (log(s / T) - log(t / T))
    yield "log_target missing", lambda s, t: -log(t / T) * log(s / T)
    yield "log_target unasked", lambda s, t: -p(t / T).exp() * log(s / T)
    yield "no logarithm", lambda s, t: -p(t / T) * p(s / T)
    for ours in ((T, None), (T, 1.0), (1.0, T)):
        for theirs in ((T, None), (T, 1.0), (1.0, T)):
            if (ours[1], theirs[1]) != (None, None):
                yield "twice", functools.partial(_twice, ours, theirs)


def _twice(ours: tuple[float, float | None], theirs: tuple[float, float | None], s: Tensor, t: Tensor) -> Tensor:
    """Softmax at the first temperature and, where there is a second, once more at that."""
    student, target = s / ours[0], F.softmax(t / theirs[0], dim=1)
    student = F.softmax(student, dim=1) / ours[1] if ours[1] else student
    return -(F.softmax(target / theirs[1], dim=1) if theirs[1] else target) * F.log_softmax(student, dim=1)
