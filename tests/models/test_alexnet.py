"""What is particular to the lab's teacher; its layer table and what all networks share are tested beside this."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from limbeck.models import AlexNet


@pytest.fixture(scope="module")
def full() -> AlexNet:
    torch.manual_seed(0)
    return AlexNet().eval()


def parameters(classes: int, channels: int, widths: tuple[int, int, int, int, int, int]) -> int:
    """The number of parameters, added up layer by layer."""
    c1, c2, c3, c4, c5, hidden = widths
    convolutions = [(channels, c1, 3), (c1, c2, 5), (c2, c3, 3), (c3, c4, 3), (c4, c5, 3)]
    linear = [(36 * c5, hidden), (hidden, hidden), (hidden, classes)]
    return sum(a * b * k * k + b for a, b, k in convolutions) + sum(a * b + b for a, b in linear)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_full_network_has_the_documents_parameters(full: AlexNet) -> None:
    assert count(full) == parameters(10, 3, (64, 192, 384, 256, 256, 4096)) == 57_023_306


def test_classes_channels_and_width_act() -> None:
    assert count(AlexNet(7, 1, width=0.1)) == parameters(7, 1, (6, 19, 38, 26, 26, 410))
    assert count(AlexNet(2, width=0.001)) == parameters(2, 3, (1, 1, 1, 1, 1, 4))


def test_the_forward_pass_is_the_one_described(full: AlexNet) -> None:
    """Against the layers written out as functions of the weights."""
    f = nn.functional
    weights = list(full.parameters())
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        x = f.max_pool2d(f.conv2d(images, *weights[0:2], padding=2).relu(), 3, 2)
        x = f.max_pool2d(f.conv2d(x, *weights[2:4], padding=2).relu(), 3, 2)
        x = f.conv2d(x, *weights[4:6], padding=1).relu()
        x = f.conv2d(x, *weights[6:8], padding=1).relu()
        x = f.max_pool2d(f.conv2d(x, *weights[8:10], padding=1).relu(), 3, 2)
        x = x.repeat_interleave(2, 2).repeat_interleave(2, 3).reshape(2, -1)  # a 3x3 map averaged to 6x6: each twice
        x = f.linear(f.linear(x, *weights[10:12]).relu(), *weights[12:14]).relu()
        torch.testing.assert_close(full(images), f.linear(x, *weights[14:16]), rtol=1e-4, atol=1e-5)


def test_weights_start_as_torch_starts_them(full: AlexNet) -> None:
    """Uniform within 1 / sqrt(fan in), weights and biases."""
    for module in full.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = module.weight[0].numel() ** -0.5
            for tensor in (module.weight, module.bias):
                assert 0 < tensor.abs().max() <= bound
            assert module.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)


@pytest.mark.parametrize("size", [13, 28, 64])
def test_pictures_of_other_sizes(size: int) -> None:
    assert AlexNet(num_classes=5, width=0.1)(torch.rand(2, 3, size, size)).shape == (2, 5)
