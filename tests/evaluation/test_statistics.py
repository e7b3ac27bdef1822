"""Means and intervals against tables and formulas of textbooks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from limbeck.evaluation import mean_with_interval, paired_sample_interval


class TestMeanWithInterval:
    @pytest.mark.parametrize(
        ("values", "mean", "half_width"),
        [
            # t(.975, 2) = 4.30265; deviation 1; 4.30265 / sqrt 3
            ([1.0, 2.0, 3.0], 2.0, 2.484138),
            # t(.975, 1) = 12.70620; deviation 1/sqrt 2; 12.70620 / 2
            ([0.0, 1.0], 0.5, 6.353102),
            # t(.975, 4) = 2.77645; deviation sqrt 2.5; 2.77645 sqrt(2.5 / 5)
            ([1.0, 2.0, 3.0, 4.0, 5.0], 3.0, 1.963243),
            # accuracies of three seeds: deviation .01
            ([0.90, 0.91, 0.92], 0.91, 0.02484138),
            ([0.5, 0.5, 0.5], 0.5, 0.0),
        ],
    )
    def test_by_hand(self, values: list[float], mean: float, half_width: float) -> None:
        estimate = mean_with_interval(values)
        assert estimate["mean"] == pytest.approx(mean)
        assert estimate["ci95"] == pytest.approx(half_width, rel=1e-6, abs=1e-12)
        assert estimate["n"] == len(values)

    def test_one_value_has_no_interval(self) -> None:
        assert mean_with_interval([0.25]) == {"mean": 0.25, "ci95": None, "n": 1}


class TestPairedSampleInterval:
    def test_by_hand(self) -> None:
        """Mean .2, variance .6 - .04 = .56; 1.96 sqrt(.56 / 5)."""
        assert paired_sample_interval(np.array([[1, 0, -1, 1, 0]])) == pytest.approx(0.655942, abs=1e-6)

    @pytest.mark.parametrize(("only_second", "only_first", "pictures"), [(30, 10, 100), (5, 5, 2000), (0, 7, 50)])
    def test_one_seed_is_mcnemars(self, only_second: int, only_first: int, pictures: int) -> None:
        """The standard error of a difference of paired shares: sqrt(b + c - (b - c)^2 / n) / n."""
        gains = np.zeros((1, pictures))
        gains[0, :only_second] = 1
        gains[0, only_second : only_second + only_first] = -1
        error = math.sqrt(only_second + only_first - (only_second - only_first) ** 2 / pictures) / pictures
        assert paired_sample_interval(gains) == pytest.approx(1.96 * error)

    def test_seeds_are_averaged_before_pictures_are_counted(self) -> None:
        """By picture 1, 0, 0, 0: mean .25, variance .1875; 1.96 sqrt(.1875 / 4)."""
        gains = np.array([[1, 1, -1, 0], [1, -1, 1, 0]])
        assert paired_sample_interval(gains) == pytest.approx(0.424352, abs=1e-6)

    def test_more_seeds_that_agree_do_not_make_the_sample_larger(self) -> None:
        gains = np.array([[1, 0, -1, 1, 0]])
        assert paired_sample_interval(gains.repeat(9, axis=0)) == pytest.approx(paired_sample_interval(gains))

    def test_four_times_the_pictures_halve_it(self) -> None:
        gains = np.array([[1, 0, -1, 1, 0]])
        assert paired_sample_interval(np.tile(gains, 4)) == pytest.approx(paired_sample_interval(gains) / 2)

    def test_networks_that_never_differ(self) -> None:
        assert paired_sample_interval(np.zeros((3, 10))) == 0
