"""ShuffleNets for 32-pixel pictures, as the CIFAR-100 distillation benchmark has them."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from limbeck.models.conv_norm import ConvNorm
from limbeck.models.width import scaled

_STEM, _GROUPS = 24, 3
_STAGES_V1 = ((240, 4), (480, 8), (960, 4))  # channels and units
_STAGES_V2, _HEAD_V2 = ((116, 4), (232, 8), (464, 4)), 1024


class CIFARShuffleNetV1(nn.Module):
    """ShuffleNet with three groups (Zhang, Zhou, Lin and Sun, CVPR 2018) for 32-pixel pictures.

    The benchmark of Tian, Krishnan and Isola (ICLR 2020) has a 1x1 stem without pooling, so that the maps have 32, 16,
    8 and 4 pixels a side, and a ReLU after the depthwise convolution, where the paper has none: 949,258 parameters with
    100 classes. Weights start as torch starts them.

    Args:
        num_classes: the number of logits.
        in_channels: the channels of a picture.
        width: multiplies every count of hidden channels, to a multiple of three that grows with the stages; above 0.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        before = _in_groups(_STEM * width)
        layers: OrderedDict[str, nn.Module] = OrderedDict(stem=ConvNorm(in_channels, before))
        for number, (channels, count) in enumerate(_STAGES_V1, start=1):
            given = max(
                _in_groups(channels * width), before + _GROUPS
            )  # a first unit adds channels to those it is given
            units = [_UnitV1(before, given, stride=2, groups=1 if number == 1 else _GROUPS)]
            units += [_UnitV1(given, given) for _ in range(count - 1)]
            layers[f"stage{number}"] = nn.Sequential(*units)
            before = given
        self.features = nn.Sequential(layers)
        self.classifier = nn.Linear(before, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, num_classes) of normalised pictures (B, in_channels, H, W) of any size."""
        return self.classifier(self.features(images).mean(dim=(2, 3)))


class CIFARShuffleNetV2(nn.Module):
    """ShuffleNet V2 1x (Ma, Zhang, Zheng and Sun, ECCV 2018) for 32-pixel pictures.

    The benchmark of Tian, Krishnan and Isola (ICLR 2020) has a 1x1 stem without pooling, so that the maps have 32, 16,
    8 and 4 pixels a side: 1,355,528 parameters with 100 classes. Weights start as torch starts them.

    Args:
        num_classes: the number of logits.
        in_channels: the channels of a picture.
        width: multiplies every count of hidden channels, to an even number in the stages; above 0.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        before, head = scaled(_STEM, width), scaled(_HEAD_V2, width)
        layers: OrderedDict[str, nn.Module] = OrderedDict(stem=ConvNorm(in_channels, before))
        for number, (channels, count) in enumerate(_STAGES_V2, start=1):
            half = scaled(channels // 2, width)
            units = [_UnitV2(before, half, stride=2)] + [_UnitV2(half, half) for _ in range(count - 1)]
            layers[f"stage{number}"] = nn.Sequential(*units)
            before = 2 * half
        self.features = nn.Sequential(layers)
        self.head = nn.Sequential(
            OrderedDict(
                unit=ConvNorm(before, head),
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                classifier=nn.Linear(head, num_classes),
            )
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, num_classes) of normalised pictures (B, in_channels, H, W) of any size."""
        return self.head(self.features(images))


def shuffled(features_NCHW: Tensor, groups: int) -> Tensor:
    """The channels of (B, C, H, W), dealt out: the first of each of ``groups`` (a divisor of C), then the second, ...

    What came in channels_last memory goes out so: `torch.nn.functional.channel_shuffle` would lose that layout.
    """
    return features_NCHW.permute(0, 2, 3, 1).unflatten(3, (groups, -1)).transpose(3, 4).flatten(3).permute(0, 3, 1, 2)


def _in_groups(channels: float) -> int:
    """The multiple of the groups nearest to ``channels``, at least one for each group."""
    return _GROUPS * max(1, round(channels / _GROUPS))


class _UnitV1(nn.Module):
    """Grouped 1x1 convolutions before and after a depthwise one; a stride puts the pooled input beside the result."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1, groups: int = _GROUPS) -> None:
        super().__init__()
        added = channels - in_channels if stride > 1 else channels
        inner = _in_groups(added / 4)
        self.groups = groups
        self.reduce = ConvNorm(in_channels, inner, groups=groups)
        self.spatial = ConvNorm(inner, inner, 3, stride, groups=inner)
        self.expand = ConvNorm(inner, added, groups=_GROUPS, relu=False)
        self.pool = nn.AvgPool2d(3, stride, padding=1) if stride > 1 else None
        self.relu = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        inner = self.reduce(features)
        added = self.expand(self.spatial(inner if self.groups == 1 else shuffled(inner, self.groups)))
        return self.relu(features + added if self.pool is None else torch.cat([added, self.pool(features)], dim=1))


class _UnitV2(nn.Module):
    """Half of the channels go through convolutions, half pass; a stride takes all of them both ways. Then they shuffle.

    Args:
        in_channels: of each way's input.
        half: channels that each way gives.
    """

    def __init__(self, in_channels: int, half: int, stride: int = 1) -> None:
        super().__init__()
        self.passed = (
            nn.Sequential(_depthwise(in_channels, stride), ConvNorm(in_channels, half)) if stride > 1 else None
        )
        self.body = nn.Sequential(ConvNorm(in_channels, half), _depthwise(half, stride), ConvNorm(half, half))

    def forward(self, features: Tensor) -> Tensor:
        left, right = features.chunk(2, dim=1) if self.passed is None else (self.passed(features), features)
        return shuffled(torch.cat([left, self.body(right)], dim=1), groups=2)


def _depthwise(channels: int, stride: int) -> ConvNorm:
    return ConvNorm(channels, channels, 3, stride, groups=channels, relu=False)
