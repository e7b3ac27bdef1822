"""Transformed teacher matching against sums worked out in plain Python, and its properties."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives import kd_loss
from limbeck.objectives.ttm import ttm_loss, wttm_loss

BOTH = pytest.mark.parametrize("loss", [ttm_loss, wttm_loss])
Loss = Callable[..., Tensor]


def logits(*shape: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def softmax(values: list[float]) -> list[float]:
    powers = [math.exp(value) for value in values]
    return [power / sum(powers) for power in powers]


def by_hand(student: list[float], teacher: list[float], gamma: float) -> tuple[float, float]:
    powers = [p**gamma for p in softmax(teacher)]
    wanted = [power / sum(powers) for power in powers]
    return sum(q * math.log(q / s) for q, s in zip(wanted, softmax(student), strict=True)), sum(powers)


STUDENT, TEACHER = [[2.0, -1.0, 0.5], [0.0, 1.0, 3.0]], [[1.0, 3.0, -2.0], [0.5, 0.5, 2.0]]


@pytest.mark.parametrize("gamma", [0.1, 0.5, 2])
def test_by_hand(gamma: float) -> None:
    rows = [by_hand(s, t, gamma) for s, t in zip(STUDENT, TEACHER, strict=True)]
    student, teacher = torch.tensor(STUDENT), torch.tensor(TEACHER)
    plain, weighted = ttm_loss(student, teacher, gamma), wttm_loss(student, teacher, gamma)
    assert plain.shape == weighted.shape == ()
    assert plain.dtype == weighted.dtype == torch.float32
    assert plain.item() == pytest.approx(sum(divergence for divergence, _ in rows) / 2, rel=1e-5)
    assert weighted.item() == pytest.approx(sum(divergence * weight for divergence, weight in rows) / 2, rel=1e-5)


@BOTH
def test_the_default_power(loss: Loss) -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    assert torch.equal(loss(student, teacher), loss(student, teacher, 0.1))


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


@BOTH
def test_it_does_not_depend_on_the_size_of_the_batch(loss: Loss) -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    torch.testing.assert_close(loss(student.repeat(3, 1), teacher.repeat(3, 1)), loss(student, teacher))


def test_the_gradient_is_the_difference_of_the_probabilities_and_none_reaches_the_teacher() -> None:
    student, teacher = logits(4, 10).requires_grad_(), logits(4, 10, seed=1).requires_grad_()
    difference = (student.softmax(1) - (0.1 * teacher).softmax(1)).detach()
    ttm_loss(student, teacher).backward()
    torch.testing.assert_close(student.grad, difference / 4)
    student.grad = None
    wttm_loss(student, teacher).backward()
    weights = teacher.detach().softmax(1).pow(0.1).sum(1, keepdim=True)
    torch.testing.assert_close(student.grad, weights * difference / 4)
    assert teacher.grad is None


@BOTH
@pytest.mark.parametrize("gamma", [0.1, 1])
@pytest.mark.parametrize(
    ("student", "teacher"),
    [
        ([1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]),
        ([1e4, -1e4, 0.0], [1e4, -1e4, 0.0]),
        ([7.0, 7.0, 7.0], [1e4, 0.0, 0.0]),
        ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
        ([-1e4, -1e4, -1e4], [1e4, 1e4, 1e4]),
    ],
)
def test_hard_inputs_stay_finite(loss: Loss, student: list[float], teacher: list[float], gamma: float) -> None:
    answers = torch.tensor([student], requires_grad=True)
    value = loss(answers, torch.tensor([teacher]), gamma)
    value.backward()
    assert value.isfinite()
    assert answers.grad is not None
    assert answers.grad.isfinite().all()


@BOTH
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(loss: Loss, dtype: torch.dtype) -> None:
    student, teacher = logits(8, 100).to(dtype), logits(8, 100, seed=1).to(dtype)
    assert loss(student, teacher).dtype == torch.float32
    assert torch.equal(loss(student, teacher), loss(student.float(), teacher.float()))


@BOTH
def test_it_compiles_and_leaves_its_inputs_alone(loss: Loss) -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    compiled = torch.compile(loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(student, teacher), loss(student, teacher))
    assert torch.equal(student, logits(4, 10))
    assert torch.equal(teacher, logits(4, 10, seed=1))


@BOTH
def test_what_is_refused(loss: Loss) -> None:
    with pytest.raises(LimbeckError, match=r"^gamma = 0 is not possible: it must be above 0\. Try 0\.1\.$"):
        loss(logits(4, 10), logits(4, 10), 0)
    with pytest.raises(LimbeckError, match=r"student logits \(4, 10\) and teacher logits \(4, 9\) differ in shape\."):
        loss(logits(4, 10), logits(4, 9))
