"""The similarity-preserving loss against plain arithmetic, and its properties."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from limbeck.objectives.sp import gram, sp_loss, unit_rows


def features(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def rotation(width: int) -> Tensor:
    return torch.linalg.qr(features(width, width, seed=9)).Q


def similarities(rows: list[list[float]]) -> list[list[float]]:
    table = [[sum(a * b for a, b in zip(one, other, strict=True)) for other in rows] for one in rows]
    norms = [math.sqrt(sum(value * value for value in row)) for row in table]
    return [[value / norm if norm else 0.0 for value in row] for row, norm in zip(table, norms, strict=True)]


def by_hand(student: Tensor, teacher: Tensor) -> float:
    ours, theirs = (similarities(side.flatten(1).double().tolist()) for side in (student, teacher))
    gaps = [(a - b) ** 2 for one, other in zip(ours, theirs, strict=True) for a, b in zip(one, other, strict=True)]
    return sum(gaps) / len(ours) ** 2


class TestValues:
    def test_two_pictures(self) -> None:
        # student: orthogonal, so rows (1, 0) and (0, 1); teacher: equal, so both rows (1, 1) / sqrt 2
        loss = sp_loss(torch.eye(2), torch.tensor([[3.0, 4.0], [3.0, 4.0]]))
        assert loss.shape == ()
        assert float(loss) == pytest.approx((2 * (1 - math.sqrt(0.5)) ** 2 + 2 * 0.5) / 4, rel=1e-6)

    def test_a_picture_of_zeros_is_like_nobody(self) -> None:
        student, teacher = features(4, 3), features(4, 3, seed=1)
        student[2] = 0
        assert float(sp_loss(student, teacher)) == pytest.approx(by_hand(student, teacher), rel=1e-5)

    def test_one_picture(self) -> None:
        assert float(sp_loss(features(1, 4), features(1, 6, seed=1))) == pytest.approx(0, abs=1e-12)
        assert float(sp_loss(torch.zeros(1, 4), features(1, 6))) == pytest.approx(1)


class TestProperties:
    @pytest.mark.parametrize("change", [lambda x: x @ rotation(4), lambda x: 7 * x, lambda x: x.reshape(6, 2, 2, 1)])
    def test_rotation_scale_and_shape_of_either_side_do_not_matter(self, change: Callable[[Tensor], Tensor]) -> None:
        student, teacher = features(6, 4), features(6, 4, seed=1)
        torch.testing.assert_close(sp_loss(change(student), teacher), sp_loss(student, teacher))
        torch.testing.assert_close(sp_loss(student, change(teacher)), sp_loss(student, teacher))

    def test_it_is_normalised_by_rows_and_not_by_the_whole_table(self) -> None:
        student, teacher = features(6, 4), features(6, 4, seed=1)
        louder = student * torch.tensor([1.0, 1, 1, 1, 1, 30])[:, None]
        assert not torch.allclose(sp_loss(louder, teacher), sp_loss(student, teacher), rtol=0.05)
        assert float(sp_loss(louder, teacher)) == pytest.approx(by_hand(louder, teacher), rel=1e-5)

    @pytest.mark.parametrize("times", [2, 5])
    def test_it_shrinks_with_the_size_of_the_batch(self, times: int) -> None:
        student, teacher = features(6, 4), features(6, 4, seed=1)
        repeated = sp_loss(student.repeat(times, 1), teacher.repeat(times, 1))
        torch.testing.assert_close(repeated * times, sp_loss(student, teacher))

    def test_the_order_of_the_batch_does_not_matter(self) -> None:
        student, teacher, order = features(6, 4), features(6, 5, seed=1), torch.tensor([3, 0, 5, 1, 4, 2])
        torch.testing.assert_close(sp_loss(student[order], teacher[order]), sp_loss(student, teacher))
        assert not torch.allclose(sp_loss(student[order], teacher), sp_loss(student, teacher))


HARD = {
    "zeros": torch.zeros(4, 3),
    "one of zeros": torch.cat([torch.zeros(1, 3), features(3, 3)]),
    "all equal": torch.ones(4, 3),
    "huge": features(4, 3, scale=1e4),
    "tiny": features(4, 3, scale=1e-6),
    "opposite": torch.cat([features(2, 3), -features(2, 3)]),
    "1x1": features(4, 3, 1, 1),
}


class TestHardInputs:
    def test_a_picture_of_zeros_gets_no_gradient_and_blows_up_nobody_elses(self) -> None:
        student = HARD["one of zeros"].clone().requires_grad_()
        sp_loss(student, features(4, 3, seed=1)).backward()
        assert student.grad is not None
        assert student.grad[0].abs().max() < 1
        assert 0 < student.grad[1:].abs().max() < 1


def test_unit_rows() -> None:
    rows = torch.tensor([[3.0, 4.0], [0.0, 0.0], [-5.0, 0.0]], requires_grad=True)
    found = unit_rows(rows)
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.8], [0.0, 0.0], [-1.0, 0.0]]))
    (found * torch.tensor([1.0, 2.0])).sum().backward()
    assert rows.grad is not None
    # d(x / |x|) = (g - u (u·g)) / |x| with g = (1, 2): u·g = 2.2
    torch.testing.assert_close(rows.grad, torch.tensor([[-0.064, 0.048], [0.0, 0.0], [0.0, 0.4]]))


def test_gram_is_float32_under_autocast() -> None:
    rows = features(4, 2, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = gram(rows)
    torch.testing.assert_close(found, torch.einsum("idx,jdx->ij", rows, rows))
    assert found.dtype == torch.float32
