"""Differences of two runs against figures worked out by hand, and against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from limbeck.evaluation.differences import ONE, PAIRED, UNPAIRED, difference, told_apart


def test_equal_seeds_are_paired() -> None:
    """Differences .01, .02, .03: mean .02, deviation .01, t(2) = 4.302653."""
    found = difference({0: 0.81, 1: 0.72, 2: 0.93}, {2: 0.90, 0: 0.80, 1: 0.70})
    assert found["mean"] == pytest.approx(0.02)
    assert found["ci95"] == pytest.approx(4.302653 * 0.01 / math.sqrt(3), rel=1e-6)
    assert (found["n"], found["n_reference"], found["method"], found["sample_ci95"]) == (3, 3, PAIRED, None)


def test_pairing_is_not_an_unpaired_interval_by_another_name() -> None:
    """Seeds that differ much, runs that differ by the same in each: only the paired interval is narrow."""
    reference = {0: 0.5, 1: 0.7, 2: 0.9}
    found = difference({seed: value + 0.01 for seed, value in reference.items()}, reference)
    assert found["ci95"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("seeds", [(3, 4, 5), (0, 1), (0, 1, 2, 3)])
def test_other_seeds_are_not_paired(seeds: tuple[int, ...]) -> None:
    ours = {seed: 0.9 + 0.01 * place**2 for place, seed in enumerate(seeds)}
    reference = {0: 0.80, 1: 0.84, 2: 0.81}
    found = difference(ours, reference)
    welch = stats.ttest_ind(list(ours.values()), list(reference.values()), equal_var=False).confidence_interval(0.95)
    assert found["method"] == UNPAIRED
    assert found["mean"] == pytest.approx(np.mean(list(ours.values())) - np.mean(list(reference.values())))
    assert found["ci95"] == pytest.approx((welch.high - welch.low) / 2)
    assert (found["n"], found["n_reference"]) == (len(seeds), 3)


def test_one_seed_or_one_teacher_has_no_interval_over_seeds() -> None:
    assert difference({0: 0.9}, {0: 0.8})["ci95"] is None
    assert difference({0: 0.9}, {0: 0.8, 1: 0.7})["ci95"] is None
    teachers = difference({None: 0.9}, {None: 0.8})
    assert (teachers["ci95"], teachers["method"]) == (None, ONE)


def test_two_that_never_vary_have_an_interval_of_nothing() -> None:
    assert difference({0: 0.9, 1: 0.9}, {2: 0.8, 3: 0.8})["ci95"] == 0


def test_the_doubt_from_the_pictures_is_paired_over_pictures() -> None:
    """By picture 1, 0, 0, -1/2: mean 1/8, deviation sqrt((1 + 1/4) / 4 - 1/64)."""
    ours, theirs = np.array([[1, 1, 0, 0], [1, 1, 0, 0]]), np.array([[0, 1, 0, 1], [0, 1, 0, 0]])
    found = difference({0: 0.5, 1: 0.5}, {0: 0.5, 1: 0.25}, ours, theirs)
    assert found["mean"] == pytest.approx(1 / 8)
    assert found["sample_ci95"] == pytest.approx(1.96 * math.sqrt(1.25 / 4 - 1 / 64) / 2)
    one = difference({0: 0.5}, {0: 0.5, 1: 0.25}, ours[:1], theirs)  # whatever the numbers of seeds are
    assert one["sample_ci95"] == found["sample_ci95"]


@pytest.mark.parametrize(
    ("ci95", "sample", "told"),
    [
        *((0.03, 0.03, True), (0.03, 0.045, False), (0.06, None, False)),
        *((0.04, None, True), (None, 0.04, True), (None, None, False)),
    ],
)
def test_what_can_be_told_from_nothing(ci95: float | None, sample: float | None, told: bool) -> None:
    """A difference of .05: sqrt(.03^2 + .03^2) = .042, sqrt(.03^2 + .045^2) = .054."""
    found = {**difference({0: 0.85}, {0: 0.8}), "ci95": ci95, "sample_ci95": sample}
    assert told_apart(found) is told  # type: ignore[arg-type]
    assert told_apart({**found, "mean": -0.05}) is told  # type: ignore[typeddict-item]
