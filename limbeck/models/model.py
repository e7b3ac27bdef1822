"""The typed description of a network."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from pydantic import Field, field_validator, model_validator
from torch import nn

from limbeck.models.catalogue import build, find
from limbeck.models.folding import add_norms, foldable
from limbeck.models.normalised import Normalised
from limbeck.spec import Spec


class Model(Spec):
    """Which network, how wide, and how it normalises the pictures it is given."""

    name: str = Field(description="A name of the catalogue; see `limbeck summary`.")
    width: float = Field(1.0, gt=0, le=100, description="Multiplies the counts of hidden channels and units.")
    dropout: float | None = Field(
        None, ge=0, lt=1, description="Probability of every dropout layer; none: the network's own."
    )
    batch_norm: bool = Field(
        False,
        description="Train with batch normalisation behind every convolution, and fold it into them at the end: what "
        "is kept has none.",
    )
    mean: tuple[float, ...] | None = Field(
        None, description="A channel's mean in [0, 1]; none: the training set's own."
    )
    std: tuple[float, ...] | None = Field(None, description="A channel's deviation; none: the training set's own.")

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        find(name)
        return name

    @field_validator("std")
    @classmethod
    def _above_zero(cls, std: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if std is not None and min(std, default=1) <= 0:
            raise ValueError("each number must be above 0; CIFAR-10's are 0.2470 0.2435 0.2616")
        return std

    @model_validator(mode="after")
    def _can_be_built(self) -> Model:
        """What would otherwise be found out when the network's turn comes, after its teacher's training."""
        if self.mean is not None and self.std is not None and len(self.mean) != len(self.std):
            raise ValueError(
                f"mean has {len(self.mean)} numbers and std has {len(self.std)}; give each one number a channel"
            )
        if self.dropout is not None and not _can_drop(self.name):
            raise ValueError(f"dropout = {self.dropout} has no effect: {self.name} has no dropout layer; leave it away")
        if self.batch_norm and not _can_fold(self.name):
            raise ValueError(
                f"batch_norm = True would change what {self.name} is: it has normalisation of its own, or convolutions "
                "without a bias to fold any into; leave it away"
            )
        return self

    def build(self, num_classes: int, statistics: tuple[Sequence[float], Sequence[float]]) -> Normalised:
        """A new network with fresh weights from torch's random state.

        Args:
            num_classes: the number of logits.
            statistics: (mean, deviation) of each channel of the training set, used where the model names none.
        """
        mean, std = self.mean or statistics[0], self.std or statistics[1]
        network = build(self.name, num_classes=num_classes, in_channels=len(mean), width=self.width)
        if self.dropout is not None:
            for layer in _dropout_layers(network):
                layer.p = self.dropout
        if self.batch_norm:
            add_norms(network)
        normalised = Normalised(network, mean, std)
        normalised.description = self
        return normalised

    def folded(self) -> Model:
        """The description of what is kept: without the batch normalisation that was there for training."""
        return self.with_(batch_norm=False)

    def title(self) -> str:
        """The model's name as a person reads it, with its width where that is not 1."""
        return self.name if self.width == 1 else f"{self.name} x{self.width:g}"


def _dropout_layers(network: nn.Module) -> list[nn.modules.dropout._DropoutNd]:
    kinds = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
    return [layer for layer in network.modules() if isinstance(layer, kinds)]


@functools.cache
def _can_fold(name: str) -> bool:
    with torch.device("meta"):
        return foldable(build(name, num_classes=2))


@functools.cache
def _can_drop(name: str) -> bool:
    """Whether the network of that name has a dropout layer; it is built without memory for its weights."""
    with torch.device("meta"):
        return bool(_dropout_layers(build(name, num_classes=2)))
