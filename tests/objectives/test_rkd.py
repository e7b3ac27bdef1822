"""Relational distillation's two losses against plain arithmetic, and their properties."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives.rkd import rkd_angle_loss, rkd_distance_loss

Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES = pytest.mark.parametrize("loss", [rkd_distance_loss, rkd_angle_loss])


def features(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def huber(gap: float) -> float:
    return gap * gap / 2 if abs(gap) < 1 else abs(gap) - 0.5


def distances(rows: list[list[float]]) -> list[float]:
    table = [math.dist(one, other) for one in rows for other in rows]
    mean = sum(table) / (len(rows) * (len(rows) - 1))
    return [distance / mean for distance in table]


def angles(rows: list[list[float]]) -> list[float]:
    def way(i: int, j: int) -> list[float]:
        length = math.dist(rows[i], rows[j])
        return [(b - a) / length if length else 0.0 for a, b in zip(rows[i], rows[j], strict=True)]

    every = range(len(rows))
    triples = [(way(i, j), way(i, k)) for i in every for j in every for k in every]
    return [sum(a * b for a, b in zip(one, other, strict=True)) for one, other in triples]


def by_hand(measure: Callable[[list[list[float]]], list[float]], student: Tensor, teacher: Tensor) -> float:
    ours, theirs = (measure(side.flatten(1).double().tolist()) for side in (student, teacher))
    return sum(huber(a - b) for a, b in zip(ours, theirs, strict=True)) / len(ours)


class TestValues:
    def test_distances_of_three_on_a_line(self) -> None:
        # student 0, 1, 3: distances 1, 2, 3 of mean 2; teacher an equilateral triangle: all 1. Gaps 1/2, 0, 1/2
        student = torch.tensor([[0.0], [1.0], [3.0]])
        teacher = torch.tensor([[0.0, 0.0], [2.0, 0.0], [1.0, math.sqrt(3)]])
        loss = rkd_distance_loss(student, teacher)
        assert loss.shape == ()
        assert float(loss) == pytest.approx(2 * (0.125 + 0.125) / 9, rel=1e-5)

    def test_angles_of_three_on_a_line(self) -> None:
        # student: cosines 1, -1, 1 at the three corners; teacher: 1/2 at each. Each counts twice, of 27
        student = torch.tensor([[0.0], [1.0], [3.0]])
        teacher = torch.tensor([[0.0, 0.0], [2.0, 0.0], [1.0, math.sqrt(3)]])
        expected = 2 * (huber(0.5) + huber(-1.5) + huber(0.5)) / 27
        assert float(rkd_angle_loss(student, teacher)) == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize(("loss", "measure"), [(rkd_distance_loss, distances), (rkd_angle_loss, angles)])
    def test_coinciding_pictures(self, loss: Loss, measure: Callable[[list[list[float]]], list[float]]) -> None:
        student, teacher = features(5, 3), features(5, 3, seed=1)
        student[3] = student[1]
        assert float(loss(student, teacher)) == pytest.approx(by_hand(measure, student, teacher), rel=1e-4)

    @pytest.mark.parametrize(("loss", "measure"), [(rkd_distance_loss, distances), (rkd_angle_loss, angles)])
    def test_pictures_that_are_near_each_other(
        self, loss: Loss, measure: Callable[[list[list[float]]], list[float]]
    ) -> None:
        student, teacher = features(5, 3), features(5, 3, seed=1)
        student[3] = student[1] + 1e-3 * features(3, seed=2)
        assert float(loss(student, teacher)) == pytest.approx(by_hand(measure, student, teacher), rel=1e-3)

    def test_where_all_student_pictures_coincide(self) -> None:
        teacher = torch.tensor([[0.0], [1.0], [3.0]])  # distances over their mean: 1/2, 1, 3/2
        assert float(rkd_distance_loss(torch.ones(3, 2), teacher)) == pytest.approx(2 * (0.125 + 0.5 + 1) / 9)


@LOSSES
class TestProperties:
    @pytest.mark.parametrize(
        "change",
        [
            lambda x: x @ torch.linalg.qr(features(4, 4, seed=9)).Q,
            lambda x: 7 * x,
            lambda x: 1e-6 * x,
            lambda x: x - 2,
        ],
    )
    def test_rotation_scale_and_place_of_either_side_do_not_matter(
        self, change: Callable[[Tensor], Tensor], loss: Loss
    ) -> None:
        student, teacher = features(6, 4), features(6, 4, seed=1)
        torch.testing.assert_close(loss(change(student), teacher), loss(student, teacher), rtol=1e-4, atol=0)
        torch.testing.assert_close(loss(student, change(teacher)), loss(student, teacher), rtol=1e-4, atol=0)

    def test_far_from_the_origin(self, loss: Loss) -> None:
        student, teacher = (features(6, 4, seed=seed).mul(8).round() / 8 for seed in (0, 1))
        torch.testing.assert_close(loss(student + 1024, teacher), loss(student, teacher), rtol=1e-5, atol=0)

    def test_the_order_of_the_batch_does_not_matter(self, loss: Loss) -> None:
        student, teacher, order = features(6, 4), features(6, 5, seed=1), torch.tensor([3, 0, 5, 1, 4, 2])
        torch.testing.assert_close(loss(student[order], teacher[order]), loss(student, teacher))
        assert not torch.allclose(loss(student[order], teacher), loss(student, teacher))


@LOSSES
class TestHardInputs:
    @pytest.mark.parametrize("gap", [0.0, 1e-7])
    def test_coinciding_pictures_blow_up_nobodys_gradient(self, gap: float, loss: Loss) -> None:
        student = torch.cat([torch.zeros(1, 3), torch.full((1, 3), gap), features(3, 3)]).requires_grad_()
        loss(student, features(5, 3, seed=1)).backward()
        assert student.grad is not None
        assert 0 < student.grad.abs().max() < 1

    @pytest.mark.parametrize("scale", [1e-3, 1e4])
    def test_the_gradient_of_coinciding_pictures_does_not_grow_with_the_features(
        self, scale: float, loss: Loss
    ) -> None:
        gradients = []
        for factor in (1.0, scale):
            student = (factor * torch.cat([torch.zeros(2, 3), features(3, 3)])).requires_grad_()
            loss(student, features(5, 3, seed=1)).backward()
            assert student.grad is not None
            gradients.append(factor * student.grad)
        torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-6)

    def test_one_picture(self, loss: Loss) -> None:
        with pytest.raises(
            LimbeckError, match=r"^a batch of 1 picture has no pairs, .* 2 or more pictures in the last"
        ):
            loss(features(1, 3), features(1, 3))
