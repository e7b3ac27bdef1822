"""MobileNetV2 for 32-pixel pictures, as the CIFAR-100 distillation benchmark has it."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from limbeck.models.conv_norm import ConvNorm, start_kaiming_normal
from limbeck.models.width import scaled

# Of each stage: expansion, channels at full width, blocks, stride of the first.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
_STEM, _HEAD = 32, 1280


class CIFARMobileNetV2(nn.Module):
    """MobileNetV2 (Sandler et al., CVPR 2018) for 32-pixel pictures: maps of 16, 8, 4 and 2 pixels a side.

    The benchmark of Tian, Krishnan and Isola (ICLR 2020) has it at half width with a head of full width, with ReLU
    where the paper has ReLU6, and with an expanding convolution in the first block, too: 812,836 parameters with 100
    classes. Weights start Kaiming-normal.

    Args:
        multiplier: the paper's width multiplier; it leaves the head's 1,280 channels as they are.
        num_classes: the number of logits.
        in_channels: the channels of a picture.
        width: multiplies every count of hidden channels once more, the head's too; above 0.
    """

    def __init__(
        self, multiplier: float = 0.5, num_classes: int = 10, in_channels: int = 3, width: float = 1.0
    ) -> None:
        super().__init__()
        before, head = scaled(_STEM, multiplier * width), scaled(_HEAD, width)
        layers: OrderedDict[str, nn.Module] = OrderedDict(stem=ConvNorm(in_channels, before, 3, stride=2))
        for number, (expansion, channels, blocks, stride) in enumerate(_STAGES, start=1):
            given = scaled(channels, multiplier * width)
            stage = [_Block(before, given, expansion, stride)]
            stage += [_Block(given, given, expansion) for _ in range(blocks - 1)]
            layers[f"stage{number}"] = nn.Sequential(*stage)
            before = given
        self.features = nn.Sequential(layers)
        classifier = nn.Linear(head, num_classes)
        self.head = nn.Sequential(
            OrderedDict(
                unit=ConvNorm(before, head), pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), classifier=classifier
            )
        )
        start_kaiming_normal(self)
        nn.init.normal_(classifier.weight, std=0.01)
        nn.init.zeros_(classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, num_classes) of normalised pictures (B, in_channels, H, W) of any size."""
        return self.head(self.features(images))


class _Block(nn.Module):
    """Inverted residual: widened, convolved channel by channel, narrowed without a ReLU; added to an equal input."""

    def __init__(self, in_channels: int, channels: int, expansion: int, stride: int = 1) -> None:
        super().__init__()
        inner = in_channels * expansion
        self.body = nn.Sequential(
            ConvNorm(in_channels, inner),
            ConvNorm(inner, inner, 3, stride, groups=inner),
            ConvNorm(inner, channels, relu=False),
        )
        self.residual = in_channels == channels and stride == 1

    def forward(self, features: Tensor) -> Tensor:
        return features + self.body(features) if self.residual else self.body(features)
