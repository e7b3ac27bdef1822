"""Both forms of correlation congruence against plain arithmetic, and their properties."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives.cc import CorrelationEmbeddings, cc_kernel_loss, cc_loss

Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES = pytest.mark.parametrize("loss", [cc_loss, cc_kernel_loss])


def features(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def cosine(one: list[float], other: list[float]) -> float:
    norms = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / norms if norms else 0.0


def kernel_by_hand(student: Tensor, teacher: Tensor, gamma: float, order: int) -> float:
    def kernel(rows: list[list[float]], i: int, j: int) -> float:
        x = 2 * gamma * cosine(rows[i], rows[j])
        return math.exp(-2 * gamma) * sum(x**power / math.factorial(power) for power in range(order + 1))

    ours, theirs = student.flatten(1).double().tolist(), teacher.flatten(1).double().tolist()
    pairs = [(i, j) for i in range(len(ours)) for j in range(len(ours))]
    return sum((kernel(ours, i, j) - kernel(theirs, i, j)) ** 2 for i, j in pairs) / len(pairs)


class TestReleased:
    def test_by_hand(self) -> None:
        student = torch.tensor([[1.0, 0.0], [2.0, -3.0], [0.0, 5.0]])
        teacher = torch.tensor([[0.0, 2.0], [4.0, 1.0], [0.5, 3.0]])
        # gaps (1, 2), (2, 4), (.5, 2): neighbours give 1·2 + 2·4 = 10 and 2·.5 + 4·2 = 9
        loss = cc_loss(student, teacher)
        assert loss.shape == ()
        assert float(loss) == pytest.approx(9.5)

    def test_it_sees_gaps_only(self) -> None:
        student, teacher = features(6, 4), features(6, 4, seed=1)
        torch.testing.assert_close(cc_loss(student + 3, teacher + 3), cc_loss(student, teacher))
        torch.testing.assert_close(cc_loss(teacher, student), cc_loss(student, teacher))
        torch.testing.assert_close(cc_loss(5 * student, 5 * teacher), 25 * cc_loss(student, teacher))

    def test_the_mean_over_neighbours_and_the_sum_over_entries(self) -> None:
        student, teacher = torch.ones(2, 3), torch.zeros(2, 3)
        assert float(cc_loss(student, teacher)) == 3
        assert float(cc_loss(student.repeat(4, 1), teacher.repeat(4, 1))) == 3
        assert float(cc_loss(student.repeat(1, 2), teacher.repeat(1, 2))) == 6

    @pytest.mark.parametrize("count", [0, 1])
    def test_too_few_pictures(self, count: int) -> None:
        with pytest.raises(LimbeckError, match=rf"^a batch of {count} picture has no pairs, .* 2 or more pictures in"):
            cc_loss(torch.zeros(count, 2), torch.zeros(count, 2))

    def test_shapes_that_differ(self) -> None:
        with pytest.raises(LimbeckError, match=r"^student embeddings \(3, 2\) and teacher embeddings \(3, 4\) differ"):
            cc_loss(features(3, 2), features(3, 4))


class TestPaper:
    def test_two_pictures(self) -> None:
        # cosines 0 and 1 between the two; each with itself agrees: 2 of 4 pairs, gap e^-.8 (.8 + .8²/2)
        student, teacher = torch.eye(2), torch.ones(2, 5)
        expected = (math.exp(-0.8) * (0.8 + 0.32)) ** 2 / 2
        assert float(cc_kernel_loss(student, teacher)) == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize(("gamma", "order"), [(0.4, 2), (0.4, 1), (1.5, 4)])
    @pytest.mark.parametrize(("ours", "theirs"), [((5, 3), (5, 7)), ((4, 2, 3, 3), (4, 5, 2, 1))])
    def test_as_by_hand(self, ours: tuple[int, ...], theirs: tuple[int, ...], gamma: float, order: int) -> None:
        student, teacher = features(*ours), features(*theirs, seed=1)
        expected = kernel_by_hand(student, teacher, gamma, order)
        assert float(cc_kernel_loss(student, teacher, gamma, order)) == pytest.approx(expected, rel=1e-4)

    def test_a_long_expansion_is_the_gaussian_kernel(self) -> None:
        student, teacher = features(4, 3), features(4, 5, seed=1)
        unit = [rows / rows.norm(dim=1, keepdim=True) for rows in (student, teacher)]
        ours, theirs = (torch.exp(-0.7 * torch.cdist(rows, rows) ** 2) for rows in unit)
        expected = (ours - theirs).square().mean()
        torch.testing.assert_close(cc_kernel_loss(student, teacher, gamma=0.7, order=20), expected, rtol=1e-4, atol=0)

    def test_scale_does_not_matter(self) -> None:
        student, teacher = features(6, 4), features(6, 4, seed=1)
        scales = torch.arange(1.0, 7.0)[:, None]
        torch.testing.assert_close(cc_kernel_loss(scales * student, 3 * teacher), cc_kernel_loss(student, teacher))

    def test_one_picture(self) -> None:
        assert float(cc_kernel_loss(features(1, 4), features(1, 6, seed=1))) == pytest.approx(0, abs=1e-12)

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"gamma": 0.0}, r"^gamma = 0\.0 is not possible: it must be above 0\. Try 0\.4\.$"),
            ({"order": 0}, r"^order = 0 is not possible: it must be 1 or more\. Try 2\.$"),
        ],
    )
    def test_impossible_values(self, values: dict[str, float], message: str) -> None:
        with pytest.raises(LimbeckError, match=message):
            cc_kernel_loss(features(2, 2), features(2, 2), **values)  # type: ignore[arg-type]

    def test_batches_that_differ(self) -> None:
        with pytest.raises(
            LimbeckError, match=r"^student similarities of the pictures \(3, 3\) and teacher .*\(4, 4\)"
        ):
            cc_kernel_loss(features(3, 2), features(4, 2))


HARD = {
    "zeros": torch.zeros(4, 3),
    "one of zeros": torch.cat([torch.zeros(1, 3), features(3, 3)]),
    "all equal": torch.ones(4, 3),
    "huge": features(4, 3, scale=1e4),
    "opposite": torch.cat([features(2, 3), -features(2, 3)]),
}


@LOSSES
class TestBoth:
    def test_zero_at_equal_embeddings_and_positive_elsewhere(self, loss: Loss) -> None:
        assert float(loss(features(6, 4), features(6, 4))) == 0
        assert float(loss(features(6, 4), features(6, 4, seed=1))) > 1e-3

    def test_no_gradient_reaches_the_teacher(self, loss: Loss) -> None:
        student, teacher = features(4, 3).requires_grad_(), features(4, 3, seed=1).requires_grad_()
        loss(student, teacher).backward()
        assert teacher.grad is None
        assert student.grad is not None
        assert student.grad.abs().sum() > 0

    @pytest.mark.parametrize("teacher", HARD)
    @pytest.mark.parametrize("student", HARD)
    def test_loss_and_gradient_are_finite(self, student: str, teacher: str, loss: Loss) -> None:
        ours = HARD[student].clone().requires_grad_()
        value = loss(ours, HARD[teacher])
        value.backward()
        assert value.isfinite()
        assert ours.grad is not None
        assert ours.grad.isfinite().all()

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_is_computed_in_float32(self, dtype: torch.dtype, loss: Loss) -> None:
        student, teacher = features(8, 30).to(dtype), features(8, 30, seed=1).to(dtype)
        value = loss(student, teacher)
        assert value.dtype == torch.float32
        assert torch.equal(value, loss(student.float(), teacher.float()))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(value, loss(student.float(), teacher.float()))

    def test_it_compiles_in_one_piece(self, loss: Loss) -> None:
        student, teacher = features(4, 3), features(4, 3, seed=1)
        compiled = torch.compile(loss, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(student, teacher), loss(student, teacher))


class TestEmbeddings:
    def test_they_bring_both_to_one_width_and_both_learn(self) -> None:
        torch.manual_seed(0)
        embeddings = CorrelationEmbeddings(6, 5, width=3)
        student, teacher = features(4, 6, 1, 1).requires_grad_(), features(4, 5, seed=1).requires_grad_()
        loss = embeddings(student, teacher)
        expected = cc_loss(embeddings.student(student.flatten(1)), embeddings.teacher(teacher))
        torch.testing.assert_close(loss, expected)
        loss.backward()
        assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in embeddings.parameters())
        assert student.grad is not None
        assert student.grad.abs().sum() > 0
        assert teacher.grad is None

    def test_the_width_that_the_published_weight_belongs_to(self) -> None:
        embeddings = CorrelationEmbeddings(6, 5)
        assert embeddings.student.weight.shape == (128, 6)
        assert embeddings.teacher.weight.shape == (128, 5)
        assert embeddings(features(3, 6).bfloat16(), features(3, 5).bfloat16()).dtype == torch.float32
