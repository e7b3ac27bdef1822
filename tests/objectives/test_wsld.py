"""Weighted soft labels against sums worked out in plain Python, and their properties."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from limbeck.objectives.wsld import wsld_loss

LABELS = torch.tensor([3, 0, 9, 3])


def logits(*shape: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_by_hand() -> None:
    # the teacher gives the label 1/2, the student all four classes 1/4: errors ln 2 and ln 4, a weight of 1 - e^-2,
    # and a soft cross-entropy of ln 4 whatever the teacher
    loss = wsld_loss(torch.zeros(1, 4), torch.tensor([[math.log(3), 0.0, 0.0, 0.0]]), torch.tensor([0]))
    assert float(loss) == pytest.approx(16 * 0.8646647 * 1.3862944, rel=1e-6)


def test_the_weight_goes_from_0_where_the_student_knows_to_1_where_only_the_teacher_does() -> None:
    knows, errs = torch.tensor([[20.0, 0.0, 0.0]]), torch.tensor([[0.0, 20.0, 0.0]])
    label = torch.tensor([0])
    assert wsld_loss(torch.tensor([[1e4, 0.0, 0.0]]), errs, label, 1) == 0
    soft = -(knows.softmax(1) * errs.log_softmax(1)).sum()
    torch.testing.assert_close(wsld_loss(errs, knows, label, 1), soft)
    # equal logits: 1 - 1/e
    equal = -(1 - math.exp(-1)) * (errs.softmax(1) * errs.log_softmax(1)).sum()
    torch.testing.assert_close(wsld_loss(errs, errs, label, 1), equal)


@pytest.mark.parametrize("temperature", [1, 4])
def test_the_weight_is_a_constant_for_the_gradient(temperature: float) -> None:
    student, teacher = logits(4, 10).requires_grad_(), logits(4, 10, seed=1).requires_grad_()
    wsld_loss(student, teacher, LABELS, temperature).backward()
    with torch.no_grad():
        errors = [-values.log_softmax(1).gather(1, LABELS[:, None]) for values in (student, teacher)]
        weight = 1 - torch.exp(-errors[0] / errors[1])
        difference = (student / temperature).softmax(1) - (teacher / temperature).softmax(1)
    torch.testing.assert_close(student.grad, temperature * weight * difference / 4, rtol=1e-4, atol=1e-6)
    assert teacher.grad is None
