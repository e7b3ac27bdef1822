"""Transformed teacher matching against sums worked out in plain Python, and its properties."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from limbeck.objectives import kd_loss
from limbeck.objectives.ttm import ttm_loss, wttm_loss

BOTH = pytest.mark.parametrize("loss", [ttm_loss, wttm_loss])
Loss = Callable[..., Tensor]


def logits(*shape: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_by_hand() -> None:
    # the teacher says 4/5 : 1/5; roots 2 : 1 over √5, so q = 2/3 : 1/3, against 1/2 : 1/2: 2/3 ln(4/3) + 1/3 ln(2/3)
    student, teacher = torch.zeros(1, 2), torch.tensor([[math.log(4), 0.0]])
    assert float(ttm_loss(student, teacher, 0.5)) == pytest.approx(0.0566330, rel=2e-6)
    assert float(wttm_loss(student, teacher, 0.5)) == pytest.approx(0.0566330 * 3 / math.sqrt(5), rel=2e-6)


@BOTH
def test_at_gamma_1_it_is_kd_at_temperature_1(loss: Loss) -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    torch.testing.assert_close(loss(student, teacher, 1), kd_loss(student, teacher, 1))


@BOTH
@pytest.mark.parametrize("gamma", [0.1, 0.5])
def test_zero_where_the_student_says_the_teachers_power_and_not_at_equal_logits(loss: Loss, gamma: float) -> None:
    teacher = logits(4, 10)
    assert loss(gamma * teacher + logits(4, 1, seed=2), teacher, gamma).item() == pytest.approx(0, abs=1e-5)
    assert loss(teacher, teacher, gamma) > 0.1


@pytest.mark.parametrize("gamma", [0.1, 0.5])
def test_the_weight_goes_from_1_for_a_certain_teacher_to_a_power_of_the_classes(gamma: float) -> None:
    student = logits(1, 10)
    knowing, clueless = torch.tensor([[1e4] + [0.0] * 9]), torch.zeros(1, 10)
    torch.testing.assert_close(wttm_loss(student, knowing, gamma), ttm_loss(student, knowing, gamma))
    expected = 10 ** (1 - gamma) * ttm_loss(student, clueless, gamma)
    torch.testing.assert_close(wttm_loss(student, clueless, gamma), expected)
