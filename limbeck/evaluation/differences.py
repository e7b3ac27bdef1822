"""Two runs on the same pictures: by how much one is the more accurate, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np
from scipy import stats

from limbeck.evaluation.statistics import beyond, mean_with_interval, paired_sample_interval

PAIRED = "paired by seed, Student t"
ONE = "one network each"
UNPAIRED = "seeds differ: not paired, Welch t"
Values = Mapping[int | None, float]
"""One figure a seed; a teacher's seed is None."""


class Difference(TypedDict):
    """By how much one run's figure is above another's.

    The difference of the means; ``ci95``, the half-width of its 95 % interval over seeds, null where one seed cannot
    tell; the seeds of both (``n`` of the first, ``n_reference``); the method; and ``sample_ci95``, the half-width that
    comes from the test pictures being a sample, null without the answers to them.
    """

    mean: float
    ci95: float | None
    n: int
    n_reference: int
    method: str
    sample_ci95: float | None


def difference(
    values: Values, reference: Values, right: np.ndarray | None = None, reference_right: np.ndarray | None = None
) -> Difference:
    """The difference of two runs' figures, paired where their seeds are the same.

    Args:
        values, reference: by seed; at least one of each.
        right, reference_right: (seeds, pictures) of each, on the same pictures, whatever is averaged over the pictures
            to give those figures: 1 where a network is right, else 0.
    """
    sample = None
    if right is not None and reference_right is not None:
        sample = paired_sample_interval((right.mean(0) - reference_right.mean(0))[None])
    if set(values) == set(reference):
        found = mean_with_interval([values[seed] - reference[seed] for seed in reference])
        mean, half, method = found["mean"], found["ci95"], ONE if set(values) == {None} else PAIRED
    else:
        mean = float(np.mean(list(values.values())) - np.mean(list(reference.values())))
        half, method = _welch(list(values.values()), list(reference.values())), UNPAIRED
    return Difference(
        mean=mean, ci95=half, n=len(values), n_reference=len(reference), method=method, sample_ci95=sample
    )


def told_apart(found: Difference) -> bool:
    """Whether a difference is more than the seeds and the pictures together let expect, taken as independent.

    Where seeds differ and one side has a single one, nobody can tell.
    """
    if found["ci95"] is None and found["method"] == UNPAIRED:
        return False
    doubts = found["ci95"], found["sample_ci95"]
    return doubts != (None, None) and beyond(found["mean"], *doubts)


def _welch(values: Sequence[float], reference: Sequence[float]) -> float | None:
    """The half-width for two independent samples of unequal variance (Welch, Biometrika 1947)."""
    if min(len(values), len(reference)) < 2:
        return None
    parts = [(float(np.var(some, ddof=1)) / len(some), len(some) - 1) for some in (values, reference)]
    variance = sum(part for part, _ in parts)
    if not variance:
        return 0.0
    freedom = variance**2 / sum(part**2 / own for part, own in parts)
    return float(stats.t.ppf(0.975, freedom)) * math.sqrt(variance)
