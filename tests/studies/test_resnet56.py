"""The public ResNet-56 as the study builds it."""

from __future__ import annotations

from pathlib import Path

import torch

from limbeck.models.names import code_of
from limbeck.recipes import Source, find

STUDY = Path(__file__).parents[2] / "studies" / "resnet56"


def test_the_recipe_and_its_teacher(tmp_path: Path) -> None:
    recipe = find(str(STUDY / "recipe.py"))
    assert isinstance(recipe.teacher, Source)
    assert code_of(recipe.teacher.name) == STUDY / "network.py"
    network = recipe.teacher.with_(weights=None).build(10)
    assert sum(parameter.numel() for parameter in network.parameters()) == 853_018
    published = {
        name.removeprefix("network."): tensor
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked") and name.startswith("network.")
    }
    assert len(published) == 277
    torch.save({f"module.{name}": tensor + 0.01 for name, tensor in published.items()}, tmp_path / "resnet56.th")
    loaded = recipe.teacher.with_(weights=tmp_path / "resnet56.th").build(10)
    torch.testing.assert_close(loaded.state_dict()["network.linear.bias"], published["linear.bias"] + 0.01)
    pictures = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(loaded.network(loaded.shown(pictures)), loaded(pictures))


def test_a_shortcut_without_weights() -> None:
    """Every second pixel, and zeros for new channels on both sides."""
    network = find(str(STUDY / "recipe.py")).teacher.with_(weights=None).build(10)  # type: ignore[union-attr]
    block = network.network.layer2[0]
    for parameter in block.parameters():
        torch.nn.init.zeros_(parameter)
    maps = torch.rand(1, 16, 4, 4)
    said = block(maps)
    assert said.shape == (1, 32, 2, 2)
    torch.testing.assert_close(said[:, 8:24], maps[:, :, ::2, ::2])
    assert not said[:, :8].any()
    assert not said[:, 24:].any()
