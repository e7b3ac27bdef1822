"""The typed description of a network."""

from __future__ import annotations

import functools
from typing import Any, ClassVar, Self

import torch
from pydantic import Field, field_validator, model_validator
from torch import nn

from limbeck.errors import LimbeckError
from limbeck.models.catalogue import build, find
from limbeck.models.folding import add_norms, foldable
from limbeck.models.libraries import Made
from limbeck.models.names import is_source
from limbeck.models.network import Network, Statistics
from limbeck.models.normalised import Normalised

_OTHERS = "path/to/file.py:FUNCTION, torchvision/NAME, timm/NAME"


class Model(Network):
    """Which network, how wide, and how it is shown the pictures it is given."""

    later: ClassVar[tuple[str, ...]] = (*Network.later, "batch_norm")

    name: str = Field(description=f"A name of the catalogue, see `limbeck summary`; or {_OTHERS}, whose code is run.")
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
        None,
        description="A channel's mean in [0, 1]; none: the training set's own; where it is pretrained, what it learned "
        "with; of a file.py, pictures as they are.",
    )
    std: tuple[float, ...] | None = Field(None, description="A channel's deviation; none: as for mean.")

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if not is_source(name):
            find(name)
        return name

    @model_validator(mode="after")
    def _can_be_built(self) -> Model:
        """What would otherwise be found out when the network's turn comes, after its teacher's training."""
        if self.batch_norm and (self.weights or self.pretrained):
            raise ValueError("batch_norm = True would take away what the weights have learned; leave it away")
        if is_source(self.name):
            if self.width != 1:
                raise ValueError(
                    f"width = {self.width:g} has no effect: {self.name} is as wide as whoever made it says; choose a "
                    "narrower one"
                )
            return self  # what it is made of is seen when it is built, before anything is trained
        if self.dropout is not None and not _can_drop(self.name):
            raise ValueError(_no_dropout(self.dropout, self.name))
        if self.batch_norm and not _can_fold(self.name):
            raise ValueError(_no_folding(self.name))
        return self

    def with_(self, **changes: Any) -> Self:
        """As `Spec.with_`; but to become a network of somebody else's it lays off what was this one's own."""
        if changes.get("name", self.name) != self.name and is_source(changes["name"]):
            ours = ("width", "dropout", "batch_norm", "mean", "std")
            changes = {**{name: type(self).model_fields[name].default for name in ours}, **changes}
        return super().with_(**changes)

    def build(self, num_classes: int, statistics: Statistics) -> Normalised:
        """A new network: with fresh weights from torch's random state, or with those that it is to start from.

        Args:
            num_classes: the number of logits.
            statistics: (mean, deviation) of each channel of the training set, used where neither the model nor what it
                starts from has some.

        Raises:
            LimbeckError: it cannot be made.
        """
        return self.made(num_classes, statistics)

    def _bare(self, num_classes: int, own_head: bool, channels: int) -> Made:
        if is_source(self.name):
            made = super()._bare(num_classes, own_head, channels)
        else:
            made = Made(build(self.name, num_classes=num_classes, in_channels=channels, width=self.width))
        if self.dropout is not None:
            if not (layers := _dropout_layers(made.network)):
                raise LimbeckError(f"{_no_dropout(self.dropout, self.name)}.")
            for layer in layers:
                layer.p = self.dropout
        if self.batch_norm:
            if not foldable(made.network):
                raise LimbeckError(f"{_no_folding(self.name)}.")
            add_norms(made.network)
        return made

    def _described(self, size: int | None) -> Model:
        return (
            self
            if (size, None, False) == (self.size, self.weights, self.pretrained)
            else self.with_(size=size, weights=None, pretrained=False)
        )

    def folded(self) -> Model:
        """The description of what is kept: without the batch normalisation that was there for training."""
        return self.with_(batch_norm=False)

    def title(self) -> str:
        """The model's name as a person reads it, with its width where that is not 1."""
        return super().title() if self.width == 1 else f"{self.name} x{self.width:g}"


def _no_dropout(dropout: float, name: str) -> str:
    return f"dropout = {dropout} has no effect: {name} has no dropout layer; leave it away"


def _no_folding(name: str) -> str:
    return (
        f"batch_norm = True would change what {name} is: it has normalisation of its own, or convolutions without a "
        "bias to fold any into; leave it away"
    )


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
