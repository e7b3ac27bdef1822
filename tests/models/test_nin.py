"""What is particular to the lab's student; its layer table and what all networks share are tested beside this."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from limbeck.models import CIFARNIN


@pytest.fixture(scope="module")
def full() -> CIFARNIN:
    torch.manual_seed(0)
    return CIFARNIN().eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(1)) - 0.5


def parameters(classes: int, channels: int, widths: tuple[int, ...]) -> int:
    """The number of parameters, added up layer by layer."""
    inputs, outputs, kernels = (channels, *widths), (*widths, classes), (5, 1, 1, 5, 1, 1, 3, 1, 1)
    return sum(a * b * k * k + b for a, b, k in zip(inputs, outputs, kernels, strict=True))


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_full_network_has_the_documents_parameters(full: CIFARNIN) -> None:
    assert count(full) == parameters(10, 3, (192, 160, 96, 192, 192, 192, 192, 192)) == 966_986


def test_classes_channels_and_width_act() -> None:
    assert count(CIFARNIN(7, 1, width=0.1)) == parameters(7, 1, (19, 16, 10, 19, 19, 19, 19, 19))
    assert count(CIFARNIN(2, width=0.001)) == parameters(2, 3, (1,) * 8)


def test_the_forward_pass_is_the_one_described(full: CIFARNIN, images: torch.Tensor) -> None:
    """Against the layers written out as functions of the weights; the padding of the average counts as zeros."""
    f = nn.functional
    weights = list(full.parameters())

    def units(x: torch.Tensor, first: int, number: int, kernel: int) -> torch.Tensor:
        for unit in range(first, first + number):
            padding = kernel // 2 if unit == first else 0
            x = f.conv2d(x, *weights[2 * unit : 2 * unit + 2], padding=padding).relu()
        return x

    with torch.no_grad():
        x = units(images, first=0, number=3, kernel=5)
        x = units(f.max_pool2d(x, 3, 2, padding=1), first=3, number=3, kernel=5)
        x = units(f.avg_pool2d(x, 3, 2, padding=1, count_include_pad=True), first=6, number=2, kernel=3)
        x = f.avg_pool2d(units(x, first=8, number=1, kernel=1), 8).flatten(1)
        torch.testing.assert_close(full(images), x, rtol=1e-4, atol=1e-5)


def test_weights_start_kaiming_uniform_and_biases_at_zero(full: CIFARNIN) -> None:
    for parameter in full.parameters():
        if parameter.dim() == 1:
            assert not parameter.any()
        else:
            bound = (6 / parameter[0].numel()) ** 0.5
            assert parameter.abs().max() <= bound
            assert parameter.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)


def test_logits_are_never_negative_because_the_head_ends_in_a_relu(full: CIFARNIN, images: torch.Tensor) -> None:
    logits = full(images)
    assert logits.min() >= 0
    assert logits.max() > 0


def test_without_the_heads_relu_logits_take_both_signs(images: torch.Tensor) -> None:
    torch.manual_seed(0)
    network = CIFARNIN(head_relu=False).eval()
    logits = network(images)
    assert logits.min() < 0 < logits.max()
    assert count(network) == 966_986


def test_a_class_whose_map_is_zero_gets_no_gradient(images: torch.Tensor) -> None:
    torch.manual_seed(0)
    network = CIFARNIN(width=0.25)
    with torch.no_grad():
        network.head.unit.conv.bias[3] = -1e3
    logits = network(images)
    nn.functional.cross_entropy(logits, torch.full((8,), 3)).backward()
    assert not logits[:, 3].any()
    assert not network.head.unit.conv.weight.grad[3].any()
    assert network.head.unit.conv.weight.grad[2].any()


@pytest.mark.parametrize("size", [1, 28, 33, 64])
def test_pictures_of_other_sizes_are_averaged_whole(size: int) -> None:
    torch.manual_seed(0)
    network = CIFARNIN(num_classes=5, width=0.1).eval()
    pictures = torch.rand(2, 3, size, size)
    maps = network.head.unit(network.features(pictures))
    assert maps.shape == (2, 5, -(-size // 4), -(-size // 4))
    torch.testing.assert_close(network(pictures), maps.mean((2, 3)))
