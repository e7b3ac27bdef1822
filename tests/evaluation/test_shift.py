"""Wilson's interval, the line of CIFAR-10.1 and what lies above it, worked out by hand."""

from __future__ import annotations

import json
import math

import pytest

from limbeck.errors import LimbeckError
from limbeck.evaluation.results import Measurement
from limbeck.evaluation.shift import CIFAR10_1, Line, Share, effective_robustness, outside, shifts, wilson

HALF = Line("old", "new", 0.5, 0.25, 0.6, 0.9, 0.01, 5)


class TestWilson:
    @pytest.mark.parametrize(
        ("right", "count", "low", "high"),
        [
            # z^2 = 3.841459: (.5 +- sqrt(.25 z^2/4 + z^4/64)) with n = 4 gives .5 +- .349961
            (2, 4, 0.150039, 0.849961),
            (0, 10, 0.0, 0.277533),  # z^2 / (n + z^2)
            (10, 10, 0.722467, 1.0),
            (1690, 2000, 0.828479, 0.860198),  # scipy.stats.binomtest
        ],
    )
    def test_by_hand(self, right: int, count: int, low: float, high: float) -> None:
        found = wilson(Share(right, count))
        assert found.value == right / count
        assert (found.low, found.high) == pytest.approx((low, high), abs=2e-6)

    def test_its_ends_are_where_a_test_of_the_share_would_just_not_reject(self) -> None:
        """|p - end| is 1.96 standard errors at the end itself."""
        found = wilson(Share(1234, 2000))
        for end in found[1:]:
            assert abs(0.617 - end) / math.sqrt(end * (1 - end) / 2000) == pytest.approx(1.959964, rel=1e-6)

    def test_on_2000_pictures_it_is_1_6_points_wide_on_each_side(self) -> None:
        found = wilson(Share(1690, 2000))
        assert (found.high - found.low) / 2 == pytest.approx(0.016, abs=0.0005)

    @pytest.mark.parametrize(("right", "count"), [(1, 0), (0, 0), (3, 2), (-1, 2)])
    def test_what_is_no_accuracy_is_refused(self, right: int, count: int) -> None:
        with pytest.raises(LimbeckError, match=f"{right} right of {count} is no accuracy: give at least one picture"):
            wilson(Share(right, count))


class TestEffectiveRobustness:
    def test_by_hand(self) -> None:
        """8,000 of 10,000 lets 0.5 x .8 + .25 = .65 expect; 700 of 1,000 is .05 beyond it."""
        old, new = Share(8000, 10_000), Share(700, 1000)
        found = effective_robustness(old, new, HALF)
        assert found is not None
        assert found.expected == pytest.approx(0.65)
        assert found.residual == pytest.approx(0.05)
        # Wilson's intervals by scipy.stats.binomtest: .8 in (.792046, .807724), .7 in (.670876, .727593)
        assert found.low == pytest.approx(0.05 - math.hypot(0.029124, 0.5 * 0.007724), abs=2e-6)
        assert found.high == pytest.approx(0.05 + math.hypot(0.027593, 0.5 * 0.007954), abs=2e-6)

    def test_the_published_line(self) -> None:
        """1.595 x .9257 - .6318 = .8446915."""
        found = effective_robustness(Share(9257, 10_000), Share(1690, 2000))
        assert found is not None
        assert found.expected == pytest.approx(0.8446915)
        assert found.residual == pytest.approx(0.845 - 0.8446915)
        assert found.low < 0 < found.high
        assert CIFAR10_1[:2] == ("cifar10", "cifar10_1")

    def test_more_pictures_leave_less_doubt(self) -> None:
        few = effective_robustness(Share(80, 100), Share(70, 100), HALF)
        many = effective_robustness(Share(8000, 10_000), Share(7000, 10_000), HALF)
        assert few is not None
        assert many is not None
        assert many.residual == pytest.approx(few.residual)
        assert few.low < many.low < many.high < few.high

    @pytest.mark.parametrize(("right", "inside"), [(59, False), (60, True), (90, True), (91, False)])
    def test_beyond_the_networks_of_the_line_it_says_nothing(self, right: int, inside: bool) -> None:
        old = Share(right, 100)
        assert (effective_robustness(old, Share(50, 100), HALF) is not None) is inside
        assert (outside(old, HALF) is None) is inside

    def test_why_it_says_nothing(self) -> None:
        assert outside(Share(4584, 10_000)) == (
            "the published line of cifar10_1 against cifar10 was fitted to networks with 82% to 97% on cifar10; "
            "this one has 45.8%"
        )

    def test_a_set_without_pictures_is_refused_even_there(self) -> None:
        with pytest.raises(LimbeckError, match="0 right of 0 is no accuracy"):
            effective_robustness(Share(1, 100), Share(0, 0))

    def test_json_knows_it(self) -> None:
        found = effective_robustness(Share(80, 100), Share(70, 100), HALF)
        assert found is not None
        assert set(json.loads(json.dumps(found._asdict()))) == {"expected", "residual", "low", "high"}


class TestOfRuns:
    @staticmethod
    def measured(role: str, seed: int | None, dataset: str, right: int, n: int, split: str = "test") -> Measurement:
        return Measurement(role=role, seed=seed, dataset=dataset, split=split, metric="accuracy", value=right / n, n=n)

    def test_every_network_that_was_measured_on_both(self) -> None:
        measurements = [
            *(self.measured(role, seed, "cifar10", 9000, 10_000) for role, seed in (("teacher", None), ("alone", 1))),
            self.measured("teacher", None, "cifar10_1", 1640, 2000),
            self.measured("distilled", 1, "cifar10_1", 1640, 2000),
            self.measured("alone", 1, "cifar10_1", 1, 2000, split="holdout"),
        ]
        (entry,) = shifts(measurements)
        sure, above = wilson(Share(1640, 2000)), effective_robustness(Share(9000, 10_000), Share(1640, 2000))
        assert above is not None
        assert entry == {
            **{"role": "teacher", "seed": None, "original": "cifar10", "shifted": "cifar10_1"},
            **{"value": 0.82, "low": sure.low, "high": sure.high},
            **{"expected": above.expected, "residual": above.residual},
            **{"residual_low": above.low, "residual_high": above.high, "why": None},
        }

    def test_where_the_line_says_nothing(self) -> None:
        sets = [("cifar10", 4584, 10_000), ("cifar10_1", 776, 2000)]
        (entry,) = shifts([self.measured("alone", 0, *each) for each in sets])
        assert entry["value"] == 0.388
        assert {entry[name] for name in ("expected", "residual", "residual_low", "residual_high")} == {None}
        assert entry["why"] == outside(Share(4584, 10_000))
