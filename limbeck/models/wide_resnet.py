"""Wide residual networks for 32-pixel pictures: strong teachers."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional

from limbeck.models.conv_norm import start_kaiming_normal
from limbeck.models.width import scaled


class WideResNet(nn.Module):
    """Wide residual network (Zagoruyko and Komodakis, BMVC 2016): three stages of pre-activation blocks.

    Weights start Kaiming-normal (He et al., ICCV 2015). WRN-28-10 has 36,479,194 parameters with ten classes.

    Args:
        depth: layers with weights along the longest path, 6n + 4: n blocks a stage.
        widen: the k of WRN-depth-k; stages have 16k, 32k and 64k channels.
        num_classes: the number of logits.
        in_channels: the channels of a picture.
        width: multiplies every count of hidden channels once more; above 0.
    """

    def __init__(self, depth: int, widen: int, num_classes: int = 10, in_channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        blocks = (depth - 4) // 6
        stem, *stages = (scaled(count, width) for count in (16, 16 * widen, 32 * widen, 64 * widen))
        layers: OrderedDict[str, nn.Module] = OrderedDict(stem=nn.Conv2d(in_channels, stem, 3, padding=1, bias=False))
        before = stem
        for number, channels in enumerate(stages, start=1):
            stage = [_Block(before, channels, stride=1 if number == 1 else 2)]
            stage += [_Block(channels, channels) for _ in range(blocks - 1)]
            layers[f"stage{number}"] = nn.Sequential(*stage)
            before = channels
        layers.update(norm=nn.BatchNorm2d(before), relu=nn.ReLU(inplace=True))
        self.features = nn.Sequential(layers)
        self.classifier = nn.Linear(before, num_classes)
        start_kaiming_normal(self)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, num_classes) of normalised pictures (B, in_channels, H, W) of any size."""
        return self.classifier(self.features(images).mean(dim=(2, 3)))


class _Block(nn.Module):
    """Two convolutions, each after normalisation and ReLU, added to the block's input."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(in_channels), nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        same = in_channels == channels and stride == 1
        self.shortcut = None if same else nn.Conv2d(in_channels, channels, 1, stride, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        active = functional.relu(self.norm1(features))
        passed = features if self.shortcut is None else self.shortcut(active)
        return passed + self.conv2(functional.relu(self.norm2(self.conv1(active))))
