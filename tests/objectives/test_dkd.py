"""Decoupled distillation against sums worked out in plain Python, and its properties."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives import kd_loss, nkd_loss
from limbeck.objectives.dkd import dkd_loss, dkd_parts

LABELS = torch.tensor([3, 0, 9, 3])


def logits(*shape: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("temperature", [1, 2])
def test_by_hand(temperature: float) -> None:
    # the teacher says 1/2 : 3/8 : 1/8, the student 1/3 each. On the label: 1/2 ln(3/2) + 1/2 ln(3/4); among the others
    # 3/4 : 1/4 and 1/2 : 1/2: 3/4 ln(3/2) + 1/4 ln(1/2)
    teacher = temperature * torch.tensor([[math.log(4), math.log(3), 0.0]])
    pair = torch.zeros(1, 3), teacher, torch.tensor([0])
    parts = [float(part) / temperature**2 for part in dkd_parts(*pair, temperature)]
    assert parts == pytest.approx([0.0588915, 0.1308120], rel=2e-6)
    assert float(dkd_loss(*pair, temperature, 0.5, 3)) == pytest.approx(0.4218818 * temperature**2, rel=2e-6)


@pytest.mark.parametrize("temperature", [1, 4])
def test_kd_is_the_part_on_the_label_and_the_other_weighed_by_the_doubt_in_it(temperature: float) -> None:
    student, teacher = logits(1, 10), logits(1, 10, seed=1)
    target, others = dkd_parts(student, teacher, LABELS[:1], temperature)
    doubt = 1 - (teacher / temperature).softmax(1)[0, LABELS[0]]
    torch.testing.assert_close(target + doubt * others, kd_loss(student, teacher, temperature))


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


@pytest.mark.parametrize("loss", [dkd_loss, nkd_loss])
def test_one_class_is_refused(loss: Callable[..., Tensor]) -> None:
    said = r"^logits of 1 class are not possible: .* at least 2 classes, or kd_loss\.$"
    with pytest.raises(LimbeckError, match=said):
        loss(logits(4, 1), logits(4, 1), torch.zeros(4, dtype=torch.int64))


def test_two_classes_leave_nothing_to_rank() -> None:
    target, others = dkd_parts(logits(4, 2), logits(4, 2, seed=1), torch.tensor([0, 1, 1, 0]), 2)
    torch.testing.assert_close(target, kd_loss(logits(4, 2), logits(4, 2, seed=1), 2))
    assert others == 0
