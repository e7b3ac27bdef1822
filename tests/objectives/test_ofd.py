"""The overhaul's partial distance against values worked out by hand, and where its margins come from."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import integrate
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.objectives.ofd import batch_norm_margin, measured_margin, ofd_loss


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("student", "teacher", "cost"),
    [
        (1.0, 3.0, 4.0),  # the teacher is on: the distance
        (5.0, 3.0, 4.0),  # from above, too
        (-9.0, 3.0, 144.0),
        (-0.2, -0.3, 0.01),  # off, within the margin, the student above: the distance
        (-0.4, -0.3, 0.0),  # off, and the student below: nothing
        (1.0, -7.0, 2.25),  # off, beyond the margin of -.5: the distance to the margin
        (-0.4, -7.0, 0.01),
        (-0.6, -7.0, 0.0),  # below the margin: nothing
        (1.0, 0.0, 1.0),
        (-1.0, 0.0, 0.0),  # 0 is off
    ],
)
def test_one_element(student: float, teacher: float, cost: float) -> None:
    margin = torch.tensor([-0.5])
    loss = ofd_loss(torch.full((1, 1, 1, 1), student), torch.full((1, 1, 1, 1), teacher), margin)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(cost, rel=1e-5)


def test_a_margin_of_zero_is_the_plain_relu() -> None:
    student, teacher = maps(2, 3, 4, 4), maps(2, 3, 4, 4, seed=1)
    on = (student - teacher).square() * (teacher > 0)
    off = student.clamp(min=0).square() * (teacher <= 0)
    torch.testing.assert_close(ofd_loss(student, teacher, torch.zeros(3)), (on + off).sum() / 2)


def test_each_layer_counts_half_as_much_as_the_next() -> None:
    student, teacher, margin = maps(2, 3, 4, 4), maps(2, 3, 4, 4, seed=1), -torch.ones(3)
    for later in range(4):
        weighted = ofd_loss(student, teacher, margin, later_layers=later)
        torch.testing.assert_close(2.0**later * weighted, ofd_loss(student, teacher, margin))


def test_what_it_does_not_depend_on() -> None:
    student, teacher, margin = maps(2, 3, 4, 4), maps(2, 3, 4, 4, seed=1), torch.tensor([-0.1, -0.5, -2.0])
    loss = ofd_loss(student, teacher, margin)
    torch.testing.assert_close(ofd_loss(student.repeat(3, 1, 1, 1), teacher.repeat(3, 1, 1, 1), margin), loss)
    beyond = torch.where(teacher < margin.view(3, 1, 1), teacher - 100, teacher)
    torch.testing.assert_close(ofd_loss(student, beyond, margin), loss)
    torch.testing.assert_close(ofd_loss(student.flip(1), teacher.flip(1), margin.flip(0)), loss)
    assert float((ofd_loss(student, teacher, margin.flip(0)) - loss).abs()) > 0.01


def test_zero_at_equal_maps_and_where_all_is_off() -> None:
    student, margin = maps(2, 3, 4, 4), torch.tensor([-0.1, -0.5, -2.0])
    assert float(ofd_loss(student.clamp(min=-0.1), student.clamp(min=-0.1), margin)) == 0
    assert float(ofd_loss(-student.abs() - 2, -student.abs(), margin)) == 0
    assert float(ofd_loss(-student.abs(), student.abs(), margin)) > 1


def test_no_gradient_reaches_the_teacher() -> None:
    student, teacher = (
        torch.tensor([1.0, -0.4, -9.0]).view(1, 1, 1, 3),
        torch.tensor([3.0, -7.0, -7.0]).view(1, 1, 1, 3),
    )
    margin = torch.tensor([-0.5], requires_grad=True)
    ofd_loss(student.requires_grad_(), teacher.requires_grad_(), margin).backward()
    assert teacher.grad is None
    assert margin.grad is None
    torch.testing.assert_close(student.grad, torch.tensor([-4.0, 0.2, 0.0]).view(1, 1, 1, 3))


@pytest.mark.parametrize(("shape", "margins"), [((2, 3, 4, 4), (4,)), ((2, 3, 4, 4), ()), ((2, 3), (3,))])
def test_margins_that_do_not_fit(shape: tuple[int, ...], margins: tuple[int, ...]) -> None:
    with pytest.raises(LimbeckError, match=r"maps \(2, 3.*\) and margins \(.*\) do not fit.*Take batch_norm_margin"):
        ofd_loss(maps(*shape), maps(*shape), torch.zeros(margins))


def layer(weights: list[float], biases: list[float]) -> nn.BatchNorm2d:
    found = nn.BatchNorm2d(len(weights))
    with torch.no_grad():
        found.weight.copy_(torch.tensor(weights))
        found.bias.copy_(torch.tensor(biases))
    return found


def mean_of_the_negative(mean: float, deviation: float) -> float:
    def density(x: float) -> float:
        return math.exp(-(((x - mean) / deviation) ** 2) / 2)

    low = min(mean, 0) - 12 * deviation
    return integrate.quad(lambda x: x * density(x), low, 0)[0] / integrate.quad(density, low, 0)[0]


class TestBatchNormMargin:
    def test_the_standard_normal(self) -> None:
        expected = torch.tensor([-math.sqrt(2 / math.pi), -2 * math.sqrt(2 / math.pi)])
        torch.testing.assert_close(batch_norm_margin(layer([1.0, 2.0], [0.0, 0.0])), expected)

    @pytest.mark.parametrize("form", ["released", "paper"])
    @pytest.mark.parametrize(
        ("weight", "bias"), [(1, 0), (0.5, 1), (2, -3), (0.1, -4), (1, 3), (0.3, 0.9), (1e-3, -2e-3), (0.2, -9)]
    )
    def test_against_an_integral(self, weight: float, bias: float, form: str) -> None:
        margin = batch_norm_margin(layer([weight], [bias]), form)  # type: ignore[arg-type]
        assert float(margin) == pytest.approx(mean_of_the_negative(bias, weight), rel=1e-5)

    def test_against_a_sample(self) -> None:
        source = layer([0.7, 1.3], [0.4, -0.6])
        sample = torch.tensor([0.7, 1.3]).view(2, 1, 1) * maps(64, 2, 50, 50) + torch.tensor([0.4, -0.6]).view(2, 1, 1)
        torch.testing.assert_close(batch_norm_margin(source), measured_margin(sample), rtol=0.01, atol=0)

    def test_a_negative_weight_mirrors_a_symmetric_distribution(self) -> None:
        torch.testing.assert_close(batch_norm_margin(layer([-0.7], [0.4])), batch_norm_margin(layer([0.7], [0.4])))

    @pytest.mark.parametrize("weight", [1.0, -0.5])
    def test_a_channel_that_is_hardly_ever_negative(self, weight: float) -> None:
        # 3.2 deviations up, fewer than one value in a thousand is negative; at 3.0, 1.35 of a thousand
        rare, often = abs(weight) * 3.2, abs(weight) * 3.0
        source = layer([weight, weight], [rare, often])
        released, paper = batch_norm_margin(source), batch_norm_margin(source, "paper")
        assert released[0] == pytest.approx(-3 * abs(weight))
        assert float(paper[0]) == pytest.approx(mean_of_the_negative(rare, abs(weight)), rel=1e-5)
        torch.testing.assert_close(released[1], paper[1])

    @pytest.mark.parametrize("form", ["released", "paper"])
    def test_a_constant_channel(self, form: str) -> None:
        margin = batch_norm_margin(layer([0.0, 0.0, 0.0], [-2.0, 0.0, 3.0]), form)  # type: ignore[arg-type]
        assert margin.tolist() == [-2, 0, 0]

    @pytest.mark.parametrize("form", ["released", "paper"])
    @pytest.mark.parametrize("bias", [-1e4, -40.0, 40.0, 1e4, 1e8])
    @pytest.mark.parametrize("weight", [1e-30, 1e-3, 1.0, 1e4])
    def test_finite_and_never_positive(self, form: str, bias: float, weight: float) -> None:
        margin = batch_norm_margin(layer([weight], [bias]), form)  # type: ignore[arg-type]
        assert margin.isfinite().all()
        assert margin.dtype == torch.float32
        assert float(margin) <= 0
        if bias < 0 and weight <= 1:
            assert float(margin) == pytest.approx(bias, rel=1e-4)

    @pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d])
    def test_a_layer_without_weight_and_bias(self, kind: type[nn.BatchNorm2d]) -> None:
        margin = batch_norm_margin(kind(3, affine=False))
        torch.testing.assert_close(margin, torch.full((3,), -math.sqrt(2 / math.pi)))

    def test_it_takes_no_part_in_training(self) -> None:
        assert not batch_norm_margin(layer([1.0], [0.0])).requires_grad

    @pytest.mark.parametrize("other", [nn.LayerNorm(3), nn.GroupNorm(1, 3), nn.Conv2d(3, 3, 1), nn.Identity()])
    def test_another_layer(self, other: nn.Module) -> None:
        name = type(other).__name__
        with pytest.raises(LimbeckError, match=rf"a margin cannot be read from {name}.*measure it: measured_margin\("):
            batch_norm_margin(other)


class TestMeasuredMargin:
    def test_by_hand(self) -> None:
        teacher = torch.tensor([[[[-1.0, 4.0]], [[2.0, 3.0]]], [[[-3.0, 0.0]], [[0.0, 1.0]]]])
        assert measured_margin(teacher).tolist() == [-2, 0]

    def test_half_precision_and_no_gradient(self) -> None:
        teacher = maps(2, 3, 4, 4).bfloat16().requires_grad_()
        margin = measured_margin(teacher)
        assert margin.dtype == torch.float32
        assert not margin.requires_grad
        assert torch.equal(margin, measured_margin(teacher.float()))

    def test_what_are_no_maps(self) -> None:
        with pytest.raises(LimbeckError, match=r"a margin cannot be measured on features \(2, 3\).*Tap a convolution"):
            measured_margin(maps(2, 3))
