"""Distillation by correlation against Python's own statistics, and its properties."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives.dist import dist_loss

PARTS = [(1, 0), (0, 1), (2, 3)]


def logits(*shape: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def softmax(values: list[float], temperature: float) -> list[float]:
    powers = [math.exp(value / temperature) for value in values]
    return [power / sum(powers) for power in powers]


STUDENT = [[2.0, -1.0, 0.5, 0.0], [0.0, 1.0, 3.0, -1.0], [1.0, 1.0, -2.0, 0.0]]
TEACHER = [[1.0, 3.0, -2.0, 0.5], [0.5, 0.5, 2.0, 1.0], [3.0, 0.0, -1.0, 0.0]]


@pytest.mark.parametrize("temperature", [1, 4])
@pytest.mark.parametrize(("beta", "gamma"), PARTS)
def test_by_hand(temperature: float, beta: float, gamma: float) -> None:
    student = [softmax(row, temperature) for row in STUDENT]
    teacher = [softmax(row, temperature) for row in TEACHER]
    rows = statistics.mean(map(statistics.correlation, student, teacher))
    columns = statistics.mean(map(statistics.correlation, zip(*student, strict=True), zip(*teacher, strict=True)))
    loss = dist_loss(torch.tensor(STUDENT), torch.tensor(TEACHER), temperature, beta, gamma)
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(temperature**2 * (beta * (1 - rows) + gamma * (1 - columns)), rel=1e-5)


def test_the_defaults() -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    assert torch.equal(dist_loss(student, teacher), dist_loss(student, teacher, 4, 1, 1))


@pytest.mark.parametrize("gamma", [0, 1])
def test_opposites_are_as_far_apart_as_can_be(gamma: float) -> None:
    # of two classes, and of two pictures, the correlation can only be 1 or -1
    student = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert dist_loss(student, 3 * student, 2, 1, gamma).item() == pytest.approx(0, abs=1e-5)
    assert dist_loss(student, -3 * student, 2, 1, gamma).item() == pytest.approx(4 * (2 + 2 * gamma), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 4])
def test_the_factor_t_squared(temperature: float) -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    scaled = dist_loss(temperature * student, temperature * teacher, temperature)
    torch.testing.assert_close(scaled, temperature**2 * dist_loss(student, teacher, 1))


@pytest.mark.parametrize(("beta", "gamma"), PARTS)
def test_zero_at_equal_logits_and_positive_elsewhere(beta: float, gamma: float) -> None:
    student = logits(8, 10)
    equal = dist_loss(student, student + logits(8, 1, seed=2), 4, beta, gamma)
    assert equal.item() == pytest.approx(0, abs=2e-3)
    assert dist_loss(student, logits(8, 10, seed=1), 4, beta, gamma) > 1


def test_classes_that_hardly_occur_are_damped() -> None:
    student, teacher = logits(8, 10), logits(8, 10, seed=1)
    rare = torch.tensor([0.0] * 9 + [-20.0])  # the norms' product is about 1e-16, far below the 1e-8 added to it
    within = dist_loss(student + rare, teacher + rare, 1, 0, 1)
    kept = [(values + rare).softmax(1).double().T[:9] for values in (student, teacher)]
    correlations = [torch.corrcoef(torch.stack(pair))[0, 1].item() for pair in zip(*kept, strict=True)]
    assert within.item() == pytest.approx(1 - sum(correlations) / 10, abs=1e-5)


def test_repeating_the_batch_changes_nothing() -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    repeated = dist_loss(student.repeat(3, 1), teacher.repeat(3, 1))
    torch.testing.assert_close(repeated, dist_loss(student, teacher), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("beta", "gamma"), PARTS)
def test_the_gradient_is_the_numeric_one_and_none_reaches_the_teacher(beta: float, gamma: float) -> None:
    student, teacher = logits(4, 10).requires_grad_(), logits(4, 10, seed=1).requires_grad_()
    dist_loss(student, teacher, 4, beta, gamma).backward()
    direction, step = logits(4, 10, seed=2) / 3, 1e-2
    with torch.no_grad():
        up, down = (dist_loss(student + sign * step * direction, teacher, 4, beta, gamma) for sign in (1, -1))
    assert student.grad is not None
    assert (student.grad * direction).sum().item() == pytest.approx((up - down).item() / (2 * step), rel=2e-3)
    assert teacher.grad is None


@pytest.mark.parametrize("value", [0.0, 3.3, -0.1, 1e4, -1e4])
@pytest.mark.parametrize("classes", [3, 10, 100])
def test_a_constant_row_counts_as_uncorrelated_and_gets_no_gradient(value: float, classes: int) -> None:
    student, teacher = torch.full((4, classes), value, requires_grad=True), logits(4, classes, seed=1)
    loss = dist_loss(student, teacher, 4, 1, 0)
    loss.backward()
    assert loss == 16
    assert student.grad is not None
    assert not student.grad.any()
    assert dist_loss(teacher, student.detach(), 4, 1, 0) == 16


def test_a_batch_of_equal_rows_counts_as_uncorrelated_and_gets_no_gradient() -> None:
    student, teacher = logits(1, 10).repeat(4, 1).requires_grad_(), logits(4, 10, seed=1)
    loss = dist_loss(student, teacher, 4, 0, 1)
    loss.backward()
    assert loss == 16
    assert student.grad is not None
    assert not student.grad.any()


@pytest.mark.parametrize("temperature", [1, 4])
@pytest.mark.parametrize("repeats", [1, 3])
def test_hard_inputs_stay_finite_and_their_gradients_small(temperature: float, repeats: int) -> None:
    rows = [[1e4, -1e4, 0.0], [7.0, 7.0, 7.0], [0.0, 0.0, 0.0], [-1e4, -1e4, -1e4], [1.0, 2.0, -60.0]]
    student = torch.tensor(rows).repeat(repeats, 1).requires_grad_()
    loss = dist_loss(student, student.detach().roll(1, 0).roll(1, 1), temperature)
    loss.backward()
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.abs().max() < 100


def test_a_batch_of_one_has_rows_only() -> None:
    student, teacher = logits(1, 10), logits(1, 10, seed=1)
    both = dist_loss(student.repeat(2, 1), teacher.repeat(2, 1), gamma=0)
    torch.testing.assert_close(dist_loss(student, teacher, gamma=0), both)
    with pytest.raises(LimbeckError, match=r"^a batch of 1 is not possible: .* batches of at least 2, or gamma = 0\.$"):
        dist_loss(student, teacher)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    student, teacher = logits(8, 100).to(dtype), logits(8, 100, seed=1).to(dtype)
    loss = dist_loss(student, teacher)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, dist_loss(student.float(), teacher.float()))


def test_it_compiles_and_leaves_its_inputs_alone() -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    compiled = torch.compile(dist_loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(student, teacher), dist_loss(student, teacher))
    assert torch.equal(student, logits(4, 10))
    assert torch.equal(teacher, logits(4, 10, seed=1))


def test_what_is_refused() -> None:
    with pytest.raises(LimbeckError, match=r"^temperature = 0 is not possible: it must be above 0\. Try 4\.$"):
        dist_loss(logits(4, 10), logits(4, 10), 0)
    with pytest.raises(LimbeckError, match=r"student logits \(4, 10\) and teacher logits \(4, 9\) differ in shape\."):
        dist_loss(logits(4, 10), logits(4, 9))
