"""Standardised logits against Python's own statistics, their properties, and the losses that are made of them."""

from __future__ import annotations

import statistics

import pytest
import torch
from torch import Tensor

from limbeck.objectives import kd_loss
from limbeck.objectives.dist import dist_loss
from limbeck.objectives.dkd import dkd_loss, dkd_parts
from limbeck.objectives.standardised import standardise, standardised

LABELS = torch.tensor([3, 0, 9, 3])


def logits(*shape: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class TestStandardise:
    @pytest.mark.parametrize(("correction", "deviation"), [(1, statistics.stdev), (0, statistics.pstdev)])
    def test_as_pythons_own(self, correction: int, deviation: object) -> None:
        rows = [[2.0, -1.0, 0.5, 4.0], [0.0, 1.0, 3.0, -100.0]]
        assert callable(deviation)
        expected = [[(z - statistics.mean(row)) / deviation(row) for z in row] for row in rows]
        torch.testing.assert_close(standardise(torch.tensor(rows), correction), torch.tensor(expected))

    def test_by_hand(self) -> None:
        # squares 1, 0, 1: over C - 1 a deviation of 1, over C of √(2/3)
        rows = torch.tensor([[1.0, 2.0, 3.0]])
        torch.testing.assert_close(standardise(rows), torch.tensor([[-1.0, 0.0, 1.0]]))
        torch.testing.assert_close(standardise(rows, 0), torch.tensor([[-1.2247449, 0.0, 1.2247449]]))

    def test_the_default_is_the_released_form(self) -> None:
        assert torch.equal(standardise(logits(4, 10)), standardise(logits(4, 10), 1))
        torch.testing.assert_close(standardise(logits(4, 10)).std(1), torch.ones(4))

    def test_neither_shift_nor_scale_of_a_row_matters(self) -> None:
        rows, shifts = logits(4, 10), logits(4, 1, seed=1)
        scales = torch.tensor([[0.01], [1.0], [7.0], [1000.0]])
        torch.testing.assert_close(standardise(scales * rows + shifts), standardise(rows), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(standardise(-rows), -standardise(rows))

    @pytest.mark.parametrize("value", [0.0, 3.3, -0.1, 1e4, -1e4])
    @pytest.mark.parametrize("classes", [1, 3, 10, 100])
    @pytest.mark.parametrize("correction", [0, 1])
    def test_a_constant_row_becomes_zeros_and_gets_no_gradient(
        self, value: float, classes: int, correction: int
    ) -> None:
        rows = torch.full((2, classes), value, requires_grad=True)
        scores = standardise(rows, correction)
        (scores * logits(2, classes)).sum().backward()
        assert not scores.any()
        assert rows.grad is not None
        assert not rows.grad.any()

    def test_large_logits(self) -> None:
        rows = torch.tensor([[1e4, -1e4, 0.0], [1e4, 1e4, 1e4 - 1]], requires_grad=True)
        scores = standardise(rows)
        (scores * logits(2, 3)).sum().backward()
        expected = torch.tensor([[1.0, -1.0, 0.0], [3**-0.5, 3**-0.5, -2 * 3**-0.5]])
        torch.testing.assert_close(scores.detach(), expected)
        assert rows.grad is not None
        assert rows.grad.isfinite().all()

    def test_the_gradient_changes_neither_the_mean_nor_the_size(self) -> None:
        rows = logits(4, 10).requires_grad_()
        (standardise(rows) * logits(4, 10, seed=1)).sum().backward()
        assert rows.grad is not None
        torch.testing.assert_close(rows.grad.sum(1), torch.zeros(4), rtol=0, atol=1e-5)
        torch.testing.assert_close((rows.grad * rows.detach()).sum(1), torch.zeros(4), rtol=0, atol=1e-4)
        assert rows.grad.abs().sum() > 1

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_is_computed_in_float32(self, dtype: torch.dtype) -> None:
        rows = logits(4, 10).to(dtype)
        assert standardise(rows).dtype == torch.float32
        assert torch.equal(standardise(rows), standardise(rows.float()))


class TestStandardised:
    def test_by_hand(self) -> None:
        # of two classes every row becomes ±(1, -1) / √2
        loss = standardised(kd_loss)(torch.tensor([[5.0, 1.0]]), torch.tensor([[-3.0, 3.0]]), 2)
        plain = kd_loss(torch.tensor([[0.5**0.5, -(0.5**0.5)]]), torch.tensor([[-(0.5**0.5), 0.5**0.5]]), 2)
        torch.testing.assert_close(loss, plain)
        assert loss.shape == ()
        assert loss.dtype == torch.float32

    def test_what_else_the_loss_takes_goes_through(self) -> None:
        student, teacher = logits(4, 10), logits(4, 10, seed=1)
        both = standardise(student), standardise(teacher)
        assert torch.equal(standardised(kd_loss)(student, teacher, temperature=2), kd_loss(*both, 2))
        assert torch.equal(
            standardised(dkd_loss)(student, teacher, LABELS, 2, beta=3), dkd_loss(*both, LABELS, 2, 1, 3)
        )
        assert torch.equal(standardised(dist_loss)(student, teacher, gamma=0.5), dist_loss(*both, gamma=0.5))
        parts = standardised(dkd_parts)(student, teacher, LABELS)
        assert all(map(torch.equal, parts, dkd_parts(*both, LABELS)))

    def test_it_keeps_the_name_and_the_docstring(self) -> None:
        assert standardised(kd_loss).__name__ == "kd_loss"
        assert standardised(kd_loss).__doc__ == kd_loss.__doc__

    def test_zero_for_a_student_with_the_teachers_shape_at_another_size(self) -> None:
        student, loss = logits(4, 10), standardised(kd_loss)
        assert loss(student, 3 * student + 2).item() == pytest.approx(0, abs=1e-5)
        assert kd_loss(student, 3 * student + 2) > 0.1
