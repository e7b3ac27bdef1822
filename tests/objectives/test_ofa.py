"""The one-for-all loss against sums worked out in plain Python, and its properties."""

from __future__ import annotations

import math
from typing import Literal, get_args

import pytest
import torch
from torch import Tensor

from limbeck.objectives.ofa import ofa_loss

Form = Literal["released", "paper"]
FORMS = pytest.mark.parametrize("form", get_args(Form))
LABELS = torch.tensor([3, 0, 9, 3])


def logits(*shape: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("form", "weights"), [("released", 5 / 4 + 2 / 16), ("paper", 5 / 4 + 2 / 4)])
def test_by_hand(form: Form, weights: float) -> None:
    # the teacher says 1/2 : 1/4 : 1/4, the student 1/3 each; at eps = 2 the label weighs (3/2)² - 1
    loss = ofa_loss(torch.zeros(1, 3), torch.tensor([[math.log(2), 0.0, 0.0]]), torch.tensor([0]), 2, form=form)
    assert float(loss) == pytest.approx(weights * 1.0986123, rel=1e-6)


@FORMS
def test_at_eps_1_it_is_the_cross_entropy_with_the_teacher_and_the_labels_do_not_matter(form: Form) -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    soft = -(teacher.softmax(1) * student.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(ofa_loss(student, teacher, LABELS, form=form), soft)
    torch.testing.assert_close(ofa_loss(student, teacher, LABELS.flip(0), form=form), soft)


@FORMS
def test_above_1_a_sure_teacher_counts_for_more(form: Form) -> None:
    student, label = torch.zeros(1, 10), torch.tensor([0])
    sure = torch.tensor([[1e4] + [0.0] * 9])
    for eps in (1, 2, 3):
        assert ofa_loss(student, sure, label, eps, form=form).item() == pytest.approx((2**eps - 1) * math.log(10))


@FORMS
def test_there_is_no_factor_t_squared_and_a_constant_added_to_a_row_changes_nothing(form: Form) -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    plain = ofa_loss(student, teacher, LABELS, 1.5, form=form)
    torch.testing.assert_close(ofa_loss(4 * student, 4 * teacher, LABELS, 1.5, 4, form), plain)
    shifted = student + logits(4, 1, seed=2), teacher + logits(4, 1, seed=3)
    torch.testing.assert_close(ofa_loss(*shifted, LABELS, 1.5, form=form), plain)
