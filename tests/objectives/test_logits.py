"""The losses against constants worked out by hand, and their properties."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives import cross_entropy, kd_loss

LN3 = math.log(3)


def logits(*shape: int, seed: int = 0, scale: float = 3.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class TestKD:
    @pytest.mark.parametrize(
        ("student", "teacher", "temperature", "by_hand"),
        [
            # teacher 3/4 : 1/4, student 1/2 : 1/2: 3/4 ln(3/2) + 1/4 ln(1/2)
            ([0.0, 0.0], [LN3, 0.0], 1, 0.1308120),
            # the two exchanged: 1/2 ln(2/3) + 1/2 ln 2; the divergence is not symmetric
            ([LN3, 0.0], [0.0, 0.0], 1, 0.1438410),
            # the same probabilities at T = 2, times 4
            ([0.0, 0.0], [2 * LN3, 0.0], 2, 0.5232481),
            # T = 1/2: a quarter
            ([0.0, 0.0], [LN3 / 2, 0.0], 0.5, 0.0327030),
            # teacher 1/2 : 1/4 : 1/4, student 1/3 each: 1/2 ln(3/2) + 1/2 ln(3/4)
            ([5.0, 5.0, 5.0], [math.log(2), 0.0, 0.0], 1, 0.0588915),
        ],
    )
    def test_by_hand(self, student: list[float], teacher: list[float], temperature: float, by_hand: float) -> None:
        loss = kd_loss(torch.tensor([student]), torch.tensor([teacher]), temperature)
        assert loss.shape == ()
        assert float(loss) == pytest.approx(by_hand, rel=2e-6)

    def test_the_mean_over_the_batch(self) -> None:
        student = torch.tensor([[0.0, 0.0], [1.0, 1.0], [LN3, 0.0], [7.0, 3.0]])
        teacher = torch.tensor([[LN3, 0.0], [LN3, 0.0], [0.0, 0.0], [7.0, 3.0]])
        assert float(kd_loss(student, teacher, 1)) == pytest.approx((2 * 0.1308120 + 0.1438410) / 4, abs=2e-7)

    def test_the_default_temperature_is_4(self) -> None:
        assert torch.equal(kd_loss(logits(4, 5), logits(4, 5, seed=1)), kd_loss(logits(4, 5), logits(4, 5, seed=1), 4))

    @pytest.mark.parametrize("temperature", [0.5, 1, 4, 20])
    def test_the_factor_t_squared(self, temperature: float) -> None:
        student, teacher = logits(8, 10), logits(8, 10, seed=1)
        scaled = kd_loss(temperature * student, temperature * teacher, temperature)
        torch.testing.assert_close(scaled, temperature**2 * kd_loss(student, teacher, 1))

    @pytest.mark.parametrize("temperature", [1, 4, 20])
    def test_the_gradient_is_t_times_the_difference_of_the_probabilities(self, temperature: float) -> None:
        student, teacher = logits(8, 10).requires_grad_(), logits(8, 10, seed=1)
        kd_loss(student, teacher, temperature).backward()
        expected = (student / temperature).softmax(1) - (teacher / temperature).softmax(1)
        torch.testing.assert_close(student.grad, temperature * expected.detach() / 8, rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize("temperature", [0.5, 1, 4])
    def test_zero_at_equal_logits_and_at_a_shift_of_each_row(self, temperature: float) -> None:
        student = logits(8, 10)
        assert float(kd_loss(student, student.clone(), temperature)) == 0
        shifted = student + logits(8, 1, seed=2)
        assert float(kd_loss(student, shifted, temperature)) == pytest.approx(0, abs=1e-5)

    @pytest.mark.parametrize("seed", range(5))
    def test_positive_elsewhere(self, seed: int) -> None:
        assert float(kd_loss(logits(8, 10, seed=seed), logits(8, 10, seed=seed + 1))) > 0.1

    @pytest.mark.parametrize("times", [2, 7])
    def test_it_does_not_depend_on_the_size_of_the_batch(self, times: int) -> None:
        student, teacher = logits(4, 10), logits(4, 10, seed=1)
        torch.testing.assert_close(
            kd_loss(student.repeat(times, 1), teacher.repeat(times, 1)), kd_loss(student, teacher)
        )

    def test_no_gradient_reaches_the_teacher(self) -> None:
        student, teacher = logits(4, 10).requires_grad_(), logits(4, 10, seed=1).requires_grad_()
        kd_loss(student, teacher).backward()
        assert teacher.grad is None
        assert student.grad is not None
        assert student.grad.abs().sum() > 0

    @pytest.mark.parametrize("temperature", [1, 4])
    @pytest.mark.parametrize(
        ("student", "teacher"),
        [
            ([1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]),
            ([1e4, -1e4, 0.0], [1e4, -1e4, 0.0]),
            ([7.0, 7.0, 7.0], [1e4, 0.0, 0.0]),
            ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
            ([-1e4, -1e4, -1e4], [1e4, 1e4, 1e4]),
        ],
    )
    def test_finite_at_the_extremes_and_on_constant_rows(
        self, student: list[float], teacher: list[float], temperature: float
    ) -> None:
        answers = torch.tensor([student], requires_grad=True)
        loss = kd_loss(answers, torch.tensor([teacher]), temperature)
        loss.backward()
        assert loss.isfinite()
        assert answers.grad is not None
        assert answers.grad.isfinite().all()

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_is_computed_in_float32(self, dtype: torch.dtype) -> None:
        student, teacher = logits(8, 100).to(dtype), logits(8, 100, seed=1).to(dtype)
        loss = kd_loss(student, teacher, 3)
        assert loss.dtype == torch.float32
        assert torch.equal(loss, kd_loss(student.float(), teacher.float(), 3))

    def test_double_precision_too(self) -> None:
        assert kd_loss(logits(2, 3).double(), logits(2, 3, seed=1).double()).dtype == torch.float32

    @pytest.mark.parametrize("temperature", [0, -1.0, float("nan")])
    def test_an_impossible_temperature(self, temperature: float) -> None:
        with pytest.raises(LimbeckError, match=rf"^temperature = {temperature} is not possible: it must be above 0"):
            kd_loss(logits(2, 3), logits(2, 3), temperature)

    @pytest.mark.parametrize("shape", [(4, 3), (2, 4), (1, 3), (3,)])
    def test_shapes_that_differ(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(
            LimbeckError, match=r"student logits \(2, 3\) and teacher logits \(.*\) differ in shape\. Both"
        ):
            kd_loss(logits(2, 3), logits(*shape))


class TestCrossEntropy:
    @pytest.mark.parametrize(
        ("student", "label", "smoothing", "by_hand"),
        [
            ([0.0, 0.0], 0, 0.0, 0.6931472),  # ln 2
            ([LN3, 0.0], 0, 0.0, 0.2876821),  # ln 4/3
            ([LN3, 0.0], 1, 0.0, 1.3862944),  # ln 4
            # smoothing .2 makes the target .9 : .1: .9 ln 4/3 + .1 ln 4
            ([LN3, 0.0], 0, 0.2, 0.3975433),
        ],
    )
    def test_by_hand(self, student: list[float], label: int, smoothing: float, by_hand: float) -> None:
        loss = cross_entropy(torch.tensor([student]), torch.tensor([label]), smoothing)
        assert loss.shape == ()
        assert float(loss) == pytest.approx(by_hand, rel=2e-6)

    def test_the_mean_over_the_batch(self) -> None:
        loss = cross_entropy(torch.tensor([[0.0, 0.0], [LN3, 0.0]]), torch.tensor([0, 1]))
        assert float(loss) == pytest.approx((0.6931472 + 1.3862944) / 2, abs=2e-7)

    @pytest.mark.parametrize("smoothing", [0.0, 0.1])
    def test_unlabelled_pictures_do_not_count(self, smoothing: float) -> None:
        student, labels = logits(6, 10).requires_grad_(), torch.tensor([3, -1, 0, -1, -1, 9])
        loss = cross_entropy(student, labels, smoothing)
        torch.testing.assert_close(loss, cross_entropy(student[labels >= 0], labels[labels >= 0], smoothing))
        loss.backward()
        assert student.grad is not None
        assert student.grad.abs().sum(1).gt(0).tolist() == [True, False, True, False, False, True]

    def test_zero_where_nothing_is_labelled(self) -> None:
        student = logits(4, 10).requires_grad_()
        loss = cross_entropy(student, torch.full((4,), -1))
        loss.backward()
        assert loss.item() == 0
        assert student.grad is not None
        assert not student.grad.any()

    def test_it_does_not_depend_on_the_size_of_the_batch(self) -> None:
        student, labels = logits(4, 10), torch.tensor([3, -1, 0, 9])
        torch.testing.assert_close(
            cross_entropy(student.repeat(5, 1), labels.repeat(5)), cross_entropy(student, labels)
        )

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_is_computed_in_float32(self, dtype: torch.dtype) -> None:
        student, labels = logits(8, 100).to(dtype), torch.arange(8)
        loss = cross_entropy(student, labels, 0.1)
        assert loss.dtype == torch.float32
        assert torch.equal(loss, cross_entropy(student.float(), labels, 0.1))

    @pytest.mark.parametrize("size", [1e4, -1e4])
    def test_finite_at_the_extremes(self, size: float) -> None:
        assert cross_entropy(torch.tensor([[size, 0.0, 3.0]]), torch.tensor([1]), 0.1).isfinite()


@pytest.mark.parametrize("loss", [kd_loss, lambda student, teacher: cross_entropy(student, torch.arange(4))])
def test_the_gradient_is_the_numeric_one(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    student, teacher = logits(4, 5, scale=1).requires_grad_(), logits(4, 5, seed=1, scale=1)
    loss(student, teacher).backward()
    direction, step = logits(4, 5, seed=2, scale=1), 1e-2
    with torch.no_grad():
        slope = (loss(student + step * direction, teacher) - loss(student - step * direction, teacher)) / (2 * step)
    assert student.grad is not None
    assert float((student.grad * direction).sum()) == pytest.approx(float(slope), rel=1e-3, abs=1e-4)
