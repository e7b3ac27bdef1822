"""VGG networks for 32-pixel pictures, as the CIFAR-100 distillation benchmark has them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from limbeck.models.conv_norm import ConvNorm, start_kaiming_normal
from limbeck.models.width import scaled

_CHANNELS = (64, 128, 256, 512, 512)


class CIFARVGG(nn.Module):
    """VGG (Simonyan and Zisserman, ICLR 2015) with batch normalisation and one linear layer, for 32-pixel pictures.

    Five stages of 3x3 convolutions with biases; the maps are halved before the second, third and fourth, so that the
    last two have the same size, and averaged at the end: the form of the benchmark of Tian, Krishnan and Isola (ICLR
    2020). Weights start Kaiming-normal. VGG-8 has 3,965,028 parameters with 100 classes.

    Args:
        units: the convolutions of each of the five stages, which have 64, 128, 256, 512 and 512 channels.
        num_classes: the number of logits.
        in_channels: the channels of a picture.
        width: multiplies every count of hidden channels; above 0.
    """

    def __init__(self, units: Sequence[int], num_classes: int = 10, in_channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        before = in_channels
        for number, (channels, count) in enumerate(zip(_CHANNELS, units, strict=True), start=1):
            stage: OrderedDict[str, nn.Module] = OrderedDict()
            if number in (2, 3, 4):
                stage.update(pool=nn.MaxPool2d(2))
            for unit in range(1, count + 1):
                given = scaled(channels, width)
                stage[f"unit{unit}"] = ConvNorm(before, given, 3, bias=True)
                before = given
            layers[f"stage{number}"] = nn.Sequential(stage)
        self.features = nn.Sequential(layers)
        self.classifier = nn.Linear(before, num_classes)
        start_kaiming_normal(self)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, num_classes) of normalised pictures (B, in_channels, H, W) of 8 pixels a side or more."""
        return self.classifier(self.features(images).mean(dim=(2, 3)))
