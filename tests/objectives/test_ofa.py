"""The one-for-all loss against sums worked out in plain Python, and its properties."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives.ofa import ofa_loss

Form = Literal["released", "paper"]
FORMS = pytest.mark.parametrize("form", get_args(Form))
LABELS = torch.tensor([3, 0, 9, 3])
HARD = [
    ([1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]),
    ([1e4, -1e4, 0.0], [1e4, -1e4, 0.0]),
    ([7.0, 7.0, 7.0], [1e4, 0.0, 0.0]),
    ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
    ([-1e4, -1e4, -1e4], [1e4, 1e4, 1e4]),
]


def logits(*shape: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def softmax(values: list[float], temperature: float) -> list[float]:
    powers = [math.exp(value / temperature) for value in values]
    return [power / sum(powers) for power in powers]


def by_hand(
    student: list[float], teacher: list[float], label: int, eps: float, temperature: float, form: Form
) -> float:
    total = 0.0
    for c, (s, t) in enumerate(zip(softmax(student, temperature), softmax(teacher, temperature), strict=True)):
        if c == label:
            total -= ((t + 1) ** eps - 1) * math.log(s)
        else:
            total -= (t if form == "paper" else t**eps) * math.log(s)
    return total


STUDENT, TEACHER = [[2.0, -1.0, 0.5], [0.0, 1.0, 3.0]], [[1.0, 3.0, -2.0], [0.5, 0.5, 2.0]]


@FORMS
@pytest.mark.parametrize(("eps", "temperature"), [(1, 1), (1.5, 1), (2, 4), (0.5, 1)])
def test_by_hand(eps: float, temperature: float, form: Form) -> None:
    labels = [1, 2]
    rows = [by_hand(s, t, y, eps, temperature, form) for s, t, y in zip(STUDENT, TEACHER, labels, strict=True)]
    loss = ofa_loss(torch.tensor(STUDENT), torch.tensor(TEACHER), torch.tensor(labels), eps, temperature, form)
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(sum(rows) / 2, rel=1e-5)


def test_the_defaults() -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    assert torch.equal(ofa_loss(student, teacher, LABELS), ofa_loss(student, teacher, LABELS, 1, 1, "released"))


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


@FORMS
def test_it_does_not_depend_on_the_batch_size_nor_on_unlabelled_pictures(form: Form) -> None:
    student, teacher = logits(4, 10).requires_grad_(), logits(4, 10, seed=1)
    once = ofa_loss(student, teacher, LABELS, 1.5, form=form)
    thrice = ofa_loss(student.repeat(3, 1), teacher.repeat(3, 1), LABELS.repeat(3), 1.5, form=form)
    torch.testing.assert_close(thrice, once)
    some = torch.tensor([3, -1, 9, -1])
    loss = ofa_loss(student, teacher, some, 1.5, form=form)
    alone = ofa_loss(student[some >= 0], teacher[some >= 0], some[some >= 0], 1.5, form=form)
    torch.testing.assert_close(loss, alone)
    loss.backward()
    assert student.grad is not None
    assert student.grad.abs().sum(1).gt(0).tolist() == [True, False, True, False]
    assert ofa_loss(student, teacher, torch.full((4,), -1), form=form) == 0


@FORMS
def test_the_gradient_is_the_numeric_one_and_none_reaches_the_teacher(form: Form) -> None:
    student, teacher = logits(4, 10).requires_grad_(), logits(4, 10, seed=1).requires_grad_()
    ofa_loss(student, teacher, LABELS, 1.5, 2, form).backward()
    direction, step = logits(4, 10, seed=2) / 3, 1e-2
    with torch.no_grad():
        up, down = (ofa_loss(student + sign * step * direction, teacher, LABELS, 1.5, 2, form) for sign in (1, -1))
    assert student.grad is not None
    assert (student.grad * direction).sum().item() == pytest.approx((up - down).item() / (2 * step), rel=1e-3)
    assert teacher.grad is None


@FORMS
@pytest.mark.parametrize("eps", [0.5, 1, 3])
@pytest.mark.parametrize("label", [0, 1, 2, -1])
@pytest.mark.parametrize(("student", "teacher"), HARD)
def test_hard_inputs_stay_finite(
    student: list[float], teacher: list[float], label: int, eps: float, form: Form
) -> None:
    answers = torch.tensor([student], requires_grad=True)
    loss = ofa_loss(answers, torch.tensor([teacher]), torch.tensor([label]), eps, form=form)
    loss.backward()
    assert loss.isfinite()
    assert answers.grad is not None
    assert answers.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    student, teacher = logits(4, 10).to(dtype), logits(4, 10, seed=1).to(dtype)
    loss = ofa_loss(student, teacher, LABELS, 1.5)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, ofa_loss(student.float(), teacher.float(), LABELS, 1.5))


@FORMS
def test_it_compiles_and_leaves_its_inputs_alone(form: Form) -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    compiled = torch.compile(ofa_loss, fullgraph=True, backend="eager")
    expected = ofa_loss(student, teacher, LABELS, 1.5, form=form)
    torch.testing.assert_close(compiled(student, teacher, LABELS, 1.5, form=form), expected)
    assert torch.equal(student, logits(4, 10))
    assert torch.equal(teacher, logits(4, 10, seed=1))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"eps": 0}, r"^eps = 0 is not possible: it must be above 0\. Try 1\.$"),
        ({"temperature": -1}, r"^temperature = -1 is not possible: it must be above 0\. Try 1\.$"),
    ],
)
def test_impossible_values(values: Any, message: str) -> None:
    with pytest.raises(LimbeckError, match=message):
        ofa_loss(logits(4, 10), logits(4, 10), LABELS, **values)


def test_shapes_that_differ() -> None:
    with pytest.raises(LimbeckError, match=r"student logits \(4, 10\) and teacher logits \(4, 9\) differ in shape\."):
        ofa_loss(logits(4, 10), logits(4, 9), LABELS)
