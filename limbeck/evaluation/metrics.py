"""How often a network is right: overall, within its k best answers, by class, and averaged over classes.

Everywhere in this room logits are (N, C); labels are (N,) int64, from 0 to C - 1, or -1 for a picture without a label,
which does not count. Figures are worked out in float64 on the CPU. Of equal logits the first is the answer. Where there
is no labelled picture at all, or shapes and labels do not fit, a `LimbeckError` is raised.
"""

from __future__ import annotations

import torch
from torch import Tensor

from limbeck.errors import LimbeckError


def labelled(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The logits, float64 on the CPU, and the labels of the pictures that have one."""
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        shapes = f"logits {tuple(logits.shape)} and labels {tuple(labels.shape)}"
        raise LimbeckError(f"{shapes} do not fit: give logits (pictures, classes) and labels (pictures,).")
    logits, labels = logits.detach().cpu().double(), labels.cpu()
    known = labels >= 0
    if not known.any():
        raise LimbeckError(f"none of the {len(labels):,} pictures has a label, so there is nothing to judge by.")
    if int(labels.max()) >= logits.shape[1]:
        raise LimbeckError(f"a label is {int(labels.max())}, but the logits are of {logits.shape[1]} classes from 0.")
    return (logits, labels) if known.all() else (logits[known], labels[known])


def accuracy(logits: Tensor, labels: Tensor, k: int = 1) -> float:
    """Top-k accuracy: the share of pictures whose label is among the k largest logits."""
    return float(correct(*labelled(logits, labels), k).double().mean())


def correct(logits: Tensor, labels: Tensor, k: int = 1) -> Tensor:
    """Of each labelled picture whether its label is among the k largest logits: bool, (N,) without the unlabelled."""
    logits, labels = labelled(logits, labels)
    own = logits.gather(1, labels[:, None])
    before = torch.arange(logits.shape[1]) < labels[:, None]
    ahead = ~(logits <= own) | ((logits == own) & before)  # "not at most": what is not a number is never right
    return ahead.sum(1) < k


def confusion(logits: Tensor, labels: Tensor) -> Tensor:
    """Pictures by label (row) and answer (column): int64 (C, C)."""
    logits, labels = labelled(logits, labels)
    classes = logits.shape[1]
    return torch.bincount(labels * classes + logits.argmax(1), minlength=classes**2).view(classes, classes)


def class_accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Of the pictures of each class the share that is right: float64 (C,); nan for a class without pictures."""
    table = confusion(logits, labels).double()
    return table.diagonal() / table.sum(1)


def balanced_accuracy(logits: Tensor, labels: Tensor) -> float:
    """The mean of `class_accuracy` over the classes that have pictures."""
    return float(class_accuracy(logits, labels).nanmean())


def macro_f1(logits: Tensor, labels: Tensor) -> float:
    """The mean F1 (harmonic mean of precision and recall) over the classes that are some picture's label or answer.

    A class that is answered and has no pictures counts as 0; one that is neither does not count.
    """
    table = confusion(logits, labels).double()
    found = table.sum(0) + table.sum(1)
    return float((2 * table.diagonal() / found)[found > 0].mean())
