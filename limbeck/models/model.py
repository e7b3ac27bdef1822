"""The typed description of a network."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, field_validator
from torch import nn

from limbeck.errors import LimbeckError
from limbeck.models.catalogue import build, find
from limbeck.models.normalised import Normalised
from limbeck.spec import Spec


class Model(Spec):
    """Which network, how wide, and how it normalises the pictures it is given."""

    name: str = Field(description="A name of the catalogue; see `limbeck summary`.")
    width: float = Field(1.0, gt=0, le=100, description="Multiplies the counts of hidden channels and units.")
    dropout: float | None = Field(
        None, ge=0, lt=1, description="Probability of every dropout layer; none: the network's own."
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

    def build(self, num_classes: int, statistics: tuple[Sequence[float], Sequence[float]]) -> Normalised:
        """A new network with fresh weights from torch's random state.

        Args:
            num_classes: the number of logits.
            statistics: (mean, deviation) of each channel of the training set, used where the model names none.
        """
        mean, std = self.mean or statistics[0], self.std or statistics[1]
        network = build(self.name, num_classes=num_classes, in_channels=len(mean), width=self.width)
        if self.dropout is not None:
            layers = [
                m for m in network.modules() if isinstance(m, (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d))
            ]
            if not layers:
                raise LimbeckError(
                    f"dropout = {self.dropout} has no effect: {self.name} has no dropout layer. Leave it away."
                )
            for layer in layers:
                layer.p = self.dropout
        return Normalised(network, mean, std)

    def title(self) -> str:
        """The model's name as a person reads it, with its width where that is not 1."""
        return self.name if self.width == 1 else f"{self.name} x{self.width:g}"
