"""Means with their uncertainty: over seeds, and from the size of the test set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from scipy import stats


class Estimate(TypedDict):
    """A mean, the half-width of its 95 % interval (None for a single value), and the number of values."""

    mean: float
    ci95: float | None
    n: int


def mean_with_interval(values: Sequence[float]) -> Estimate:
    """Mean and 95 % Student-t half-width of independent values (one a seed); null half-width for a single value."""
    count, mean = len(values), float(np.mean(values))
    if count < 2:
        return {"mean": mean, "ci95": None, "n": count}
    error = float(np.std(values, ddof=1)) / math.sqrt(count)
    return {"mean": mean, "ci95": float(stats.t.ppf(0.975, count - 1)) * error, "n": count}


def paired_sample_interval(gains: np.ndarray) -> float:
    """The 95 % half-width of a gain that comes from the test pictures being a sample.

    Args:
        gains: (seeds, pictures), for each picture 1 where only the second network is right, -1 where only the first
            one is, else 0. Seeds are averaged first, so that the picture is the unit.

    Returns:
        1.96 standard errors of the mean over pictures. For one seed this is the interval that belongs to McNemar's
        test (Psychometrika 1947), by the normal approximation.
    """
    by_picture = np.asarray(gains, dtype=np.float64).mean(axis=0)
    return 1.96 * float(by_picture.std()) / math.sqrt(by_picture.size)


def together(*doubts: float | None) -> float:
    """Half-widths as one, taken as independent; None stands for none."""
    return math.hypot(*(half or 0.0 for half in doubts))


def beyond(mean: float, *doubts: float | None) -> bool:
    """Whether a mean is farther from 0 than these half-widths `together`."""
    return abs(mean) > together(*doubts)
