"""The lab's teacher: AlexNet with a stem for 32-pixel pictures."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from limbeck.models.dropout import Dropout
from limbeck.models.width import scaled


class AlexNet(nn.Module):
    """AlexNet for CIFAR: five convolutions, three fully connected layers, no batch normalisation.

    By Krizhevsky, Sutskever and Hinton (NIPS 2012), with the channel counts of Krizhevsky's "One weird trick for
    parallelizing convolutional neural networks" (2014) and a 3x3 stem of stride 1 in place of the 11x11 one. Weights
    start as torch's layers start them. 57,023,306 parameters as it stands.

    Args:
        num_classes: the number of logits.
        in_channels: the channels of a picture.
        width: multiplies every count of channels and hidden units; above 0.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = (scaled(count, width) for count in (64, 192, 384, 256, 256))
        hidden = scaled(4096, width)
        self.features = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(in_channels, c1, 3, padding=2),
                relu1=nn.ReLU(inplace=True),
                pool1=nn.MaxPool2d(3, stride=2),
                conv2=nn.Conv2d(c1, c2, 5, padding=2),
                relu2=nn.ReLU(inplace=True),
                pool2=nn.MaxPool2d(3, stride=2),
                conv3=nn.Conv2d(c2, c3, 3, padding=1),
                relu3=nn.ReLU(inplace=True),
                conv4=nn.Conv2d(c3, c4, 3, padding=1),
                relu4=nn.ReLU(inplace=True),
                conv5=nn.Conv2d(c4, c5, 3, padding=1),
                relu5=nn.ReLU(inplace=True),
                pool5=nn.MaxPool2d(3, stride=2),
            )
        )
        self.pool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            OrderedDict(
                dropout6=Dropout(0.5),
                linear6=nn.Linear(c5 * 6 * 6, hidden),
                relu6=nn.ReLU(inplace=True),
                dropout7=Dropout(0.5),
                linear7=nn.Linear(hidden, hidden),
                relu7=nn.ReLU(inplace=True),
                linear8=nn.Linear(hidden, num_classes),
            )
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, num_classes) of normalised pictures (B, in_channels, H, W) of 13 pixels a side or more."""
        return self.classifier(self.pool(self.features(images)).flatten(1))
