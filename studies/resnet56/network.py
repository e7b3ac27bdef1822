"""The residual network for CIFAR-10 of He, Zhang, Ren, Sun (CVPR 2016, section 4.2), as its public weights name it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """Two convolutions around a shortcut without weights (option A).

    Where the maps get smaller the shortcut takes every second pixel and fills new channels with zeros.

    Args:
        inputs, outputs: channels.
        stride: 1, or 2 where the maps get smaller.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.new = stride, outputs - inputs

    def forward(self, maps: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        residual = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(maps)))))
        if self.new:
            maps = F.pad(maps[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.new // 2, self.new // 2))
        return F.relu(residual + maps)


class ResNet(nn.Module):
    """Three stages of 16, 32 and 64 channels with ``depth`` blocks each; pictures (B, 3, 32, 32) to logits."""

    def __init__(self, depth: int, num_classes: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(
                *(Block(inputs if first else outputs, outputs, stride if first else 1) for first in _places(depth))
            )
            for inputs, outputs, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2))
        )
        self.linear = nn.Linear(64, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = F.relu(self.bn1(self.conv1(images)))
        maps = self.layer3(self.layer2(self.layer1(maps)))
        return self.linear(maps.mean((2, 3)))


def resnet56(num_classes: int) -> nn.Module:
    """ResNet-56: nine blocks a stage, 853,018 parameters for ten classes."""
    return ResNet(9, num_classes)


def _places(depth: int) -> list[bool]:
    return [place == 0 for place in range(depth)]
