"""The probabilistic transfer's loss against plain arithmetic, and its properties."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from limbeck.objectives.pkt import pkt_loss

FORMS: Any = pytest.mark.parametrize("form", ["released", "paper"])


def features(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def cosine(one: list[float], other: list[float]) -> float:
    norms = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / norms if norms else 0.0


def neighbours(rows: list[list[float]], form: str) -> list[list[float]]:
    table = []
    for i, one in enumerate(rows):
        row = [0.0 if form == "paper" and i == j else (cosine(one, other) + 1) / 2 for j, other in enumerate(rows)]
        table.append([value / sum(row) for value in row])
    return table


def by_hand(student: Tensor, teacher: Tensor, form: str) -> float:
    ours, theirs = (neighbours(side.flatten(1).double().tolist(), form) for side in (student, teacher))
    pairs = [(s, t) for one, other in zip(ours, theirs, strict=True) for s, t in zip(one, other, strict=True)]
    total = sum(t * math.log(t / s) for s, t in pairs if t)
    return total / len(pairs) if form == "released" else total


class TestValues:
    def test_two_pictures(self) -> None:
        # student: orthogonal, closeness 1 and 1/2, so 2/3 : 1/3 in both rows; teacher: equal, so 1/2 : 1/2
        student, teacher = torch.eye(2), torch.tensor([[1.0, 1.0], [2.0, 2.0]])
        row = 0.5 * math.log(0.5 / (2 / 3)) + 0.5 * math.log(0.5 / (1 / 3))
        assert float(pkt_loss(student, teacher)) == pytest.approx(2 * row / 4, rel=1e-5)
        assert float(pkt_loss(student, teacher, "paper")) == 0  # the only neighbour has the probability 1

    @FORMS
    def test_a_picture_of_zeros_is_halfway_to_everybody(self, form: Any) -> None:
        student, teacher = features(4, 3), features(4, 3, seed=1)
        student[2] = 0
        assert float(pkt_loss(student, teacher, form)) == pytest.approx(by_hand(student, teacher, form), rel=1e-4)

    @FORMS
    def test_one_picture(self, form: Any) -> None:
        assert float(pkt_loss(features(1, 4), features(1, 6, seed=1), form)) == pytest.approx(0, abs=1e-7)


@FORMS
class TestProperties:
    @pytest.mark.parametrize(
        "change", [lambda x: x @ torch.linalg.qr(features(4, 4, seed=9)).Q, lambda x: x * torch.arange(1, 7)[:, None]]
    )
    def test_rotation_and_scale_of_either_side_do_not_matter(
        self, change: Callable[[Tensor], Tensor], form: Any
    ) -> None:
        student, teacher = features(6, 4), features(6, 4, seed=1)
        torch.testing.assert_close(pkt_loss(change(student), teacher, form), pkt_loss(student, teacher, form))
        torch.testing.assert_close(pkt_loss(student, change(teacher), form), pkt_loss(student, teacher, form))

    def test_it_depends_on_the_size_of_the_batch_as_it_says(self, form: Any) -> None:
        student, teacher = features(200, 4), features(200, 4, seed=1)
        small, large = pkt_loss(student[:100], teacher[:100], form), pkt_loss(student, teacher, form)
        assert float(large / small) == pytest.approx(0.5 if form == "released" else 2, rel=0.1)


HARD = {
    "zeros": torch.zeros(4, 3),
    "one of zeros": torch.cat([torch.zeros(1, 3), features(3, 3)]),
    "all equal": torch.ones(4, 3),
    "huge": features(4, 3, scale=1e4),
    "tiny": features(4, 3, scale=1e-6),
    "opposite": torch.tensor([[1.0, 2.0], [-1.0, -2.0], [-3.0, -6.0], [-0.1, -0.2]]),
    "1x1": features(4, 3, 1, 1),
}


class TestHardInputs:
    @FORMS
    def test_two_opposite_pictures(self, form: Any) -> None:
        student = torch.tensor([[1.0, 2.0], [-1.0, -2.0]], requires_grad=True)
        loss = pkt_loss(student, torch.eye(2), form)
        loss.backward()
        assert loss.isfinite()
        assert student.grad is not None
        assert student.grad.isfinite().all()

    def test_cosines_that_rounding_puts_below_minus_1(self) -> None:
        one = features(400, 50)
        losses = [pkt_loss(torch.stack([row, -row]), torch.eye(2)) for row in one]
        assert torch.stack(losses).isfinite().all()

    def test_a_picture_of_zeros_gets_no_gradient(self) -> None:
        student = HARD["one of zeros"].clone().requires_grad_()
        pkt_loss(student, features(4, 3, seed=1)).backward()
        assert student.grad is not None
        assert student.grad[0].tolist() == [0, 0, 0]
        assert 0 < student.grad[1:].abs().max() < 1
