"""Normalised distillation against sums worked out in plain Python, and its properties."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from limbeck.objectives.nkd import nkd_loss

LABELS = torch.tensor([3, 0, 9, 3])


def logits(*shape: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_by_hand() -> None:
    # the teacher says 1/2 : 3/8 : 1/8, the student 1/3 each: 1/2 ln 3, and among the others ln 2, whatever the teacher
    teacher = torch.tensor([[math.log(4), math.log(3), 0.0]])
    loss = nkd_loss(torch.zeros(1, 3), teacher, torch.tensor([0]))
    assert float(loss) == pytest.approx(0.5493061 + 1.5 * 0.6931472, rel=1e-6)
    assert float(nkd_loss(torch.zeros(1, 3), teacher, torch.tensor([0]), 3, 3.5)) == pytest.approx(
        0.5493061 + 3.5 * 9 * 0.6931472, rel=1e-6
    )


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
