"""The folded normalisation against the plain formula."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from limbeck.errors import LimbeckError
from limbeck.models import Normalised

MEAN, STD = [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]


def normalised(images: torch.Tensor) -> torch.Tensor:
    """The formula as books have it."""
    mean, std = (torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1) for values in (MEAN, STD))
    return (images.double() - mean) / std


@pytest.fixture
def wrapper() -> Normalised:
    return Normalised(nn.Identity(), MEAN, STD)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(5, 3, 8, 6, generator=torch.Generator().manual_seed(0))


def test_it_is_the_plain_formula(wrapper: Normalised, images: torch.Tensor) -> None:
    torch.testing.assert_close(wrapper(images).double(), normalised(images), rtol=1e-6, atol=1e-6)


def test_the_mean_becomes_zero_and_one_deviation_more_one(wrapper: Normalised) -> None:
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    torch.testing.assert_close(wrapper(mean), torch.zeros(1, 3, 1, 1), atol=1e-6, rtol=0)
    torch.testing.assert_close(wrapper(mean + std), torch.ones(1, 3, 1, 1))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float16, 5e-3), (torch.bfloat16, 4e-2)])
def test_the_data_type_follows_the_pictures(
    wrapper: Normalised, images: torch.Tensor, dtype: torch.dtype, tolerance: float
) -> None:
    output = wrapper(images.to(dtype))
    assert output.dtype == dtype
    torch.testing.assert_close(output.double(), normalised(images), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_memory_layout_follows_the_pictures(
    wrapper: Normalised, images: torch.Tensor, layout: torch.memory_format
) -> None:
    laid_out = images.contiguous(memory_format=layout)
    assert wrapper(laid_out).stride() == laid_out.stride()
    assert torch.equal(wrapper(laid_out), wrapper(images))


def test_the_pictures_are_not_changed(wrapper: Normalised, images: torch.Tensor) -> None:
    before = images.clone()
    wrapper(images)
    assert torch.equal(images, before)


def test_the_gradient_to_the_pictures_is_one_by_the_deviation(wrapper: Normalised, images: torch.Tensor) -> None:
    wrapper(images.requires_grad_()).sum().backward()
    expected = (1 / torch.tensor(STD)).view(1, 3, 1, 1).expand_as(images)
    torch.testing.assert_close(images.grad, expected)


def test_the_state_carries_the_normalisation_and_no_parameter_is_added(
    wrapper: Normalised, images: torch.Tensor
) -> None:
    assert set(wrapper.state_dict()) == {"scale", "shift"}
    assert list(wrapper.parameters()) == []
    other = Normalised(nn.Identity(), [0.0] * 3, [1.0] * 3)
    torch.testing.assert_close(other(images), images)
    other.load_state_dict(wrapper.state_dict())
    assert torch.equal(other(images), wrapper(images))


def test_grey_pictures(images: torch.Tensor) -> None:
    torch.testing.assert_close(Normalised(nn.Identity(), [0.5], [0.25])(images[:, :1]), images[:, :1] * 4 - 2)


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ([0.5] * 3, [0.5], r"^mean has 3 numbers and std has 1\. Give each one number a channel"),
        ([], [], r"^mean has 0 numbers and std has 0\."),
        ([0.5, float("nan"), 0.5], [1.0] * 3, r"^mean must be finite numbers, not \[0\.5, nan, 0\.5\]\."),
        ([0.5] * 3, [0.5, 0.0, 0.5], r"^std must be finite numbers above 0, not \[0\.5, 0\.0, 0\.5\]\. CIFAR-10's is"),
        ([0.5], [-0.2], r"^std must be finite numbers above 0, not \[-0\.2\]"),
        ([0.5], [float("inf")], r"^std must be finite numbers above 0, not \[inf\]"),
    ],
)
def test_impossible_numbers_are_refused(mean: list[float], std: list[float], message: str) -> None:
    with pytest.raises(LimbeckError, match=message):
        Normalised(nn.Identity(), mean, std)


def test_bytes_are_refused(wrapper: Normalised) -> None:
    with pytest.raises(LimbeckError, match=r"must be float in \[0, 1\], not torch\.uint8\. Divide them by 255 first"):
        wrapper(torch.zeros(1, 3, 4, 4, dtype=torch.uint8))


@pytest.mark.parametrize("channels", [1, 4])
def test_another_number_of_channels_is_refused(wrapper: Normalised, channels: int) -> None:
    message = (
        rf"shape \(2, {channels}, 4, 4\) have {channels} channels, the normalisation has 3\. Give pictures \(B, 3,"
    )
    with pytest.raises(LimbeckError, match=message):
        wrapper(torch.zeros(2, channels, 4, 4))
