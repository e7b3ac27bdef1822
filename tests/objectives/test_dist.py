"""Distillation by correlation against Python's own statistics, and its properties."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives.dist import dist_loss


def logits(*shape: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_by_hand() -> None:
    # the teacher says 1/2 : 1/3 : 1/6, the student 1/3 : 1/2 : 1/6; less 1/3, in sixths: (1, 0, -1) and (0, 1, -1)
    shares = torch.tensor([[[2.0, 3.0, 1.0]], [[3.0, 2.0, 1.0]]])
    student, teacher = shares.log()
    assert float(dist_loss(student, teacher, 1, gamma=0)) == pytest.approx(0.5, rel=1e-5)
    assert float(dist_loss(3 * student, 3 * teacher, 3, beta=2, gamma=0)) == pytest.approx(9, rel=1e-5)
    # two pictures: the student's columns fall, rise and stay, the teacher's fall and rise the other way about
    both = torch.cat([student, teacher]), torch.cat([teacher, student])
    assert float(dist_loss(*both, 1, beta=0)) == pytest.approx(1 - (-1 - 1 + 0) / 3, rel=1e-5)


@pytest.mark.parametrize("gamma", [0, 1])
def test_opposites_are_as_far_apart_as_can_be(gamma: float) -> None:
    # of two classes, and of two pictures, the correlation can only be 1 or -1
    student = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert dist_loss(student, 3 * student, 2, 1, gamma).item() == pytest.approx(0, abs=1e-5)
    assert dist_loss(student, -3 * student, 2, 1, gamma).item() == pytest.approx(4 * (2 + 2 * gamma), rel=1e-5)


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
