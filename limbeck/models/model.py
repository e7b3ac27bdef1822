"""The typed description of a network."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, field_validator

from limbeck.models.catalogue import build, find
from limbeck.models.normalised import Normalised
from limbeck.spec import Spec


class Model(Spec):
    """Which network, how wide, and how it normalises the pictures it is given."""

    name: str = Field(description="A name of the catalogue: alexnet_cifar, nin_cifar.")
    width: float = Field(1.0, gt=0, le=100, description="Multiplies the counts of hidden channels and units.")
    mean: tuple[float, ...] | None = Field(
        None, description="A channel's mean in [0, 1]; none: the training set's own."
    )
    std: tuple[float, ...] | None = Field(None, description="A channel's deviation; none: the training set's own.")

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        find(name)
        return name

    def build(self, num_classes: int, statistics: tuple[Sequence[float], Sequence[float]]) -> Normalised:
        """A new network with fresh weights from torch's random state.

        Args:
            num_classes: the number of logits.
            statistics: (mean, deviation) of each channel of the training set, used where the model names none.
        """
        mean, std = self.mean or statistics[0], self.std or statistics[1]
        network = build(self.name, num_classes=num_classes, in_channels=len(mean), width=self.width)
        return Normalised(network, mean, std)

    def title(self) -> str:
        """The model's name as a person reads it, with its width where that is not 1."""
        return self.name if self.width == 1 else f"{self.name} x{self.width:g}"
