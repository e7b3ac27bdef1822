"""Residual networks for 32-pixel pictures, as the CIFAR-100 distillation benchmark has them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from limbeck.models.conv_norm import ConvNorm, start_kaiming_normal
from limbeck.models.width import scaled


class CIFARResNet(nn.Module):
    """Residual network (He, Zhang, Ren and Sun, CVPR 2016) with a 3x3 stem and no pooling before the stages.

    Where a block changes the map's size or its channels, its shortcut is a 1x1 convolution with batch normalisation
    (option B): so in the benchmark of Tian, Krishnan and Isola (ICLR 2020); the paper's own CIFAR networks have option
    A, without parameters. Weights start Kaiming-normal. ResNet-20 has 278,324 parameters with 100 classes.

    Args:
        channels: of the stem, and of what each stage gives; stages halve the map, all but the first.
        blocks: the residual blocks of each stage.
        bottleneck: blocks of 1x1, 3x3 and 1x1 convolutions, a quarter as wide inside; else of two 3x3 convolutions.
        num_classes: the number of logits.
        in_channels: the channels of a picture.
        width: multiplies every count of hidden channels; above 0.
    """

    def __init__(
        self,
        channels: Sequence[int],
        blocks: Sequence[int],
        bottleneck: bool = False,
        num_classes: int = 10,
        in_channels: int = 3,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        before, *stages = (scaled(count, width) for count in channels)
        layers: OrderedDict[str, nn.Module] = OrderedDict(stem=ConvNorm(in_channels, before, 3))
        for number, (given, count) in enumerate(zip(stages, blocks, strict=True), start=1):
            stage = [_Block(before, given, 1 if number == 1 else 2, bottleneck)]
            stage += [_Block(given, given, 1, bottleneck) for _ in range(count - 1)]
            layers[f"stage{number}"] = nn.Sequential(*stage)
            before = given
        self.features = nn.Sequential(layers)
        self.classifier = nn.Linear(before, num_classes)
        start_kaiming_normal(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, num_classes) of normalised pictures (B, in_channels, H, W) of any size."""
        return self.classifier(self.features(images).mean(dim=(2, 3)))


class _Block(nn.Module):
    """Convolutions added to their own input, and a ReLU after the sum."""

    def __init__(self, in_channels: int, channels: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        if bottleneck:
            inner = scaled(channels, 1 / 4)
            units = [ConvNorm(in_channels, inner), ConvNorm(inner, inner, 3, stride), _last(inner, channels, 1)]
        else:
            units = [ConvNorm(in_channels, channels, 3, stride), _last(channels, channels, 3)]
        self.body = nn.Sequential(*units)
        same = in_channels == channels and stride == 1
        self.shortcut = None if same else ConvNorm(in_channels, channels, stride=stride, relu=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        passed = features if self.shortcut is None else self.shortcut(features)
        return self.relu(passed + self.body(features))


def _last(in_channels: int, channels: int, kernel_size: int) -> ConvNorm:
    return ConvNorm(in_channels, channels, kernel_size, relu=False)
