"""The lab's student: Network in Network for 32-pixel pictures."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from limbeck.models.dropout import Dropout
from limbeck.models.width import scaled


class NINConv(nn.Sequential):
    """A convolution that keeps the size of the map (odd kernels), and its ReLU unless ``relu`` is false."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 1, relu: bool = True) -> None:
        conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        super().__init__(OrderedDict(conv=conv, relu=nn.ReLU(inplace=True)) if relu else OrderedDict(conv=conv))


class AvgPool2d(nn.Module):
    """The average of each whole map, whatever its size: ``nn.AvgPool2d(8)`` for pictures of 32 pixels."""

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, 1, 1)."""
        return functional.avg_pool2d(features, features.shape[2:])


class CIFARNIN(nn.Module):
    """Network in Network for CIFAR: three stages of one spatial convolution and 1x1 convolutions; no linear layer.

    By Lin, Chen and Yan, "Network In Network" (ICLR 2014). Weights start Kaiming-uniform (He et al., ICCV 2015), biases
    at zero. 966,986 parameters as it stands.

    The head ends in a ReLU, so logits are never negative, and a class whose map is zero everywhere gets no gradient.

    Args:
        num_classes: the number of logits.
        in_channels: the channels of a picture.
        width: multiplies every count of hidden channels; above 0.
        head_relu: False leaves out the ReLU before the head's pooling.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3, width: float = 1.0, head_relu: bool = True) -> None:
        super().__init__()
        first, second, third = (
            [scaled(count, width) for count in counts] for counts in ((192, 160, 96), (192, 192, 192), (192, 192))
        )
        self.features = nn.Sequential(
            OrderedDict(
                stage1=_stage(in_channels, first, kernel_size=5),
                stage2=_stage(first[-1], second, kernel_size=5, pool=nn.MaxPool2d(3, stride=2, padding=1)),
                stage3=_stage(second[-1], third, kernel_size=3, pool=nn.AvgPool2d(3, stride=2, padding=1)),
            )
        )
        self.head = nn.Sequential(OrderedDict(unit=NINConv(third[-1], num_classes, relu=head_relu), pool=AvgPool2d()))
        for parameter in self.parameters():
            if parameter.dim() == 1:
                nn.init.zeros_(parameter)
            else:
                nn.init.kaiming_uniform_(parameter)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, num_classes) of normalised pictures (B, in_channels, H, W) of any size."""
        return self.head(self.features(images)).flatten(1)


def _stage(in_channels: int, channels: Sequence[int], kernel_size: int, pool: nn.Module | None = None) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if pool is not None:
        layers.update(pool=pool, dropout=Dropout(0.5))
    for number, (inputs, outputs) in enumerate(pairwise([in_channels, *channels]), start=1):
        layers[f"unit{number}"] = NINConv(inputs, outputs, kernel_size if number == 1 else 1)
    return nn.Sequential(layers)
