"""Cheap dropout masks have the distribution, the scale and the gradient of torch's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from limbeck.models.dropout import Dropout

PROBABILITIES = [0.5, 0.25, 3 / 256, 255 / 256]
SIZE = 400_000


def ones(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.ones(shape, dtype=dtype)


@pytest.mark.parametrize("p", PROBABILITIES)
def test_the_share_of_zeros_and_the_mean(p: float) -> None:
    dropped = Dropout(p)(ones(SIZE))
    zeros = (dropped == 0).double().mean().item()
    assert zeros == pytest.approx(p, abs=4 * (p * (1 - p) / SIZE) ** 0.5)
    assert dropped.double().mean().item() == pytest.approx(1, abs=4 * (p / (1 - p) / SIZE) ** 0.5)


@pytest.mark.parametrize("p", PROBABILITIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_stays_is_divided_by_1_minus_p(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.rand(SIZE // 8, dtype=dtype) + 0.5
    dropped = Dropout(p)(x)
    stays = dropped != 0
    torch.testing.assert_close(dropped[stays], x[stays] / (1 - p))
    assert stays.any()


def test_neighbours_are_independent() -> None:
    zero = (Dropout(0.5)(ones(SIZE)) == 0).double()
    for distance in (1, 2, 8, 64):
        both = (zero[:-distance] * zero[distance:]).mean().item()
        assert both == pytest.approx(0.25, abs=0.004)


def test_every_byte_of_a_word_decides_alike() -> None:
    zeros = (Dropout(0.5)(ones(SIZE)) == 0).double().view(-1, 8).mean(0)
    assert ((zeros - 0.5).abs() < 0.012).all()


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 1001])
def test_sizes_that_do_not_fill_a_word(count: int) -> None:
    dropped = Dropout(0.5)(ones(count))
    assert dropped.shape == (count,)
    assert set(dropped.tolist()) <= {0.0, 2.0}


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
def test_eval_is_the_identity(p: float) -> None:
    x = torch.rand(100)
    assert Dropout(p).eval()(x) is x


def test_nothing_and_everything() -> None:
    assert torch.equal(Dropout(0.0)(ones(100)), torch.ones(100))
    assert torch.equal(Dropout(1.0)(ones(100)), torch.zeros(100))


@pytest.mark.parametrize("p", [0.5, 0.3])
def test_the_gradient_passes_where_the_value_did(p: float) -> None:
    x = ones(10_000).requires_grad_()
    dropped = Dropout(p)(x)
    dropped.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, dropped.detach())
    assert 0 < (x.grad == 0).sum() < 10_000


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_memory_format_is_kept(layout: torch.memory_format) -> None:
    x = ones(4, 6, 5, 3).contiguous(memory_format=layout)
    dropped = Dropout(0.5)(x)
    assert dropped.stride() == x.stride()
    assert 0.3 < (dropped == 0).double().mean().item() < 0.7


def test_a_channels_last_mask_has_no_pattern_over_channels_or_pixels() -> None:
    x = ones(64, 16, 10, 10).contiguous(memory_format=torch.channels_last)
    zero = (Dropout(0.5)(x) == 0).double()
    for dims in ((0, 2, 3), (0, 1), (1, 2, 3)):
        assert ((zero.mean(dims) - 0.5).abs() < 0.08).all()


def test_values_that_are_not_dense() -> None:
    x = ones(100, 50)[:, ::2]
    dropped = Dropout(0.5)(x)
    assert dropped.shape == (100, 25)
    assert 0.4 < (dropped == 0).double().mean().item() < 0.6


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype: torch.dtype) -> None:
    dropped = Dropout(0.5)(ones(1000, dtype=dtype))
    assert dropped.dtype == dtype
    assert set(dropped.tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("p", [0.5, 0.3])
def test_it_is_reproducible(p: float) -> None:
    def mask(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return Dropout(p)(torch.ones(1000))

    assert torch.equal(mask(3), mask(3))
    assert not torch.equal(mask(3), mask(4))


def test_two_calls_differ() -> None:
    dropout = Dropout(0.5)
    assert not torch.equal(dropout(ones(1000)), dropout(torch.ones(1000)))


@pytest.mark.parametrize("p", [0.3, 0.1, 0.001])
def test_where_bytes_cannot_decide_it_is_torchs_own(p: float) -> None:
    torch.manual_seed(5)
    own = Dropout(p)(torch.ones(2000))
    torch.manual_seed(5)
    assert torch.equal(own, nn.Dropout(p)(torch.ones(2000)))


def test_where_bytes_decide_it_is_not() -> None:
    """Else the masks are not the cheap ones."""
    torch.manual_seed(5)
    own = Dropout(0.5)(torch.ones(2000))
    torch.manual_seed(5)
    assert not torch.equal(own, nn.Dropout(0.5)(torch.ones(2000)))


def test_the_input_is_not_changed() -> None:
    x = ones(100)
    Dropout(0.5)(x)
    assert torch.equal(x, torch.ones(100))


def test_a_training_step_compiles_as_one_graph() -> None:
    torch.compiler.reset()
    step = torch.compile(Dropout(0.5).train(), backend="eager", fullgraph=True)
    kept = step(torch.ones(4, 8, 6, 6)) != 0
    assert 0.3 < kept.float().mean() < 0.7
