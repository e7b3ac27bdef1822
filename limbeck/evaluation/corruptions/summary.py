"""From answers to corrupted pictures to mean accuracies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from torch import Tensor

from limbeck.errors import LimbeckError, unknown
from limbeck.evaluation.corruptions.catalogue import KINDS, SEVERITIES


class CorruptionAccuracy(NamedTuple):
    """Mean top-1 accuracies, fractions from 0 to 1; ``_asdict()`` is JSON.

    Attributes:
        severities: kind -> the accuracy at severity 1 to 5.
        kinds: kind -> the mean over the five severities.
        families: family -> the mean of its kinds; only families whose kinds were all measured.
        mean: of all fifteen kinds; None where one is missing.
    """

    severities: dict[str, list[float]]
    kinds: dict[str, float]
    families: dict[str, float]
    mean: float | None


def mean_corruption_accuracy(answers: Mapping[tuple[str, int], Tensor], labels: Tensor) -> CorruptionAccuracy:
    """How often a network is right on corrupted pictures.

    Every severity counts alike in its kind, and every kind alike in its family and in the whole. One minus the mean is
    the unnormalised mean corruption error that is usual for CIFAR-10-C.

    Args:
        answers: (kind, severity) -> logits (N, C), for all severities of each kind that there is.
        labels: (N,) int64.

    Raises:
        LimbeckError: an unknown kind, a kind without all its severities, or answers to another number of pictures.
    """
    names = [kind for family in KINDS.values() for kind in family]
    for kind, severity in answers:
        if kind not in names:
            raise unknown("corruption", kind, names)
        if len(answers[kind, severity]) != len(labels):
            raise LimbeckError(
                f"{kind} at severity {severity} has {len(answers[kind, severity])} answers, but there are "
                f"{len(labels)} labels: give one row of logits a picture."
            )
    severities: dict[str, list[float]] = {}
    for kind in names:
        there = [severity for severity in SEVERITIES if (kind, severity) in answers]
        if there and len(there) < len(SEVERITIES):
            missing = ", ".join(str(severity) for severity in SEVERITIES if severity not in there)
            raise LimbeckError(f"{kind} has no answers at severity {missing}: measure all five, or none.")
        if there:
            severities[kind] = [_accuracy(answers[kind, severity], labels) for severity in SEVERITIES]
    return averaged(severities)


def averaged(severities: Mapping[str, Sequence[float]]) -> CorruptionAccuracy:
    """The means of accuracies.

    Args:
        severities: kind -> the accuracy at severity 1 to 5, for as many kinds as there are.
    """
    names = [kind for family in KINDS.values() for kind in family]
    there = {kind: list(severities[kind]) for kind in names if kind in severities}
    kinds = {kind: fmean(values) for kind, values in there.items()}
    families = {
        family: fmean(kinds[kind] for kind in members)
        for family, members in KINDS.items()
        if all(kind in kinds for kind in members)
    }
    return CorruptionAccuracy(there, kinds, families, fmean(kinds.values()) if len(kinds) == len(names) else None)


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(1) == labels.to(logits.device)).double().mean())
