"""The layer tables, row by row against the document that the lab published."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from limbeck.errors import LimbeckError
from limbeck.models import CATALOGUE, build, listing, summary, tables

# Layer, depth-idx, output shape and parameters, in the document's order and notation.
DOCUMENT = {
    "alexnet_cifar": """
        AlexNet                   [1, 10]           --
        Sequential: 1-1           [1, 256, 3, 3]    --
        Conv2d: 2-1               [1, 64, 34, 34]   1,792
        ReLU: 2-2                 [1, 64, 34, 34]   --
        MaxPool2d: 2-3            [1, 64, 16, 16]   --
        Conv2d: 2-4               [1, 192, 16, 16]  307,392
        ReLU: 2-5                 [1, 192, 16, 16]  --
        MaxPool2d: 2-6            [1, 192, 7, 7]    --
        Conv2d: 2-7               [1, 384, 7, 7]    663,936
        ReLU: 2-8                 [1, 384, 7, 7]    --
        Conv2d: 2-9               [1, 256, 7, 7]    884,992
        ReLU: 2-10                [1, 256, 7, 7]    --
        Conv2d: 2-11              [1, 256, 7, 7]    590,080
        ReLU: 2-12                [1, 256, 7, 7]    --
        MaxPool2d: 2-13           [1, 256, 3, 3]    --
        AdaptiveAvgPool2d: 1-2    [1, 256, 6, 6]    --
        Sequential: 1-3           [1, 10]           --
        Dropout: 2-14             [1, 9216]         --
        Linear: 2-15              [1, 4096]         37,752,832
        ReLU: 2-16                [1, 4096]         --
        Dropout: 2-17             [1, 4096]         --
        Linear: 2-18              [1, 4096]         16,781,312
        ReLU: 2-19                [1, 4096]         --
        Linear: 2-20              [1, 10]           40,970
    """,
    "nin_cifar": """
        CIFARNIN                  [1, 10]           --
        Sequential: 1-1           [1, 192, 8, 8]    --
        Sequential: 2-1           [1, 96, 32, 32]   --
        NINConv: 3-1              [1, 192, 32, 32]  14,592
        NINConv: 3-2              [1, 160, 32, 32]  30,880
        NINConv: 3-3              [1, 96, 32, 32]   15,456
        Sequential: 2-2           [1, 192, 16, 16]  --
        MaxPool2d: 3-4            [1, 96, 16, 16]   --
        Dropout: 3-5              [1, 96, 16, 16]   --
        NINConv: 3-6              [1, 192, 16, 16]  460,992
        NINConv: 3-7              [1, 192, 16, 16]  37,056
        NINConv: 3-8              [1, 192, 16, 16]  37,056
        Sequential: 2-3           [1, 192, 8, 8]    --
        AvgPool2d: 3-9            [1, 192, 8, 8]    --
        Dropout: 3-10             [1, 192, 8, 8]    --
        NINConv: 3-11             [1, 192, 8, 8]    331,968
        NINConv: 3-12             [1, 192, 8, 8]    37,056
        Sequential: 1-2           [1, 10, 1, 1]     --
        NINConv: 2-4              [1, 10, 8, 8]     --
        Conv2d: 3-13              [1, 10, 8, 8]     1,930
        ReLU: 3-14                [1, 10, 8, 8]     --
        AvgPool2d: 2-5            [1, 10, 1, 1]     --
    """,
}
TOTALS = {
    "alexnet_cifar": """
        Total params: 57,023,306
        Trainable params: 57,023,306
        Non-trainable params: 0
        Total mult-adds (M): 240.15
        Input size (MB): 0.01
        Forward/backward pass size (MB): 1.40
        Params size (MB): 228.09
        Estimated Total Size (MB): 229.51
    """,
    "nin_cifar": """
        Total params: 966,986
        Trainable params: 966,986
        Non-trainable params: 0
        Total mult-adds (M): 223.12
        Input size (MB): 0.01
        Forward/backward pass size (MB): 5.05
        Params size (MB): 3.87
        Estimated Total Size (MB): 8.93
    """,
}
PUBLISHED = sorted(DOCUMENT)


def words(text: str) -> list[list[str]]:
    """The lines of a table as words, without its rules and the lines that show the nesting."""
    lines = (line.translate(str.maketrans("│├└─=", "     ")).split() for line in text.splitlines())
    return [line for line in lines if line]


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_row_and_total_is_the_documents(name: str) -> None:
    heading, *rows = words(str(summary(name)))
    assert heading == ["Layer", "(type:depth-idx)", "Output", "Shape", "Param", "#"]
    assert rows == words(DOCUMENT[name]) + words(TOTALS[name])


@pytest.mark.parametrize("name", PUBLISHED)
def test_rows_are_indented_by_their_depth(name: str) -> None:
    rows = [line for line in str(summary(name)).splitlines() if "─" in line]
    assert len(rows) == len(words(DOCUMENT[name])) - 1
    for row in rows:
        depth = int(row.split(": ")[1].split("-")[0])
        assert row.index("─") == 5 * (depth - 1) + 1


def test_a_module_gives_the_same_table_as_its_name() -> None:
    network = build("nin_cifar", num_classes=7, in_channels=1, width=0.25)
    by_name = summary("nin_cifar", num_classes=7, in_channels=1, width=0.25)
    assert str(summary(network, in_channels=1)) == str(by_name)


def test_a_module_is_left_as_it_was() -> None:
    network = build("nin_cifar", num_classes=10, width=0.05).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    summary(network)
    assert all(module.training and not module._forward_hooks for module in network.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_name_is_shown_without_drawing_weights() -> None:
    before = torch.get_rng_state()
    assert summary("alexnet_cifar").total_params == 57_023_306
    assert torch.equal(torch.get_rng_state(), before)


def test_a_module_without_parameters_has_a_table() -> None:
    assert summary(nn.Flatten(), in_channels=2, image_size=3).total_params == 0
    assert "[1, 18]" in str(summary(nn.Flatten(), in_channels=2, image_size=3))


def test_tables_come_in_the_order_asked_for_under_their_names() -> None:
    text = tables(["nin_cifar", "alexnet_cifar"])
    assert text.startswith("nin_cifar: Network in Network")
    assert text.index("nin_cifar:") < text.index("966,986") < text.index("alexnet_cifar:") < text.index("57,023,306")
    assert f"{summary('nin_cifar')}\n\nalexnet_cifar:" in text


def test_tables_take_the_options() -> None:
    text = tables(["alexnet_cifar"], num_classes=100, in_channels=1, width=0.5)
    rows = words(text)
    assert ["AlexNet", "[1,", "100]", "--"] in rows
    assert ["Conv2d:", "2-1", "[1,", "32,", "34,", "34]", "320"] in rows
    assert ["Linear:", "2-20", "[1,", "100]", "204,900"] in rows


def test_the_unit_of_the_mult_adds_follows_their_number() -> None:
    assert "Total mult-adds (G): 2.15" in str(summary("alexnet_cifar", width=3))


def test_an_unknown_name_is_refused_before_any_table() -> None:
    with pytest.raises(LimbeckError, match=r"unknown model 'nim_cifar'\. Did you mean 'nin_cifar'\?"):
        tables(["alexnet_cifar", "nim_cifar"])


def test_the_listing_has_a_line_for_each_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    lines = listing().splitlines()
    assert lines[1] == "nin_cifar          Network in Network for 32-pixel pictures, the lab's student"
    assert len(lines) == len(CATALOGUE) + 2
    monkeypatch.setenv("COLUMNS", "60")
    lines = listing().splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[1].startswith(" " * 19)


def test_networks_of_others(tmp_path: Path) -> None:
    pytest.importorskip("timm")
    (tmp_path / "own.py").write_text(
        "from torch import nn\n\ndef net(num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(48, num_classes))\n"
    )
    name = f"{tmp_path / 'own.py'}:net"
    text = tables([name], image_size=4)
    assert text.startswith(f"{name}\n")
    assert "Total params: 490" in text
    vit = summary("timm/test_vit", num_classes=7)
    assert "[1, 3, 160, 160]" in str(vit.input_size)
    assert summary("torchvision/resnet18").total_params == 11_181_642
    assert "[1, 3, 32, 32]" in str(summary("timm/test_vit", image_size=32).input_size)
    with pytest.raises(LimbeckError, match=r"AlexNet cannot look at a picture of 3 x 8 x 8: .*Type --image-size 224"):
        summary("torchvision/alexnet", image_size=8)
    with pytest.raises(LimbeckError, match=r"net\.pt2 is a program that nobody can look into"):
        tables(["net.pt2"])
    with pytest.raises(LimbeckError, match=r"width = 0\.5 has no effect: timm/test_vit is as wide"):
        tables(["timm/test_vit"], width=0.5)
