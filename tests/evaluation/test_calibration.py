"""Probabilities and their calibration: against figures worked out by hand, and against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss
from torch import Tensor

from limbeck.evaluation.calibration import BINS, brier, ece, fit_temperature, nll, reliability

TWO = torch.tensor([[math.log(3), 0.0], [math.log(3), 0.0], [0.0, math.log(9)], [0.0, 0.0]])
"""Probabilities .75 .25, .75 .25, .1 .9 and .5 .5."""
LABELS = torch.tensor([0, 1, 1, -1])


@pytest.fixture
def random() -> tuple[Tensor, Tensor]:
    """400 pictures of 7 classes, about half of them right, by a network that is too sure."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 7, (400,), generator=generator)
    logits = torch.randn(400, 7, generator=generator) + 1.7 * torch.nn.functional.one_hot(labels, 7)
    return 2.5 * logits.double(), labels


def test_by_hand() -> None:
    """nll: -ln .75, -ln .25, -ln .9. Brier: 2 * .25^2, 2 * .75^2, 2 * .1^2. Bins: 11/15 to 12/15 and 13/15 to 14/15."""
    assert nll(TWO, LABELS) == pytest.approx((0.287682072 + 1.386294361 + 0.105360516) / 3, abs=1e-7)
    assert brier(TWO, LABELS) == pytest.approx((0.125 + 1.125 + 0.02) / 3, abs=1e-7)
    found = reliability(TWO, LABELS)
    assert found.counts.tolist() == [0] * 11 + [2, 0, 1, 0]
    assert found.confidence[[11, 13]].tolist() == pytest.approx([0.75, 0.9], abs=1e-7)
    assert found.accuracy[[11, 13]].tolist() == [0.5, 1.0]
    assert ece(TWO, LABELS) == found.ece() == pytest.approx(2 / 3 * 0.25 + 1 / 3 * 0.1, abs=1e-7)
    assert ece(TWO, LABELS, 1) == pytest.approx(0.8 - 2 / 3, abs=1e-7)


def test_as_plain_loops_have_it(random: tuple[Tensor, Tensor]) -> None:
    logits, labels = random
    probabilities = np.exp(logits.numpy())
    probabilities /= probabilities.sum(1, keepdims=True)
    assert nll(logits, labels) == pytest.approx(log_loss(labels.numpy(), probabilities), abs=1e-9)
    squares, bins = 0.0, [[] for _ in range(BINS)]  # type: list[list[tuple[float, bool]]]
    for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
        squares += sum((value - (place == label)) ** 2 for place, value in enumerate(row))
        bins[math.ceil(max(row) * BINS) - 1].append((max(row), row.index(max(row)) == label))
    assert brier(logits, labels) == pytest.approx(squares / 400, abs=1e-9)
    found = reliability(logits, labels)
    assert found.counts.tolist() == list(map(len, bins))
    gap = 0.0
    for place, content in enumerate(bins):
        if not content:
            assert math.isnan(found.confidence[place])
            assert math.isnan(found.accuracy[place])
            continue
        confidence, accuracy = (sum(values) / len(content) for values in zip(*content, strict=True))
        assert float(found.confidence[place]) == pytest.approx(confidence, abs=1e-9)
        assert float(found.accuracy[place]) == pytest.approx(accuracy, abs=1e-9)
        gap += len(content) / 400 * abs(accuracy - confidence)
    assert ece(logits, labels) == pytest.approx(gap, abs=1e-9)
    assert gap > 0.05


def test_a_bin_is_closed_above() -> None:
    """Confidences of exactly 1/2 and 1, with bins of which these are borders."""
    logits = torch.tensor([[0.0, 0.0], [2000.0, 0.0]])
    assert reliability(logits, torch.tensor([0, 0]), 4).counts.tolist() == [0, 1, 0, 1]


def test_certain_and_wrong_is_finite() -> None:
    logits, label = torch.tensor([[1e4, 0.0, -1e4]]), torch.tensor([2])
    assert nll(logits, label) == 2e4
    assert brier(logits, label) == 2
    assert ece(logits, label) == 1


def test_certain_and_right_is_perfect() -> None:
    logits, label = torch.tensor([[1e4, 0.0, -1e4]]), torch.tensor([0])
    assert [score(logits, label) for score in (nll, brier, ece)] == [0, 0, 0]


class TestTemperature:
    def test_by_hand(self) -> None:
        """Logits of 4 against 0, right in three of four: p = 3/4, so that 4 / T = ln 3."""
        logits = torch.tensor([[4.0, 0.0]]).repeat(4, 1)
        assert fit_temperature(logits, torch.tensor([0, 0, 0, 1])) == pytest.approx(4 / math.log(3), rel=1e-9)

    @pytest.mark.parametrize("factor", [0.05, 0.3, 1.0, 20.0])
    def test_it_has_the_least_nll(self, random: tuple[Tensor, Tensor], factor: float) -> None:
        logits, labels = random[0] * factor, random[1]
        found = fit_temperature(logits, labels)
        assert found is not None
        least = minimize_scalar(lambda log: nll(logits / math.exp(log), labels), bounds=(-4.6, 4.6), method="bounded")
        assert math.log(found) == pytest.approx(least.x, abs=1e-4)
        assert nll(logits / found, labels) <= least.fun + 1e-12
        assert all(nll(logits / (found * by), labels) > nll(logits / found, labels) for by in (0.999, 1.001))

    def test_it_is_of_the_logits_scale(self, random: tuple[Tensor, Tensor]) -> None:
        logits, labels = random
        once, twice = fit_temperature(logits, labels), fit_temperature(2 * logits + 5, labels)
        assert once is not None
        assert twice == pytest.approx(2 * once, rel=1e-9)
        assert fit_temperature(logits, labels) == once

    def test_answers_that_are_worse_than_a_guess_are_as_good_as_none(self, random: tuple[Tensor, Tensor]) -> None:
        assert fit_temperature(-random[0], random[1]) == 100

    def test_tiny_logits_get_the_least_temperature(self) -> None:
        logits = torch.tensor([[1e-4, 0.0]]).repeat(4, 1)
        assert fit_temperature(logits, torch.tensor([0, 0, 0, 1])) == 0.01

    @pytest.mark.parametrize("logits", [torch.tensor([[4.0, 0.0], [1.0, 3.0]]), torch.zeros(2, 2)])
    def test_a_network_that_is_never_wrong_has_none(self, logits: Tensor) -> None:
        assert fit_temperature(logits, torch.tensor([0, 1])) is None

    def test_pictures_without_a_label_do_not_count(self, random: tuple[Tensor, Tensor]) -> None:
        logits, labels = random
        hidden = torch.where(torch.arange(400) % 3 == 0, -1, labels)
        kept = hidden >= 0
        assert fit_temperature(logits, hidden) == fit_temperature(logits[kept], labels[kept])
