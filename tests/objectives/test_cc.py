"""Both forms of correlation congruence against plain arithmetic, and their properties."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives.cc import CorrelationEmbeddings, cc_kernel_loss, cc_loss


def features(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


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


class TestPaper:
    def test_two_pictures(self) -> None:
        # cosines 0 and 1 between the two; each with itself agrees: 2 of 4 pairs, gap e^-.8 (.8 + .8²/2)
        student, teacher = torch.eye(2), torch.ones(2, 5)
        expected = (math.exp(-0.8) * (0.8 + 0.32)) ** 2 / 2
        assert float(cc_kernel_loss(student, teacher)) == pytest.approx(expected, rel=1e-5)

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
