"""The bridges between shapes: what comes out, what learns, and that the sizes change as they say."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.objectives.adapters import adapt, same_maps

SHAPES = [(3, 8, 8), (3, 4, 4), (5, 8, 6), (5, 1, 1), (16, 6), (17, 6), (65, 4), (1, 6), (2, 6), (6,), (9,)]


def features(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def learned(module: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in module.parameters()]


@pytest.mark.parametrize(("source", "target"), list(itertools.product(SHAPES, SHAPES)))
def test_from_any_shape_to_any(source: tuple[int, ...], target: tuple[int, ...]) -> None:
    adapter = adapt(source, target)
    for batch in (1, 3):
        out = adapter(features(batch, *source))
        assert out.shape == (batch, *target)
        assert out.isfinite().all()
    assert isinstance(adapter, nn.Identity) == (source == target)
    width = {1: 0, 2: 1, 3: 0}  # where the width stands
    assert bool(learned(adapter)) == (source[width[len(source)]] != target[width[len(target)]])


@pytest.mark.parametrize("source", [(3, 8, 8), (17, 6), (6,)])
@pytest.mark.parametrize("target", [(4, 2, 2), (10, 7), (9,), (4, 16, 16)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(
    source: tuple[int, ...], target: tuple[int, ...], dtype: torch.dtype
) -> None:
    adapter, given = adapt(source, target), features(2, *source).to(dtype)
    assert adapter(given).dtype == torch.float32
    assert torch.equal(adapter(given), adapter(given.float()))


def test_the_gradient_goes_through() -> None:
    for source, target in itertools.product(SHAPES, SHAPES):
        given = features(2, *source).requires_grad_()
        adapt(source, target)(given).square().sum().backward()
        assert given.grad is not None
        assert given.grad.any()


class TestMaps:
    def test_a_change_of_channels_is_a_1x1_convolution(self) -> None:
        adapter, given = adapt((3, 4, 5), (7, 4, 5)), features(2, 3, 4, 5)
        weight, bias = adapter.parameters()
        assert learned(adapter) == [(7, 3, 1, 1), (7,)]
        expected = torch.einsum("oc,bchw->bohw", weight[:, :, 0, 0], given) + bias.view(7, 1, 1)
        torch.testing.assert_close(adapter(given), expected)

    def test_shrinking_averages(self) -> None:
        given = features(2, 3, 4, 6)
        torch.testing.assert_close(adapt((3, 4, 6), (3, 2, 2))(given), F.avg_pool2d(given, (2, 3)))

    def test_growing_repeats(self) -> None:
        given = features(2, 3, 2, 3)
        expected = given.repeat_interleave(2, 2).repeat_interleave(3, 3)
        torch.testing.assert_close(adapt((3, 2, 3), (3, 4, 9))(given), expected)

    @pytest.mark.parametrize("size", [(2, 2), (3, 5), (8, 8), (1, 1), (2, 8)])
    def test_a_constant_map_stays_constant(self, size: tuple[int, int]) -> None:
        assert torch.equal(adapt((3, 4, 4), (3, *size))(torch.full((2, 3, 4, 4), 7.0)), torch.full((2, 3, *size), 7.0))

    @pytest.mark.parametrize(
        ("source", "target"), [((3, 8, 8), (5, 4, 4)), ((3, 4, 4), (5, 8, 8)), ((3, 4, 4), (5, 3, 5))]
    )
    def test_the_order_of_the_steps_does_not_matter(self, source: tuple[int, ...], target: tuple[int, ...]) -> None:
        adapter, given = adapt(source, target), features(2, *source)
        weight, bias = adapter.parameters()
        torch.testing.assert_close(
            adapter(given), F.adaptive_avg_pool2d(F.conv2d(given, weight, bias), list(target[1:]))
        )
        torch.testing.assert_close(
            adapter(given), F.conv2d(F.adaptive_avg_pool2d(given, list(target[1:])), weight, bias)
        )

    def test_the_convolution_works_on_fewer_pixels(self) -> None:
        def order(source: tuple[int, ...], target: tuple[int, ...]) -> list[str]:
            return [type(step).__name__ for step in adapt(source, target).children()]

        assert order((3, 8, 8), (5, 4, 4)) == ["AdaptiveAvgPool2d", "Conv2d"]
        assert order((3, 4, 4), (5, 8, 8)) == ["Conv2d", "AdaptiveAvgPool2d"]


class TestVectors:
    def test_a_vector_to_a_vector_is_a_linear_layer(self) -> None:
        adapter, given = adapt((6,), (9,)), features(4, 6)
        weight, bias = adapter.parameters()
        torch.testing.assert_close(adapter(given), given @ weight.T + bias)

    def test_a_map_to_a_vector_is_its_mean(self) -> None:
        given = features(2, 3, 4, 5)
        torch.testing.assert_close(adapt((3, 4, 5), (3,))(given), given.mean((2, 3)))

    def test_a_vector_to_a_map_is_repeated(self) -> None:
        given = features(2, 3)
        assert torch.equal(adapt((3,), (3, 2, 4))(given), given[:, :, None, None].expand(2, 3, 2, 4))

    def test_tokens_to_a_vector_are_their_mean_without_the_class_token(self) -> None:
        given = features(2, 17, 6)
        torch.testing.assert_close(adapt((17, 6), (6,))(given), given[:, 1:].mean(1))


class TestTokens:
    def test_another_width_is_a_linear_layer_for_each_token(self) -> None:
        adapter, given = adapt((7, 6), (7, 9)), features(2, 7, 6)  # any number of tokens: none is moved
        weight, bias = adapter.parameters()
        torch.testing.assert_close(adapter(given), given @ weight.T + bias)

    def test_tokens_are_the_pixels_row_by_row(self) -> None:
        given = features(2, 9, 5)
        found = adapt((9, 5), (5, 3, 3))(given)
        for row, column in itertools.product(range(3), range(3)):
            assert torch.equal(found[:, :, row, column], given[:, 3 * row + column])

    def test_there_and_back(self) -> None:
        given = features(2, 9, 5)
        assert torch.equal(adapt((5, 3, 3), (9, 5))(adapt((9, 5), (5, 3, 3))(given)), given)

    def test_a_class_token_is_left_out_of_a_map(self) -> None:
        given = features(2, 10, 5)
        assert torch.equal(adapt((10, 5), (5, 3, 3))(given), adapt((9, 5), (5, 3, 3))(given[:, 1:]))

    def test_a_class_token_made_from_a_map_is_its_mean(self) -> None:
        given = features(2, 5, 3, 3)
        found = adapt((5, 3, 3), (10, 5))(given)
        torch.testing.assert_close(found[:, 0], given.mean((2, 3)))
        assert torch.equal(found[:, 1:], adapt((5, 3, 3), (9, 5))(given))

    def test_a_class_token_goes_over_to_the_others(self) -> None:
        given = features(2, 17, 6)
        found = adapt((17, 6), (5, 6))(given)
        assert torch.equal(found[:, 0], given[:, 0])
        pixels = given[:, 1:].reshape(2, 4, 4, 6)
        torch.testing.assert_close(found[:, 1], pixels[:, :2, :2].mean((1, 2)))
        torch.testing.assert_close(found[:, 4], pixels[:, 2:, 2:].mean((1, 2)))

    def test_a_class_token_on_one_side_only(self) -> None:
        given = features(2, 17, 6)
        assert torch.equal(adapt((17, 6), (16, 6))(given), given[:, 1:])
        found = adapt((16, 6), (17, 6))(given[:, 1:])
        assert torch.equal(found[:, 1:], given[:, 1:])
        torch.testing.assert_close(found[:, 0], given[:, 1:].mean(1))

    @pytest.mark.parametrize(("source", "target"), [((17, 6), (65, 4)), ((65, 4), (17, 6))])
    def test_width_and_number_at_once(self, source: tuple[int, ...], target: tuple[int, ...]) -> None:
        adapter, given = adapt(source, target), features(2, *source)
        weight, bias = adapter.parameters()
        resized = adapt((source[0], target[1]), target)(given @ weight.T + bias)
        torch.testing.assert_close(adapter(given), resized)

    @pytest.mark.parametrize("tokens", [3, 7, 12, 198])
    @pytest.mark.parametrize("other", [(6, 4, 4), (16, 6), (6,)])
    def test_tokens_that_are_no_square(self, tokens: int, other: tuple[int, ...]) -> None:
        message = rf"^{tokens} tokens are not the pixels of a square map.*Tap the tokens of the patches alone"
        with pytest.raises(LimbeckError, match=message):
            adapt((tokens, 6), other)
        with pytest.raises(LimbeckError, match=message):
            adapt(other, (tokens, 6))


@pytest.mark.parametrize("shape", [(), (2, 3, 4, 4), (0,), (3, -1, 4), (3, 4, 0)])
def test_shapes_of_another_form(shape: tuple[int, ...]) -> None:
    with pytest.raises(LimbeckError, match=r"^features of shape \(.*\) cannot be adapted.*Leave the batch out\.$"):
        adapt(shape, (3, 4, 4))
    with pytest.raises(LimbeckError, match=r"cannot be adapted"):
        adapt((3, 4, 4), shape)


def test_they_compile_in_one_graph() -> None:
    adapter, given = adapt((17, 6), (5, 2, 2)), features(2, 17, 6)
    torch.testing.assert_close(torch.compile(adapter, fullgraph=True, backend="eager")(given), adapter(given))


class TestSameMaps:
    def test_only_the_channels_may_differ(self) -> None:
        same_maps(features(2, 3, 4, 5), features(2, 7, 4, 5))

    @pytest.mark.parametrize("shape", [(1, 3, 4, 5), (2, 3, 5, 4), (2, 3, 4, 4), (2, 60), (2, 20, 3)])
    def test_what_it_refuses(self, shape: tuple[int, ...]) -> None:
        message = (
            r"student maps .* and teacher maps .* do not fit\. Both must be \(batch, channels, height, width\), equal"
        )
        with pytest.raises(LimbeckError, match=message):
            same_maps(features(2, 3, 4, 5), features(*shape))
        with pytest.raises(LimbeckError, match=message):
            same_maps(features(*shape), features(2, 3, 4, 5))
