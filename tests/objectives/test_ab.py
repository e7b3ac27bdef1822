"""The activation boundaries' hinge against values worked out by hand, and its properties."""

from __future__ import annotations

from typing import Literal, get_args

import pytest
import torch
from torch import Tensor

from limbeck.objectives.ab import ab_loss

Form = Literal["released", "paper"]
FORMS = get_args(Form)


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("student", "teacher", "cost"),
    [
        (0.5, 3.0, 0.25),  # on in both, half a margin short
        (2.0, 3.0, 0.0),  # on in both, beyond the margin
        (-2.0, 3.0, 9.0),  # off where the teacher is on: squared, not 3
        (0.5, -3.0, 2.25),  # on where the teacher is off
        (-2.0, -3.0, 0.0),  # off in both
        (0.5, 0.0, 2.25),  # 0 is off
    ],
)
def test_one_neuron(student: float, teacher: float, cost: float) -> None:
    pair = torch.tensor([[student]]), torch.tensor([[teacher]])
    assert float(ab_loss(*pair, form="paper")) == pytest.approx(cost, rel=1e-6)
    assert float(ab_loss(*pair)) == pytest.approx(cost * 3 / 1000, rel=1e-6)


def test_each_layer_counts_half_as_much_as_the_next() -> None:
    student, teacher = maps(2, 3, 4, 4), maps(2, 3, 4, 4, seed=1)
    for later in range(4):
        weighted = ab_loss(student, teacher, later_layers=later)
        torch.testing.assert_close(2.0**later * weighted, ab_loss(student, teacher))


@pytest.mark.parametrize("form", FORMS)
def test_what_it_does_not_depend_on(form: Form) -> None:
    student, teacher = maps(2, 3, 4, 4), maps(2, 3, 4, 4, seed=1)
    loss = ab_loss(student, teacher, form=form)
    torch.testing.assert_close(ab_loss(student, 100 * teacher, form=form), loss)
    torch.testing.assert_close(ab_loss(student, teacher.sign(), form=form), loss)
    torch.testing.assert_close(ab_loss(-student, -teacher, form=form), loss)
    torch.testing.assert_close(
        ab_loss(student.repeat(3, 1, 1, 1), teacher.repeat(3, 1, 1, 1), form=form), loss, rtol=1e-5, atol=0
    )


def test_zero_beyond_the_margin_on_the_teachers_side() -> None:
    teacher = maps(2, 3, 4, 4)
    assert float(ab_loss(1.01 * teacher.sign(), teacher)) == 0
    assert float(ab_loss(0.99 * teacher.sign(), teacher)) > 0
    assert float(ab_loss(1.01 * teacher.sign(), teacher, margin=2)) > 0


def test_the_gradient_goes_to_the_student_alone() -> None:
    student, teacher = torch.tensor([[0.5, 2.0, 0.5]], requires_grad=True), torch.tensor([[3.0, 3.0, -3.0]])
    teacher.requires_grad_()
    ab_loss(student, teacher, form="paper").backward()
    assert teacher.grad is None
    torch.testing.assert_close(student.grad, torch.tensor([[-1.0, 0.0, 3.0]]))
