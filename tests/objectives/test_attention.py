"""Attention transfer against values worked out by hand, and its invariances."""

from __future__ import annotations

import math
from typing import Literal, get_args

import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives.attention import attention, attention_loss

Form = Literal["released", "paper"]
FORMS = get_args(Form)


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("form", "by_hand"),
    [
        # two channels of one row of two pixels: squares 9 + 0 and 0 + 16 for the student, halved, to length 1: 9 / √337
        # and 16 / √337; the teacher's one channel: 1 and 0
        ("released", ((9 / math.sqrt(337) - 1) ** 2 + (16 / math.sqrt(337)) ** 2) / 2),
        ("paper", math.sqrt((9 / math.sqrt(337) - 1) ** 2 + (16 / math.sqrt(337)) ** 2) / 2),
    ],
)
def test_by_hand(form: Form, by_hand: float) -> None:
    student, teacher = torch.tensor([[[[3.0, 0.0]], [[0.0, -4.0]]]]), torch.tensor([[[[-2.0, 0.0]]]])
    loss = attention_loss(student, teacher, form)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(by_hand, rel=1e-6)


def test_attention_has_length_1_and_is_never_negative() -> None:
    found = attention(maps(3, 4, 5, 6))
    assert found.shape == (3, 30)
    torch.testing.assert_close(found.square().sum(1), torch.ones(3))
    assert found.min() >= 0


@pytest.mark.parametrize("form", FORMS)
def test_what_it_does_not_depend_on(form: Form) -> None:
    student, teacher = maps(2, 4, 3, 3), maps(2, 4, 3, 3, seed=1)
    loss = attention_loss(student, teacher, form)
    torch.testing.assert_close(attention_loss(-3 * student, teacher, form), loss)
    torch.testing.assert_close(attention_loss(student.flip(1), teacher, form), loss)
    torch.testing.assert_close(attention_loss(student.repeat(1, 2, 1, 1), teacher, form), loss)
    torch.testing.assert_close(attention_loss(student.repeat(3, 1, 1, 1), teacher.repeat(3, 1, 1, 1), form), loss)
    assert float(attention_loss(student, 5 * student.flip(1), form)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_what_it_depends_on(form: Form) -> None:
    student = maps(2, 4, 3, 3)
    assert float(attention_loss(student, student.flip(2), form)) > 0.005
    scaled_in_one_picture = torch.cat([student[:1], 100 * student[1:]])
    assert float(attention_loss(student, scaled_in_one_picture, form)) == pytest.approx(0, abs=1e-6)


def test_a_dead_picture_beside_others() -> None:
    student = maps(2, 3, 4, 4)
    student[0] = 0
    attention_loss(student.requires_grad_(), maps(2, 3, 4, 4, seed=1)).backward()
    assert student.grad is not None
    assert not student.grad[0].any()
    assert student.grad[1].any()


def test_one_pixel_has_one_attention() -> None:
    assert float(attention_loss(maps(3, 4, 1, 1), maps(3, 4, 1, 1, seed=1))) == pytest.approx(0, abs=1e-12)


def test_tokens_are_refused() -> None:
    with pytest.raises(LimbeckError, match=r"Both must be \(batch, channels, height, width\)"):
        attention_loss(maps(2, 16, 3), maps(2, 16, 3))
