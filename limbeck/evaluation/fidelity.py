"""How much of a teacher is in its student: the same pictures, both networks' logits.

Logits (N, C), labels and errors are as in `limbeck.evaluation.metrics`; the student comes first. What needs no labels
counts all pictures that it is given.
"""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from limbeck.evaluation.metrics import labelled


class Changes(NamedTuple):
    """The pictures that one network has right and the other wrong: places among all that were given, int64, sorted.

    Attributes:
        regressions: the teacher is right, the student wrong.
        gains: the student is right, the teacher wrong.
    """

    regressions: Tensor
    gains: Tensor


def agreement(student: Tensor, teacher: Tensor) -> float:
    """The share of pictures on which both give the same answer (top-1)."""
    return float((student.cpu().argmax(1) == teacher.cpu().argmax(1)).double().mean())


def kl(student: Tensor, teacher: Tensor) -> float:
    """Mean KL(teacher || student) of the probabilities at T = 1, in nats."""
    ours, theirs = (logits.detach().cpu().double().log_softmax(1) for logits in (student, teacher))
    return max(float(F.kl_div(ours, theirs, reduction="batchmean", log_target=True)), 0.0)


def mistakes(logits: Tensor, labels: Tensor) -> int:
    """How many pictures the network has wrong."""
    logits, labels = labelled(logits, labels)
    return int((logits.argmax(1) != labels).sum())


def agreement_on_mistakes(student: Tensor, teacher: Tensor, labels: Tensor) -> float | None:
    """Of the pictures that the teacher has wrong, the share where the student gives the same answer; None without."""
    (ours, known), (theirs, _) = (labelled(logits, labels) for logits in (student, teacher))
    wrong = theirs.argmax(1) != known
    return agreement(ours[wrong], theirs[wrong]) if wrong.any() else None


def changes(student: Tensor, teacher: Tensor, labels: Tensor) -> Changes:
    """What the student lost and what it won, picture by picture."""
    labels = labels.cpu()
    known = labels >= 0
    ours, theirs = (logits.cpu().argmax(1) == labels for logits in (student, teacher))
    return Changes(*((known & only).nonzero().squeeze(1) for only in (theirs & ~ours, ours & ~theirs)))
