"""The wide residual networks are the published ones."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from limbeck.models import build, summary


@pytest.mark.parametrize(
    ("name", "classes", "parameters"),
    [
        ("wrn_28_10", 10, 36_479_194),
        ("wrn_28_10", 100, 36_536_884),
        ("wrn_16_2", 100, 703_284),
    ],
)
def test_the_published_parameters(name: str, classes: int, parameters: int) -> None:
    assert summary(name, num_classes=classes).total_params == parameters


def test_stages_halve_the_map() -> None:
    network = build("wrn_16_2", num_classes=10, width=0.25).eval()
    shapes, features = [], torch.rand(2, 3, 32, 32)
    for layer in network.features.children():
        features = layer(features)
        shapes.append(tuple(features.shape))
    assert shapes[:4] == [(2, 4, 32, 32), (2, 8, 32, 32), (2, 16, 16, 16), (2, 32, 8, 8)]


def test_a_block_normalises_before_it_convolves() -> None:
    """Against the block written out: the shortcut, too, sees the pre-activated map."""
    torch.manual_seed(0)
    block = build("wrn_16_2", num_classes=10, width=0.5).train().features.stage2[0]
    features = torch.randn(4, block.conv1.in_channels, 8, 8)

    def normalised(maps: torch.Tensor) -> torch.Tensor:
        mean, variance = maps.mean((0, 2, 3), keepdim=True), maps.var((0, 2, 3), keepdim=True, unbiased=False)
        return ((maps - mean) / (variance + 1e-5).sqrt()).clamp(min=0)

    active = normalised(features)
    inner = functional.conv2d(active, block.conv1.weight, stride=2, padding=1)
    expected = functional.conv2d(normalised(inner), block.conv2.weight, padding=1)
    expected = expected + functional.conv2d(active, block.shortcut.weight, stride=2)
    torch.testing.assert_close(block(features), expected, rtol=1e-4, atol=1e-4)


def test_weights_start_kaiming_normal() -> None:
    torch.manual_seed(0)
    conv = build("wrn_16_2", num_classes=10).features.stage2[0].conv2
    assert conv.weight.std().item() == pytest.approx((2 / (conv.out_channels * 9)) ** 0.5, rel=0.05)
