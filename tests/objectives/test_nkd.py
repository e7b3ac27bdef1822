"""Normalised distillation against sums worked out in plain Python, and its properties."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives.nkd import nkd_loss

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


def softmax(values: list[float]) -> list[float]:
    powers = [math.exp(value) for value in values]
    return [power / sum(powers) for power in powers]


def by_hand(student: list[float], teacher: list[float], label: int, temperature: float, gamma: float) -> float:
    target = softmax(teacher)[label] * math.log(softmax(student)[label])
    hats = [softmax([z / temperature for i, z in enumerate(row) if i != label]) for row in (student, teacher)]
    others = sum(t * math.log(s) for s, t in zip(*hats, strict=True))
    return -target - gamma * temperature**2 * others


STUDENT, TEACHER = [[2.0, -1.0, 0.5], [0.0, 1.0, 3.0]], [[1.0, 3.0, -2.0], [0.5, 0.5, 2.0]]


@pytest.mark.parametrize(("temperature", "gamma"), [(1, 1.5), (3, 3.5), (3, 0)])
def test_by_hand(temperature: float, gamma: float) -> None:
    labels = [1, 2]
    rows = [by_hand(s, t, y, temperature, gamma) for s, t, y in zip(STUDENT, TEACHER, labels, strict=True)]
    loss = nkd_loss(torch.tensor(STUDENT), torch.tensor(TEACHER), torch.tensor(labels), temperature, gamma)
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(sum(rows) / 2, rel=1e-5)


def test_the_defaults() -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    assert torch.equal(nkd_loss(student, teacher, LABELS), nkd_loss(student, teacher, LABELS, 1, 1.5))


@pytest.mark.parametrize("size", [5.0, 1e4, -1e4])
def test_the_second_part_does_not_see_the_label(size: float) -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    changed = student.scatter(1, LABELS[:, None], size), teacher.scatter(1, LABELS[:, None], -1e4)  # t_y = 0
    target = teacher.softmax(1).gather(1, LABELS[:, None]) * student.log_softmax(1).gather(1, LABELS[:, None])
    torch.testing.assert_close(nkd_loss(*changed, LABELS), nkd_loss(student, teacher, LABELS) + target.mean())


def test_the_first_part_is_at_temperature_1_and_the_second_has_t_squared() -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    first = nkd_loss(student, teacher, LABELS, 1, 0)
    torch.testing.assert_close(nkd_loss(student, teacher, LABELS, 5, 0), first)
    second = nkd_loss(student, teacher, LABELS, 1, 1) - first
    scaled = nkd_loss(5 * student, 5 * teacher, LABELS, 5, 1) - nkd_loss(5 * student, 5 * teacher, LABELS, 5, 0)
    torch.testing.assert_close(scaled, 25 * second)


def test_a_constant_added_to_a_row_changes_nothing() -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    shifted = nkd_loss(student + logits(4, 1, seed=2), teacher + logits(4, 1, seed=3), LABELS)
    torch.testing.assert_close(shifted, nkd_loss(student, teacher, LABELS))


def test_it_does_not_depend_on_the_batch_size_nor_on_unlabelled_pictures() -> None:
    student, teacher = logits(4, 10).requires_grad_(), logits(4, 10, seed=1)
    once = nkd_loss(student, teacher, LABELS)
    torch.testing.assert_close(nkd_loss(student.repeat(3, 1), teacher.repeat(3, 1), LABELS.repeat(3)), once)
    some = torch.tensor([3, -1, 9, -1])
    loss = nkd_loss(student, teacher, some)
    torch.testing.assert_close(loss, nkd_loss(student[some >= 0], teacher[some >= 0], some[some >= 0]))
    loss.backward()
    assert student.grad is not None
    assert student.grad.abs().sum(1).gt(0).tolist() == [True, False, True, False]
    assert nkd_loss(student, teacher, torch.full((4,), -1)) == 0


@pytest.mark.parametrize("gamma", [0, 1.5])
def test_the_gradient_is_the_numeric_one_and_none_reaches_the_teacher(gamma: float) -> None:
    student, teacher = logits(4, 10).requires_grad_(), logits(4, 10, seed=1).requires_grad_()
    nkd_loss(student, teacher, LABELS, 2, gamma).backward()
    direction, step = logits(4, 10, seed=2) / 3, 1e-2
    with torch.no_grad():
        up, down = (nkd_loss(student + sign * step * direction, teacher, LABELS, 2, gamma) for sign in (1, -1))
    assert student.grad is not None
    assert (student.grad * direction).sum().item() == pytest.approx((up - down).item() / (2 * step), rel=1e-3)
    assert teacher.grad is None


@pytest.mark.parametrize("temperature", [1, 3])
@pytest.mark.parametrize("label", [0, 1, 2, -1])
@pytest.mark.parametrize(("student", "teacher"), HARD)
def test_hard_inputs_stay_finite(student: list[float], teacher: list[float], label: int, temperature: float) -> None:
    answers = torch.tensor([student], requires_grad=True)
    loss = nkd_loss(answers, torch.tensor([teacher]), torch.tensor([label]), temperature)
    loss.backward()
    assert loss.isfinite()
    assert answers.grad is not None
    assert answers.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    student, teacher = logits(4, 10).to(dtype), logits(4, 10, seed=1).to(dtype)
    loss = nkd_loss(student, teacher, LABELS)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, nkd_loss(student.float(), teacher.float(), LABELS))


def test_it_compiles_and_leaves_its_inputs_alone() -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    compiled = torch.compile(nkd_loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(student, teacher, LABELS), nkd_loss(student, teacher, LABELS))
    assert torch.equal(student, logits(4, 10))
    assert torch.equal(teacher, logits(4, 10, seed=1))


def test_what_is_refused() -> None:
    with pytest.raises(LimbeckError, match=r"^temperature = 0 is not possible: it must be above 0\. Try 4\.$"):
        nkd_loss(logits(4, 10), logits(4, 10), LABELS, 0)
    with pytest.raises(LimbeckError, match=r"student logits \(4, 10\) and teacher logits \(4, 9\) differ in shape\."):
        nkd_loss(logits(4, 10), logits(4, 9), LABELS)
    with pytest.raises(
        LimbeckError, match=r"^logits of 1 class are not possible: .* at least 2 classes, or kd_loss\.$"
    ):
        nkd_loss(logits(4, 1), logits(4, 1), torch.zeros(4, dtype=torch.int64))
