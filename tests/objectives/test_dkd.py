"""Decoupled distillation against sums worked out in plain Python, and its properties."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives import kd_loss
from limbeck.objectives.dkd import dkd_loss, dkd_parts

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


def divergence(teacher: list[float], student: list[float]) -> float:
    return sum(p * math.log(p / q) for p, q in zip(teacher, student, strict=True))


def by_hand(student: list[float], teacher: list[float], label: int, temperature: float) -> tuple[float, float]:
    pairs, others = [], []
    for row in (teacher, student):
        cool = [value / temperature for value in row]
        p = softmax(cool)
        pairs.append([p[label], sum(p) - p[label]])
        others.append(softmax(cool[:label] + cool[label + 1 :]))
    return temperature**2 * divergence(*pairs), temperature**2 * divergence(*others)


STUDENT, TEACHER = [[2.0, -1.0, 0.5], [0.0, 1.0, 3.0]], [[1.0, 3.0, -2.0], [0.5, 0.5, 2.0]]


@pytest.mark.parametrize("temperature", [1, 4])
def test_by_hand(temperature: float) -> None:
    labels = [1, 2]
    rows = [by_hand(s, t, y, temperature) for s, t, y in zip(STUDENT, TEACHER, labels, strict=True)]
    expected = [sum(part) / 2 for part in zip(*rows, strict=True)]
    student, teacher = torch.tensor(STUDENT), torch.tensor(TEACHER)
    parts = dkd_parts(student, teacher, torch.tensor(labels), temperature)
    assert [part.item() for part in parts] == pytest.approx(expected, rel=1e-5)
    loss = dkd_loss(student, teacher, torch.tensor(labels), temperature, alpha=0.5, beta=3)
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(0.5 * expected[0] + 3 * expected[1], rel=1e-5)


def test_the_defaults() -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    assert torch.equal(dkd_loss(student, teacher, LABELS), dkd_loss(student, teacher, LABELS, 4, 1, 8))


@pytest.mark.parametrize("temperature", [1, 4])
def test_kd_is_the_part_on_the_label_and_the_other_weighed_by_the_doubt_in_it(temperature: float) -> None:
    student, teacher = logits(1, 10), logits(1, 10, seed=1)
    target, others = dkd_parts(student, teacher, LABELS[:1], temperature)
    doubt = 1 - (teacher / temperature).softmax(1)[0, LABELS[0]]
    torch.testing.assert_close(target + doubt * others, kd_loss(student, teacher, temperature))


@pytest.mark.parametrize("temperature", [0.5, 4])
def test_the_factor_t_squared(temperature: float) -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    scaled = dkd_parts(temperature * student, temperature * teacher, LABELS, temperature)
    for part, at_one in zip(scaled, dkd_parts(student, teacher, LABELS, 1), strict=True):
        torch.testing.assert_close(part, temperature**2 * at_one)


@pytest.mark.parametrize("size", [5.0, 1e4, -1e4])
def test_the_part_on_the_others_does_not_see_the_label(size: float) -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    changed = student.scatter(1, LABELS[:, None], size)
    torch.testing.assert_close(dkd_parts(changed, teacher, LABELS)[1], dkd_parts(student, teacher, LABELS)[1])
    assert dkd_parts(changed, teacher, LABELS)[0] != dkd_parts(student, teacher, LABELS)[0]


def test_the_part_on_the_others_is_the_same_however_far_below_the_label_they_are() -> None:
    student, teacher = logits(4, 10).round(), logits(4, 10, seed=1).round()
    low_s, low_t = ((values - 2**14).scatter(1, LABELS[:, None], 0) for values in (student, teacher))  # exact
    torch.testing.assert_close(dkd_parts(low_s, low_t, LABELS, 1)[1], dkd_parts(student, teacher, LABELS, 1)[1])


def test_the_part_on_the_label_does_not_see_the_order_of_the_others() -> None:
    student, teacher, labels = logits(4, 10), logits(4, 10, seed=1), torch.zeros(4, dtype=torch.int64)
    turned = torch.cat([student[:, :1], student[:, 1:].flip(1)], dim=1)
    torch.testing.assert_close(dkd_parts(turned, teacher, labels)[0], dkd_parts(student, teacher, labels)[0])
    assert dkd_parts(turned, teacher, labels)[1] != dkd_parts(student, teacher, labels)[1]


def test_zero_at_equal_logits_and_at_a_shift_of_each_row_and_positive_elsewhere() -> None:
    student = logits(4, 10)
    for part in dkd_parts(student, student + logits(4, 1, seed=2), LABELS):
        assert part.item() == pytest.approx(0, abs=1e-5)
    for part in dkd_parts(student, logits(4, 10, seed=1), LABELS):
        assert part > 0.1


def test_it_does_not_depend_on_the_batch_size_nor_on_unlabelled_pictures() -> None:
    student, teacher = logits(4, 10).requires_grad_(), logits(4, 10, seed=1)
    once = dkd_loss(student, teacher, LABELS)
    torch.testing.assert_close(dkd_loss(student.repeat(3, 1), teacher.repeat(3, 1), LABELS.repeat(3)), once)
    some = torch.tensor([3, -1, 9, -1])
    loss = dkd_loss(student, teacher, some)
    torch.testing.assert_close(loss, dkd_loss(student[some >= 0], teacher[some >= 0], some[some >= 0]))
    loss.backward()
    assert student.grad is not None
    assert student.grad.abs().sum(1).gt(0).tolist() == [True, False, True, False]
    assert dkd_loss(student, teacher, torch.full((4,), -1)) == 0


def test_no_gradient_reaches_the_teacher() -> None:
    student, teacher = logits(4, 10).requires_grad_(), logits(4, 10, seed=1).requires_grad_()
    for weights in ({"alpha": 1, "beta": 0}, {"alpha": 0, "beta": 1}):
        student.grad = None
        dkd_loss(student, teacher, LABELS, **weights).backward()
        assert teacher.grad is None
        assert student.grad is not None
        assert student.grad.abs().sum() > 0


def test_the_gradient_is_the_numeric_one() -> None:
    student, teacher = logits(4, 10).requires_grad_(), logits(4, 10, seed=1)
    dkd_loss(student, teacher, LABELS).backward()
    direction, step = logits(4, 10, seed=2) / 3, 1e-2
    with torch.no_grad():
        up, down = (dkd_loss(student + sign * step * direction, teacher, LABELS) for sign in (1, -1))
    assert student.grad is not None
    assert (student.grad * direction).sum().item() == pytest.approx((up - down).item() / (2 * step), rel=1e-3)


@pytest.mark.parametrize("temperature", [1, 4])
@pytest.mark.parametrize("label", [0, 1, 2, -1])
@pytest.mark.parametrize(("student", "teacher"), HARD)
def test_hard_inputs_stay_finite(student: list[float], teacher: list[float], label: int, temperature: float) -> None:
    answers = torch.tensor([student], requires_grad=True)
    loss = dkd_loss(answers, torch.tensor([teacher]), torch.tensor([label]), temperature)
    loss.backward()
    assert loss.isfinite()
    assert answers.grad is not None
    assert answers.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    student, teacher = logits(4, 10).to(dtype), logits(4, 10, seed=1).to(dtype)
    loss = dkd_loss(student, teacher, LABELS)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, dkd_loss(student.float(), teacher.float(), LABELS))


def test_two_classes_leave_nothing_to_rank() -> None:
    target, others = dkd_parts(logits(4, 2), logits(4, 2, seed=1), torch.tensor([0, 1, 1, 0]), 2)
    torch.testing.assert_close(target, kd_loss(logits(4, 2), logits(4, 2, seed=1), 2))
    assert others == 0


def test_it_compiles_and_leaves_its_inputs_alone() -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    compiled = torch.compile(dkd_loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(student, teacher, LABELS), dkd_loss(student, teacher, LABELS))
    assert torch.equal(student, logits(4, 10))
    assert torch.equal(teacher, logits(4, 10, seed=1))


def test_what_is_refused() -> None:
    with pytest.raises(LimbeckError, match=r"^temperature = 0 is not possible: it must be above 0\. Try 4\.$"):
        dkd_loss(logits(4, 10), logits(4, 10), LABELS, 0)
    with pytest.raises(LimbeckError, match=r"student logits \(4, 10\) and teacher logits \(4, 9\) differ in shape\."):
        dkd_loss(logits(4, 10), logits(4, 9), LABELS)
    with pytest.raises(
        LimbeckError, match=r"^logits of 1 class are not possible: .* at least 2 classes, or kd_loss\.$"
    ):
        dkd_loss(logits(4, 1), logits(4, 1), torch.zeros(4, dtype=torch.int64))
