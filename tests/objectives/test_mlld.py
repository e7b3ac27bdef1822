"""The three levels of logit distillation against loops in plain Python, and their properties."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
import references
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives import kd_loss
from limbeck.objectives.mlld import Masks, mlld_loss, mlld_parts

MASKS = get_args(Masks)


def logits(*shape: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_by_hand() -> None:
    # the teacher says 3/4 : 1/4 and 1/4 : 3/4, the student 1/2 each: 3/4 ln(3/2) + 1/4 ln(1/2). Both products of the
    # teacher's matrix have 5/8 and 3/8, the student's 1/2: four squares of 1/8, over two pictures and two classes
    teacher = torch.tensor([[math.log(3), 0.0], [0.0, math.log(3)]])
    parts = mlld_parts(torch.zeros(2, 2), teacher, (1,), "none")
    assert [float(part) for part in parts] == pytest.approx([0.1308120, 1 / 32, 1 / 32], rel=2e-6)


@pytest.mark.parametrize("shape", [(4, 5), (5, 4)])
@pytest.mark.parametrize("masks", MASKS)
def test_the_masks(shape: tuple[int, int], masks: Masks) -> None:
    # of this seed the masks would be others at a higher temperature, or by a class's largest probability
    student, teacher = logits(*shape), logits(*shape, seed=2596)
    expected = references.mlld(student.double(), teacher.double(), (2, 6), masks)
    assert float(mlld_loss(student, teacher, (2, 6), masks)) == pytest.approx(float(expected), rel=1e-6)


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
def test_how_the_levels_grow_with_the_batch(masks: Masks) -> None:
    student, teacher = logits(4, 10), logits(4, 10, seed=1)
    once = mlld_parts(student, teacher, masks=masks)
    thrice = mlld_parts(student.repeat(3, 1), teacher.repeat(3, 1), masks=masks)
    for part, single, factor in zip(thrice, once, (1, 3, 9), strict=True):
        torch.testing.assert_close(part, factor * single)


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
