"""The three levels of logit distillation against loops in plain Python, and their properties."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives import kd_loss
from limbeck.objectives.mlld import Masks, mlld_loss, mlld_parts

MASKS = get_args(Masks)
Rows = Sequence[Sequence[float]]


def logits(*shape: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def softmax(values: Sequence[float], temperature: float) -> list[float]:
    powers = [math.exp(value / temperature) for value in values]
    return [power / sum(powers) for power in powers]


def kept(teacher: Rows, masks: Masks) -> tuple[list[float], list[float]]:
    rows = [softmax(row, 1) for row in teacher]
    both = []
    for values in ([max(row) for row in rows], [sum(column) for column in zip(*rows, strict=True)]):
        mask = [float(value <= statistics.median(values)) for value in values]
        share = sum(mask) / len(mask)
        both.append({"none": [1.0] * len(mask), "elementwise": mask, "released": [share] * len(mask)}[masks])
    return both[0], both[1]


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def gram_distance(teacher: Rows, student: Rows, weights: list[float]) -> float:
    """Σ over i, j of weight_j · (t_i · t_j - s_i · s_j)², divided by the number of rows."""
    total = 0.0
    for t_i, s_i in zip(teacher, student, strict=True):
        for t_j, s_j, weight in zip(teacher, student, weights, strict=True):
            total += weight * (dot(t_i, t_j) - dot(s_i, s_j)) ** 2
    return total / len(teacher)


def by_hand(student: Rows, teacher: Rows, temperatures: Sequence[float], masks: Masks) -> list[float]:
    pictures, classes = kept(teacher, masks)
    parts = [0.0, 0.0, 0.0]
    for temperature in temperatures:
        s, t = ([softmax(row, temperature) for row in rows] for rows in (student, teacher))
        for p, q, weight in zip(t, s, pictures, strict=True):
            divergence = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
            parts[0] += temperature**2 * weight * divergence / len(s)
        parts[1] += gram_distance(t, s, pictures)
        parts[2] += gram_distance(list(zip(*t, strict=True)), list(zip(*s, strict=True)), classes)
    return parts


@pytest.mark.parametrize("shape", [(4, 5), (5, 4)])
@pytest.mark.parametrize("temperatures", [(1,), (2, 3, 4, 5, 6)])
@pytest.mark.parametrize("masks", MASKS)
def test_by_hand(shape: tuple[int, int], temperatures: Sequence[float], masks: Masks) -> None:
    # of this seed the masks would be others at a higher temperature, or by a class's largest probability
    student, teacher = logits(*shape), logits(*shape, seed=2596)
    expected = by_hand(student.tolist(), teacher.tolist(), temperatures, masks)
    parts = mlld_parts(student, teacher, temperatures, masks)
    assert [part.item() for part in parts] == pytest.approx(expected, rel=1e-4)
    loss = mlld_loss(student, teacher, temperatures, masks)
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(sum(expected), rel=1e-4)


def test_the_defaults() -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    assert torch.equal(mlld_loss(student, teacher), mlld_loss(student, teacher, (2, 3, 4, 5, 6), "released"))


def test_the_instance_level_is_kd_at_each_temperature() -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    instance, _, _ = mlld_parts(student, teacher, (2, 5), "none")
    torch.testing.assert_close(instance, kd_loss(student, teacher, 2) + kd_loss(student, teacher, 5))


def test_the_released_masks_halve_each_level() -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    for part, whole in zip(mlld_parts(student, teacher), mlld_parts(student, teacher, masks="none"), strict=True):
        torch.testing.assert_close(part, whole / 2)


def test_only_the_pictures_that_the_teacher_is_less_sure_of_are_kept() -> None:
    student, teacher = logits(4, 10), torch.zeros(4, 10)
    teacher[:, 0] = torch.tensor([3.0, 1.0, 4.0, 2.0])
    instance, _, _ = mlld_parts(student, teacher, (2,), "elementwise")
    torch.testing.assert_close(instance, kd_loss(student[1::2], teacher[1::2], 2) / 2)


def test_where_the_teacher_is_equally_sure_of_everything_all_is_kept() -> None:
    student, teacher = logits(4, 10), torch.zeros(4, 10)
    for masks in MASKS:
        for part, whole in zip(
            mlld_parts(student, teacher, masks=masks), mlld_parts(student, teacher, masks="none"), strict=True
        ):
            torch.testing.assert_close(part, whole)


@pytest.mark.parametrize("temperature", [0.5, 4])
def test_the_factor_t_squared_is_at_the_instance_level_alone(temperature: float) -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    scaled = mlld_parts(temperature * student, temperature * teacher, (temperature,), "none")
    at_one = mlld_parts(student, teacher, (1,), "none")
    for part, plain, factor in zip(scaled, at_one, (temperature**2, 1, 1), strict=True):
        torch.testing.assert_close(part, factor * plain)


@pytest.mark.parametrize("masks", MASKS)
def test_zero_at_equal_logits_and_at_a_shift_of_each_row_and_positive_elsewhere(masks: Masks) -> None:
    student = logits(4, 10)
    for part in mlld_parts(student, student + logits(4, 1, seed=2), masks=masks):
        assert part.item() == pytest.approx(0, abs=1e-5)
    for part in mlld_parts(student, logits(4, 10, seed=1), masks=masks):
        assert part > 1e-3


@pytest.mark.parametrize("masks", MASKS)
def test_how_the_levels_grow_with_the_batch(masks: Masks) -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    once = mlld_parts(student, teacher, masks=masks)
    thrice = mlld_parts(student.repeat(3, 1), teacher.repeat(3, 1), masks=masks)
    for part, single, factor in zip(thrice, once, (1, 3, 9), strict=True):
        torch.testing.assert_close(part, factor * single)


@pytest.mark.parametrize("masks", MASKS)
def test_the_gradient_is_the_numeric_one_and_none_reaches_the_teacher(masks: Masks) -> None:
    student, teacher = logits(4, 10).requires_grad_(), logits(4, 10, seed=1).requires_grad_()
    mlld_loss(student, teacher, masks=masks).backward()
    direction, step = logits(4, 10, seed=2) / 3, 1e-2
    with torch.no_grad():
        up, down = (mlld_loss(student + sign * step * direction, teacher, masks=masks) for sign in (1, -1))
    assert student.grad is not None
    assert (student.grad * direction).sum().item() == pytest.approx((up - down).item() / (2 * step), rel=2e-3)
    assert teacher.grad is None


@pytest.mark.parametrize("level", [0, 1, 2])
def test_each_level_teaches_the_student_alone(level: int) -> None:
    student, teacher = logits(4, 10).requires_grad_(), logits(4, 10, seed=1).requires_grad_()
    mlld_parts(student, teacher)[level].backward()
    assert student.grad is not None
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None


@pytest.mark.parametrize("masks", MASKS)
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_hard_inputs_stay_finite(masks: Masks, rows: int) -> None:
    student = torch.tensor([[1e4, -1e4, 0.0], [7.0, 7.0, 7.0], [0.0, 0.0, 0.0], [-1e4, -1e4, -1e4], [1.0, 2.0, -60.0]])[
        :rows
    ].requires_grad_()
    loss = mlld_loss(student, -student.roll(1, 1), masks=masks)
    loss.backward()
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    student, teacher = logits(8, 20).to(dtype), logits(8, 20, seed=1).to(dtype)
    loss = mlld_loss(student, teacher)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, mlld_loss(student.float(), teacher.float()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(loss, mlld_loss(student, teacher))


@pytest.mark.parametrize("masks", MASKS)
def test_it_compiles_and_leaves_its_inputs_alone(masks: Masks) -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    compiled = torch.compile(mlld_loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(student, teacher, masks=masks), mlld_loss(student, teacher, masks=masks))
    assert torch.equal(student, logits(4, 10))
    assert torch.equal(teacher, logits(4, 10, seed=1))


@pytest.mark.parametrize(
    ("temperatures", "message"),
    [
        ((), r"^temperatures is empty: at least one is needed\. Try \(2, 3, 4, 5, 6\)\.$"),
        ((2, 0), r"^temperature = 0 is not possible: it must be above 0\. Try 4\.$"),
    ],
)
def test_impossible_temperatures(temperatures: Any, message: str) -> None:
    with pytest.raises(LimbeckError, match=message):
        mlld_loss(logits(4, 10), logits(4, 10), temperatures)


def test_shapes_that_differ() -> None:
    with pytest.raises(LimbeckError, match=r"student logits \(4, 10\) and teacher logits \(4, 9\) differ in shape\."):
        mlld_loss(logits(4, 10), logits(4, 9))
