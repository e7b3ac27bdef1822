"""Weighted soft labels against sums worked out in plain Python, and their properties."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives.wsld import wsld_loss

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


def softmax(values: list[float], temperature: float = 1) -> list[float]:
    powers = [math.exp(value / temperature) for value in values]
    return [power / sum(powers) for power in powers]


def by_hand(student: list[float], teacher: list[float], label: int, temperature: float) -> float:
    errors = [-math.log(softmax(row)[label]) for row in (student, teacher)]
    weight = 1 - math.exp(-errors[0] / errors[1])
    pairs = zip(softmax(teacher, temperature), softmax(student, temperature), strict=True)
    return temperature**2 * weight * -sum(t * math.log(s) for t, s in pairs)


STUDENT, TEACHER = [[2.0, -1.0, 0.5], [0.0, 1.0, 3.0]], [[1.0, 3.0, -2.0], [0.5, 0.5, 2.0]]


@pytest.mark.parametrize("temperature", [1, 4])
def test_by_hand(temperature: float) -> None:
    labels = [1, 2]
    rows = [by_hand(s, t, y, temperature) for s, t, y in zip(STUDENT, TEACHER, labels, strict=True)]
    loss = wsld_loss(torch.tensor(STUDENT), torch.tensor(TEACHER), torch.tensor(labels), temperature)
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(sum(rows) / 2, rel=1e-5)


def test_the_default_temperature_is_4() -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    assert torch.equal(wsld_loss(student, teacher, LABELS), wsld_loss(student, teacher, LABELS, 4))


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


def test_it_does_not_depend_on_the_batch_size_nor_on_unlabelled_pictures() -> None:
    student, teacher = logits(4, 10).requires_grad_(), logits(4, 10, seed=1)
    once = wsld_loss(student, teacher, LABELS)
    torch.testing.assert_close(wsld_loss(student.repeat(3, 1), teacher.repeat(3, 1), LABELS.repeat(3)), once)
    some = torch.tensor([3, -1, 9, -1])
    loss = wsld_loss(student, teacher, some)
    torch.testing.assert_close(loss, wsld_loss(student[some >= 0], teacher[some >= 0], some[some >= 0]))
    loss.backward()
    assert student.grad is not None
    assert student.grad.abs().sum(1).gt(0).tolist() == [True, False, True, False]
    assert wsld_loss(student, teacher, torch.full((4,), -1)) == 0


@pytest.mark.parametrize("temperature", [1, 4])
@pytest.mark.parametrize("label", [0, 1, 2, -1])
@pytest.mark.parametrize(("student", "teacher"), HARD)
def test_hard_inputs_stay_finite(student: list[float], teacher: list[float], label: int, temperature: float) -> None:
    answers = torch.tensor([student], requires_grad=True)
    loss = wsld_loss(answers, torch.tensor([teacher]), torch.tensor([label]), temperature)
    loss.backward()
    assert loss.isfinite()
    assert answers.grad is not None
    assert answers.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    student, teacher = logits(4, 10).to(dtype), logits(4, 10, seed=1).to(dtype)
    loss = wsld_loss(student, teacher, LABELS)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, wsld_loss(student.float(), teacher.float(), LABELS))


def test_it_compiles_and_leaves_its_inputs_alone() -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    compiled = torch.compile(wsld_loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(student, teacher, LABELS), wsld_loss(student, teacher, LABELS))
    assert torch.equal(student, logits(4, 10))
    assert torch.equal(teacher, logits(4, 10, seed=1))


def test_what_is_refused() -> None:
    with pytest.raises(LimbeckError, match=r"^temperature = 0 is not possible: it must be above 0\. Try 4\.$"):
        wsld_loss(logits(4, 10), logits(4, 10), LABELS, 0)
    with pytest.raises(LimbeckError, match=r"student logits \(4, 10\) and teacher logits \(4, 9\) differ in shape\."):
        wsld_loss(logits(4, 10), logits(4, 9), LABELS)
