"""Variational information distillation: the likelihood by hand, and that its variance is learned."""

from __future__ import annotations

import math
from typing import Literal, get_args

import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives.vid import Variational, vid_loss

Form = Literal["released", "paper"]
FORMS = get_args(Form)


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("form", "share"),
    [("released", 1 / 4), ("paper", 1 / 1)],
)
def test_by_hand(form: Form, share: float) -> None:
    student, teacher = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]]), torch.tensor([[[[0.0, 4.0]], [[0.0, 4.0]]]])
    # channel 0: squares 1 and 4 over a variance of 2; channel 1: squares 9 and 0 over a variance of 1/2
    by_hand = 0.5 * ((1 + 4) / 2 + 2 * math.log(2) + (9 + 0) / 0.5 - 2 * math.log(2))
    loss = vid_loss(student, teacher, torch.tensor([2.0, 0.5]), form)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(share * by_hand, rel=1e-6)


def test_it_is_the_negative_log_likelihood_without_its_constant() -> None:
    student, teacher, variance = maps(3, 4, 2, 2), maps(3, 4, 2, 2, seed=1), torch.tensor([0.1, 1.0, 3.0, 9.0])
    normal = torch.distributions.Normal(student, variance.sqrt().view(1, 4, 1, 1))
    expected = -normal.log_prob(teacher) - math.log(2 * math.pi) / 2
    torch.testing.assert_close(vid_loss(student, teacher, variance), expected.mean())
    torch.testing.assert_close(vid_loss(student, teacher, variance, "paper"), expected.sum() / 3)


def test_the_best_variance_is_the_mean_squared_error_of_its_channel() -> None:
    student, teacher = maps(2, 3, 4, 4), maps(2, 3, 4, 4, seed=1)
    variance = (student - teacher).square().mean((0, 2, 3)).requires_grad_()
    vid_loss(student, teacher, variance).backward()
    torch.testing.assert_close(variance.grad, torch.zeros(3), atol=1e-7, rtol=0)
    assert vid_loss(student, teacher, variance) < vid_loss(student, teacher, 2 * variance)
    assert vid_loss(student, teacher, variance) < vid_loss(student, teacher, variance / 2)
    assert vid_loss(student, teacher, variance) < vid_loss(student, teacher, variance.roll(1))


def test_the_gradient_goes_to_the_student_and_the_variance() -> None:
    student, teacher = maps(2, 3, 4, 4).requires_grad_(), maps(2, 3, 4, 4, seed=1).requires_grad_()
    variance = torch.tensor([0.5, 2.0, 5.0], requires_grad=True)
    vid_loss(student, teacher, variance).backward()
    expected = (student - teacher) / variance.view(1, 3, 1, 1) / student.numel()
    torch.testing.assert_close(student.grad, expected.detach())
    assert teacher.grad is None
    assert variance.grad is not None
    assert variance.grad.all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (2, 3, 4, 4)])
@pytest.mark.parametrize("size", [0.0, 1e4])
def test_finite_at_the_extremes(form: Form, shape: tuple[int, ...], size: float) -> None:
    head = Variational(shape[1:], shape[1:], variance=2e-5)
    with torch.no_grad():
        head.log_scale -= 100  # as far down as it goes: a variance of 1e-5
    student = torch.full(shape, size, requires_grad=True)
    loss = vid_loss(student, torch.full(shape, -size), head.variance, form)
    loss.backward()
    assert loss.isfinite()
    for tensor in (student, head.log_scale):
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all()


def test_it_compiles_in_one_graph() -> None:
    head, student, teacher = Variational((3, 8, 8), (5, 4, 4)), maps(2, 3, 8, 8), maps(2, 5, 4, 4, seed=1)

    def loss(student: Tensor, teacher: Tensor) -> Tensor:
        return vid_loss(head(student), teacher, head.variance)

    torch.testing.assert_close(
        torch.compile(loss, fullgraph=True, backend="eager")(student, teacher), loss(student, teacher)
    )


class TestVariational:
    def test_the_variance_is_a_parameter_and_starts_at_5(self) -> None:
        head = Variational((3, 4, 4), (6, 4, 4))
        assert "log_scale" in dict(head.named_parameters())
        assert "log_scale" in head.state_dict()
        torch.testing.assert_close(head.variance, torch.full((6,), 5.0))

    @pytest.mark.parametrize("variance", [2e-5, 0.1, 5.0, 300.0])
    def test_other_variances(self, variance: float) -> None:
        torch.testing.assert_close(Variational((3, 4, 4), (6, 4, 4), variance).variance, torch.full((6,), variance))

    def test_one_step_of_an_optimizer_trains_the_variance(self) -> None:
        head = Variational((3, 4, 4), (6, 4, 4))
        before = head.log_scale.detach().clone()
        optimizer = torch.optim.SGD(head.parameters(), lr=1)
        vid_loss(head(maps(4, 3, 4, 4)), maps(4, 6, 4, 4, seed=1), head.variance).backward()
        optimizer.step()
        assert (head.log_scale != before).all()
        assert (head.variance < 5).all()  # the maps' variance is about 1

    @pytest.mark.parametrize(
        ("student", "teacher"), [((3, 8, 8), (6, 4, 4)), ((3, 4, 4), (6, 8, 8)), ((3, 5, 3), (6, 1, 1))]
    )
    def test_the_mean_has_the_teachers_shape(self, student: tuple[int, ...], teacher: tuple[int, ...]) -> None:
        assert Variational(student, teacher)(maps(2, *student)).shape == (2, *teacher)

    def test_three_convolutions_as_wide_as_the_teacher(self) -> None:
        shapes = {name: tuple(weight.shape) for name, weight in Variational((3, 8, 8), (6, 4, 4)).named_parameters()}
        assert sorted(shapes.values()) == [(6,), (6, 3, 1, 1), (6, 6, 1, 1), (6, 6, 1, 1)]

    def test_bf16_maps_are_taken(self) -> None:
        assert Variational((3, 4, 4), (6, 4, 4))(maps(2, 3, 4, 4).bfloat16()).dtype == torch.float32

    @pytest.mark.parametrize("variance", [0, -1.0, 1e-5, float("nan")])
    def test_an_impossible_variance(self, variance: float) -> None:
        with pytest.raises(
            LimbeckError, match=rf"^variance = {variance} is not possible: it must be above 1e-05\. Try 5"
        ):
            Variational((3, 4, 4), (6, 4, 4), variance)

    @pytest.mark.parametrize(("student", "teacher"), [((16, 3), (6, 4, 4)), ((3, 4, 4), (6,))])
    def test_what_are_no_maps(self, student: tuple[int, ...], teacher: tuple[int, ...]) -> None:
        with pytest.raises(LimbeckError, match=r"VID compares maps, not features of shape .* Tap a convolution"):
            Variational(student, teacher)


@pytest.mark.parametrize(("shape", "variances"), [((2, 3, 4, 4), (4,)), ((2, 3, 4, 4), ()), ((2, 3), (3,))])
def test_variances_that_do_not_fit(shape: tuple[int, ...], variances: tuple[int, ...]) -> None:
    with pytest.raises(
        LimbeckError, match=r"maps \(2, 3.*\) and variances \(.*\) do not fit.*one variance for each channel"
    ):
        vid_loss(maps(*shape), maps(*shape), torch.ones(variances))
