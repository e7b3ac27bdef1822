"""The wide residual networks are the published ones."""

from __future__ import annotations

import pytest
import torch

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
