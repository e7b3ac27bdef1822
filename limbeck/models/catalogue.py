"""Which networks there are, by name."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple, Protocol

from torch import nn

from limbeck.errors import LimbeckError, unknown
from limbeck.models.alexnet import AlexNet
from limbeck.models.mobilenet import CIFARMobileNetV2
from limbeck.models.nin import CIFARNIN
from limbeck.models.programs import refuse_missing_function
from limbeck.models.resnet import CIFARResNet
from limbeck.models.shufflenet import CIFARShuffleNetV1, CIFARShuffleNetV2
from limbeck.models.vgg import CIFARVGG
from limbeck.models.wide_resnet import WideResNet


class Builder(Protocol):
    """Makes a network: float NCHW pictures, already normalised, to logits (B, num_classes)."""

    def __call__(self, *, num_classes: int, in_channels: int, width: float) -> nn.Module: ...


class Entry(NamedTuple):
    """A network of the catalogue and what it is, in one line."""

    builder: Builder
    description: str


_NARROW, _WIDE = (16, 16, 32, 64), (32, 64, 128, 256)
_RESNETS = {"resnet8x4": (8, _WIDE), "resnet32x4": (32, _WIDE)}
_RESNETS |= {f"resnet{depth}": (depth, _NARROW) for depth in (8, 14, 20, 32, 44, 56, 110)}
_VGGS = {8: (1, 1, 1, 1, 1), 11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}

CATALOGUE: dict[str, Entry] = {
    "alexnet_cifar": Entry(AlexNet, "AlexNet with a 3x3 stem for 32-pixel pictures, the lab's teacher"),
    "nin_cifar": Entry(CIFARNIN, "Network in Network for 32-pixel pictures, the lab's student"),
    **{
        f"wrn_{depth}_{widen}": Entry(partial(WideResNet, depth, widen), f"wide residual network WRN-{depth}-{widen}")
        for depth, widen in ((16, 1), (16, 2), (28, 10), (40, 1), (40, 2))
    },
    **{
        name: Entry(
            partial(CIFARResNet, channels, 3 * ((depth - 2) // 6,)),
            f"residual network of {depth} layers and {channels[-1]} channels at its end, for 32-pixel pictures",
        )
        for name, (depth, channels) in _RESNETS.items()
    },
    "resnet50_cifar": Entry(
        partial(CIFARResNet, (64, 256, 512, 1024, 2048), (3, 4, 6, 3), True),
        "ResNet-50 with a 3x3 stem for 32-pixel pictures",
    ),
    **{
        f"vgg{layers}": Entry(
            partial(CIFARVGG, units), f"VGG of {layers} layers with batch normalisation, for 32-pixel pictures"
        )
        for layers, units in _VGGS.items()
    },
    "mobilenetv2_half": Entry(CIFARMobileNetV2, "MobileNetV2 at half width for 32-pixel pictures"),
    "shufflenet_v1": Entry(CIFARShuffleNetV1, "ShuffleNet with three groups for 32-pixel pictures"),
    "shufflenet_v2": Entry(CIFARShuffleNetV2, "ShuffleNet V2 1x for 32-pixel pictures"),
    "nin_cifar_no_relu": Entry(partial(CIFARNIN, head_relu=False), "Network in Network without the ReLU on its logits"),
}


def find(name: str) -> Entry:
    """The entry of that name; every name of a model in limbeck is resolved here.

    Raises:
        LimbeckError: no model has that name.
    """
    refuse_missing_function(name)
    if name not in CATALOGUE:
        others = "Others are path/to/file.py:FUNCTION, torchvision/NAME and timm/NAME."
        raise unknown("model", name, CATALOGUE, f"{others} Type `limbeck summary NAME` to see the layers of one.")
    return CATALOGUE[name]


def build(name: str, *, num_classes: int, in_channels: int = 3, width: float = 1.0) -> nn.Module:
    """A new network of that name, with fresh weights from torch's random state.

    Args:
        name: a name of `CATALOGUE`.
        num_classes: the number of logits, 2 or more.
        in_channels: the channels of a picture, 1 or more.
        width: multiplies the counts of hidden channels and units, each rounded and at least 1; above 0, at most 100.

    Returns:
        A module that takes normalised float pictures (B, in_channels, H, W) and returns logits (B, num_classes).

    Raises:
        LimbeckError: no model has that name, or a value is out of its range.
    """
    entry = find(name)
    if num_classes < 2:
        raise LimbeckError(f"num_classes must be 2 or more, not {num_classes}. CIFAR-10 and digits have 10.")
    if in_channels < 1:
        raise LimbeckError(f"in_channels must be 1 or more, not {in_channels}. Colour pictures have 3, grey ones 1.")
    if not 0 < width <= 100:
        raise LimbeckError(
            f"width must be above 0 and at most 100, not {width}. 1 is the full network, 0.5 half of it."
        )
    return entry.builder(num_classes=num_classes, in_channels=in_channels, width=width)
