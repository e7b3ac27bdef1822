"""The networks of the CIFAR-100 distillation benchmark (Tian, Krishnan and Isola, ICLR 2020) are the published ones."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.nn import functional

from limbeck.models import build
from limbeck.models.conv_norm import ConvNorm
from limbeck.models.shufflenet import shuffled
from limbeck.objectives import probe


class Published(NamedTuple):
    """What a network must be: its parameters with 100 classes, its stages' maps, and what enters its last layer."""

    parameters: int
    stages: dict[str, tuple[int, int]]  # of each path: the channels, the pixels on a side
    embedding: int


def three(*channels: int) -> dict[str, tuple[int, int]]:
    paths = ("features.stage1", "features.stage2", "features")
    return dict(zip(paths, zip(channels, (32, 16, 8), strict=True), strict=True))


def four(*channels: int, first: int = 1) -> dict[str, tuple[int, int]]:
    stages = [f"features.stage{number}" if number else "features.stem" for number in range(first, first + 3)]
    return dict(zip([*stages, "features"], zip(channels, (32, 16, 8, 4), strict=True), strict=True))


MOBILE = {"features.stage2": (12, 16), "features.stage3": (16, 8), "features.stage5": (48, 4), "features": (160, 2)}
PUBLISHED = {
    "resnet8": Published(83_892, three(16, 32, 64), 64),
    "resnet14": Published(181_108, three(16, 32, 64), 64),
    "resnet20": Published(278_324, three(16, 32, 64), 64),
    "resnet32": Published(472_756, three(16, 32, 64), 64),
    "resnet44": Published(667_188, three(16, 32, 64), 64),
    "resnet56": Published(861_620, three(16, 32, 64), 64),
    "resnet110": Published(1_736_564, three(16, 32, 64), 64),
    "resnet8x4": Published(1_233_540, three(64, 128, 256), 256),
    "resnet32x4": Published(7_433_860, three(64, 128, 256), 256),
    "resnet50_cifar": Published(23_705_252, four(256, 512, 1024, 2048), 2048),
    "wrn_16_1": Published(180_916, three(16, 32, 64), 64),
    "wrn_16_2": Published(703_284, three(32, 64, 128), 128),
    "wrn_40_1": Published(569_780, three(16, 32, 64), 64),
    "wrn_40_2": Published(2_255_156, three(32, 64, 128), 128),
    "vgg8": Published(3_965_028, four(64, 128, 256, 512), 512),
    "vgg11": Published(9_277_284, four(64, 128, 256, 512), 512),
    "vgg13": Published(9_462_180, four(64, 128, 256, 512), 512),
    "vgg16": Published(14_774_436, four(64, 128, 256, 512), 512),
    "vgg19": Published(20_086_692, four(64, 128, 256, 512), 512),
    "mobilenetv2_half": Published(812_836, MOBILE, 1280),
    "shufflenet_v1": Published(949_258, four(24, 240, 480, 960, first=0), 960),
    "shufflenet_v2": Published(1_355_528, four(24, 116, 232, 464, first=0), 1024),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_network_is_the_published_one(name: str) -> None:
    """Its parameters and stages; and a narrow one: gradients reach every parameter, both memory layouts agree."""
    published = PUBLISHED[name]
    with torch.device("meta"):  # shapes without sums
        network, picture = build(name, num_classes=100), torch.empty(3, 32, 32)
    assert sum(parameter.numel() for parameter in network.parameters()) == published.parameters
    found = probe(network, picture)
    expected = {path: (channels, side, side) for path, (channels, side) in published.stages.items()}
    assert {path: found.outputs[path] for path in found.stages()} == expected
    assert found.shape(found.embedding()) == (published.embedding,)
    assert found.classes == 100

    torch.manual_seed(0)
    network = build(name, num_classes=100, width=0.25).double().eval()
    images = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    logits = network(images)
    assert logits.shape == (2, 100)
    other = network.to(memory_format=torch.channels_last)(images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(other, logits)
    functional.cross_entropy(other / other.abs().max().detach(), torch.tensor([3, 71])).backward()
    without = [path for path, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert without == []


def normalised(maps: torch.Tensor) -> torch.Tensor:
    mean, variance = maps.mean((0, 2, 3), keepdim=True), maps.var((0, 2, 3), keepdim=True, unbiased=False)
    return (maps - mean) / (variance + 1e-5).sqrt()


def test_a_residual_block_written_out() -> None:
    torch.manual_seed(0)
    block = build("resnet8", num_classes=10).train().features.stage2[0]
    features = torch.randn(4, 16, 8, 8)
    first, second, shortcut = (unit.conv.weight for unit in (*block.body, block.shortcut))
    inner = normalised(functional.conv2d(features, first, stride=2, padding=1)).relu()
    expected = normalised(functional.conv2d(inner, second, padding=1))
    expected = (expected + normalised(functional.conv2d(features, shortcut, stride=2))).relu()
    torch.testing.assert_close(block(features), expected, rtol=1e-4, atol=1e-4)
    same = build("resnet14", num_classes=10).features.stage2[1].eval()
    assert same.shortcut is None
    positive = torch.rand(1, 32, 8, 8)
    assert torch.equal(same(positive), (positive + same.body(positive)).relu())


def test_a_bottleneck_strides_in_its_3x3_convolution() -> None:
    with torch.device("meta"):
        body = build("resnet50_cifar", num_classes=10).features.stage2[0].body
    layers = [(unit.conv.kernel_size[0], unit.conv.stride[0], unit.conv.out_channels) for unit in body]
    assert layers == [(1, 1, 128), (3, 2, 128), (1, 1, 512)]


def test_channels_are_shuffled_as_published() -> None:
    features = torch.arange(6.0)[None, :, None, None].expand(2, -1, 5, 4).contiguous()
    assert shuffled(features, 3)[1, :, 4, 3].tolist() == [0, 2, 4, 1, 3, 5]
    assert shuffled(features, 2)[1, :, 0, 0].tolist() == [0, 3, 1, 4, 2, 5]
    features = torch.randn(2, 12, 5, 4)
    for groups in (1, 2, 3):
        expected = functional.channel_shuffle(features, groups)
        for layout in (torch.contiguous_format, torch.channels_last):
            assert torch.equal(shuffled(features.contiguous(memory_format=layout), groups), expected)
        dense = features.contiguous(memory_format=torch.channels_last)
        assert shuffled(dense, groups).is_contiguous(memory_format=torch.channels_last)


def test_half_of_the_channels_of_shufflenet_v2_pass_untouched() -> None:
    torch.manual_seed(0)
    unit = build("shufflenet_v2", num_classes=10, width=0.25).features.stage1[1].train()
    features = torch.randn(2, 28, 6, 6)
    given = unit(features)
    assert torch.equal(given[:, ::2], features[:, :14])
    torch.testing.assert_close(given[:, 1::2], unit.body(features[:, 14:]))


def test_a_unit_of_shufflenet_v1_mixes_its_groups_and_keeps_its_input() -> None:
    torch.manual_seed(0)
    network = build("shufflenet_v1", num_classes=10, width=0.5).eval()
    first, second = network.features.stage2[:2]
    assert (network.features.stage1[0].reduce.conv.groups, first.reduce.conv.groups, first.expand.conv.groups) == (
        1,
        3,
        3,
    )
    features = torch.rand(2, 120, 8, 8)
    pooled = functional.avg_pool2d(features, 3, stride=2, padding=1)
    torch.testing.assert_close(first(features)[:, -120:], pooled)
    features = torch.rand(2, 240, 4, 4, requires_grad=True)
    second.expand.norm.weight.data.fill_(1e3)
    (second(features) - features)[:, 0].sum().backward()
    assert features.grad is not None
    assert all(part.any() for part in features.grad.chunk(3, dim=1))  # without the shuffle, one group alone


def test_an_inverted_residual_is_linear_at_its_end() -> None:
    torch.manual_seed(0)
    changing, keeping = build("mobilenetv2_half", num_classes=10).eval().features.stage2
    features = torch.randn(4, changing.body[0].conv.in_channels, 6, 6)
    middle = changing(features)
    assert middle.min() < 0
    torch.testing.assert_close(keeping(middle) - keeping.body(middle), middle)
    assert [unit.conv.groups for unit in keeping.body] == [1, 72, 1]


@pytest.mark.parametrize("name", ["vgg8", "resnet20", "mobilenetv2_half"])
def test_weights_start_kaiming_normal(name: str) -> None:
    torch.manual_seed(0)
    network = build(name, num_classes=10)
    for conv in (module for module in network.modules() if isinstance(module, nn.Conv2d)):
        fan_out = conv.out_channels * conv.kernel_size[0] ** 2
        if conv.weight.numel() > 2000:
            assert conv.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.1)
        assert conv.bias is None or not conv.bias.any()


def test_the_unit() -> None:
    unit = ConvNorm(4, 6, 3, stride=2, groups=2, relu=False, bias=True)
    assert [type(layer) for layer in unit] == [nn.Conv2d, nn.BatchNorm2d]
    assert unit(torch.rand(2, 4, 9, 9)).shape == (2, 6, 5, 5)
    assert (unit.conv.bias is not None, ConvNorm(4, 6).conv.bias) == (True, None)
    assert ConvNorm(4, 6)(torch.randn(2, 4, 3, 3)).min() == 0
