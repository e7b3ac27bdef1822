"""The losses against constants worked out by hand, and their properties."""

from __future__ import annotations

import math

import pytest
import torch

from limbeck.objectives import cross_entropy, kd_loss

LN3 = math.log(3)


class TestKD:
    @pytest.mark.parametrize(
        ("student", "teacher", "temperature", "by_hand"),
        [
            # teacher 3/4 : 1/4, student 1/2 : 1/2: 3/4 ln(3/2) + 1/4 ln(1/2)
            ([0.0, 0.0], [LN3, 0.0], 1, 0.1308120),
            # the two exchanged: 1/2 ln(2/3) + 1/2 ln 2; the divergence is not symmetric
            ([LN3, 0.0], [0.0, 0.0], 1, 0.1438410),
            # the same probabilities at T = 2, times 4
            ([0.0, 0.0], [2 * LN3, 0.0], 2, 0.5232481),
            # T = 1/2: a quarter
            ([0.0, 0.0], [LN3 / 2, 0.0], 0.5, 0.0327030),
            # teacher 1/2 : 1/4 : 1/4, student 1/3 each: 1/2 ln(3/2) + 1/2 ln(3/4)
            ([5.0, 5.0, 5.0], [math.log(2), 0.0, 0.0], 1, 0.0588915),
        ],
    )
    def test_by_hand(self, student: list[float], teacher: list[float], temperature: float, by_hand: float) -> None:
        loss = kd_loss(torch.tensor([student]), torch.tensor([teacher]), temperature)
        assert loss.shape == ()
        assert float(loss) == pytest.approx(by_hand, rel=2e-6)

    def test_the_mean_over_the_batch(self) -> None:
        student = torch.tensor([[0.0, 0.0], [1.0, 1.0], [LN3, 0.0], [7.0, 3.0]])
        teacher = torch.tensor([[LN3, 0.0], [LN3, 0.0], [0.0, 0.0], [7.0, 3.0]])
        assert float(kd_loss(student, teacher, 1)) == pytest.approx((2 * 0.1308120 + 0.1438410) / 4, abs=2e-7)


class TestCrossEntropy:
    @pytest.mark.parametrize(
        ("student", "label", "smoothing", "by_hand"),
        [
            ([0.0, 0.0], 0, 0.0, 0.6931472),  # ln 2
            ([LN3, 0.0], 0, 0.0, 0.2876821),  # ln 4/3
            ([LN3, 0.0], 1, 0.0, 1.3862944),  # ln 4
            # smoothing .2 makes the target .9 : .1: .9 ln 4/3 + .1 ln 4
            ([LN3, 0.0], 0, 0.2, 0.3975433),
        ],
    )
    def test_by_hand(self, student: list[float], label: int, smoothing: float, by_hand: float) -> None:
        loss = cross_entropy(torch.tensor([student]), torch.tensor([label]), smoothing)
        assert loss.shape == ()
        assert float(loss) == pytest.approx(by_hand, rel=2e-6)

    def test_the_mean_over_the_batch(self) -> None:
        loss = cross_entropy(torch.tensor([[0.0, 0.0], [LN3, 0.0]]), torch.tensor([0, 1]))
        assert float(loss) == pytest.approx((0.6931472 + 1.3862944) / 2, abs=2e-7)
