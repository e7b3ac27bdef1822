"""New pictures of the same classes: how sure an accuracy on few of them is, and what it was to be expected to be."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from limbeck.errors import LimbeckError
from limbeck.evaluation.results import Measurement

_Z95 = 1.959963984540054


class Share(NamedTuple):
    """So many right of so many."""

    right: int
    pictures: int

    @property
    def value(self) -> float:
        """The accuracy, from 0 to 1."""
        return self.right / self.pictures


class Interval(NamedTuple):
    """A value and the ends of its 95 % interval; ``_asdict()`` is JSON."""

    value: float
    low: float
    high: float


class Line(NamedTuple):
    """Accuracy on a shifted set as a linear function of that on the original one, both from 0 to 1.

    Attributes:
        original, shifted: the names of the two data sets.
        slope, intercept: of the least-squares line.
        least, most: the original accuracies of the networks that it was fitted to; beyond them it says nothing.
        deviation: the standard deviation of those networks from it.
        networks: how many they were.
    """

    original: str
    shifted: str
    slope: float
    intercept: float
    least: float
    most: float
    deviation: float
    networks: int


CIFAR10_1 = Line("cifar10", "cifar10_1", 1.595, -0.6318, 0.82, 0.97, 0.0075, 30)
"""CIFAR-10.1 v6 against CIFAR-10: least squares through the accuracies of the 30 networks whose answers were published
with the pictures (github.com/modestyachts/CIFAR-10.1, model_predictions), from an AlexNet to Shake-Shake networks; R^2
.990. That a line through plain accuracies explains them well is a finding of the report they belong to: Recht, Roelofs,
Schmidt and Shankar, "Do CIFAR-10 classifiers generalize to CIFAR-10?", arXiv:1806.00451, 2018."""


class EffectiveRobustness(NamedTuple):
    """What a network scores above the line (Taori et al., NeurIPS 2020); ``_asdict()`` is JSON.

    Attributes:
        expected: the accuracy that the line gives on the shifted set.
        residual: the accuracy beyond it.
        low, high: the ends of the residual's 95 % interval, which comes from both sets being samples. It contains
            neither the line's own uncertainty nor that networks scatter around it by `Line.deviation`.
    """

    expected: float
    residual: float
    low: float
    high: float


def wilson(share: Share) -> Interval:
    """The 95 % interval of an accuracy that comes from the pictures being a sample (Wilson, JASA 1927).

    Raises:
        LimbeckError: no pictures, or more right than there are.
    """
    right, count = share
    if not 0 <= right <= count or not count:
        raise LimbeckError(f"{right} right of {count} is no accuracy: give at least one picture, and 0 to all right.")
    z = _Z95**2 / count
    middle = (share.value + z / 2) / (1 + z)
    half = math.sqrt(share.value * (1 - share.value) * z + z**2 / 4) / (1 + z)
    low = 0.0 if right == 0 else middle - half
    return Interval(share.value, low, 1.0 if right == count else middle + half)


def effective_robustness(original: Share, shifted: Share, line: Line = CIFAR10_1) -> EffectiveRobustness | None:
    """What a network scores on the shifted set beyond what is usual for its accuracy on the original one.

    The interval is that of a difference of two independent accuracies, from the Wilson interval of each (Newcombe,
    Statistics in Medicine 1998, method 10), with the line's slope.

    Args:
        original: of the line's original test set.
        shifted: of the shifted one.
        line: what is usual.

    Returns:
        None where the original accuracy lies outside of what the line was fitted to; `outside` says it in words.

    Raises:
        LimbeckError: as `wilson` raises it.
    """
    of_original, of_shifted = wilson(original), wilson(shifted)
    if outside(original, line):
        return None
    expected = line.slope * of_original.value + line.intercept
    residual = of_shifted.value - expected
    below = math.hypot(of_shifted.value - of_shifted.low, line.slope * (of_original.high - of_original.value))
    above = math.hypot(of_shifted.high - of_shifted.value, line.slope * (of_original.value - of_original.low))
    return EffectiveRobustness(expected, residual, residual - below, residual + above)


def outside(original: Share, line: Line = CIFAR10_1) -> str | None:
    """Why the line says nothing of a network; None where it does."""
    if line.least <= original.value <= line.most:
        return None
    return (
        f"the published line of {line.shifted} against {line.original} was fitted to networks with {line.least:.0%} to "
        f"{line.most:.0%} on {line.original}; this one has {original.value:.1%}"
    )


LINES = (CIFAR10_1,)
_RESIDUAL = ("expected", "residual", "residual_low", "residual_high")


def shifts(measurements: Iterable[Measurement]) -> list[dict[str, Any]]:
    """What results.json says of every network for each pair of test sets that has a line and was measured.

    Args:
        measurements: of results.json; accuracies on test sets are what is looked at.

    Returns:
        {role, seed, original, shifted, value, low, high, expected, residual, residual_low, residual_high, why} each.
    """
    right: dict[tuple[str, int | None], dict[str, Share]] = {}
    for m in measurements:
        if m["metric"] == "accuracy" and m["split"] == "test":
            share = Share(round(m["value"] * m["n"]), m["n"])
            right.setdefault((m["role"], m["seed"]), {})[m["dataset"]] = share
    return [
        {"role": role, "seed": seed, **_shifted(of[line.original], of[line.shifted], line)}
        for line in LINES
        for (role, seed), of in right.items()
        if line.original in of and line.shifted in of
    ]


def _shifted(original: Share, shifted: Share, line: Line) -> dict[str, Any]:
    above = effective_robustness(original, shifted, line)
    return {
        "original": line.original,
        "shifted": line.shifted,
        **wilson(shifted)._asdict(),
        **dict(zip(_RESIDUAL, above or [None] * len(_RESIDUAL), strict=True)),
        "why": outside(original, line),
    }
