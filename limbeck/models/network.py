"""What descriptions of networks have in common: a name, where weights come from, and how pictures are shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.models import libraries, programs, state
from limbeck.models.libraries import Made
from limbeck.models.names import code_of, is_library, is_program, is_source, short
from limbeck.models.normalised import Normalised
from limbeck.spec import Spec

Statistics = tuple[Sequence[float], Sequence[float]]
_COLOURS = ("red", "green", "blue")


class Network(Spec):
    """Which network, with which weights, and how it is shown pictures."""

    later: ClassVar[tuple[str, ...]] = ("weights", "pretrained", "size")

    both_or_none: ClassVar[bool] = False  # of mean and std

    name: str = Field(description="Which network.")
    weights: Path | None = Field(
        None,
        description="Its weights: a state dictionary, as safetensors or as torch.save writes it; it runs no code.",
    )
    pretrained: bool = Field(
        False, description="The weights that its library fetches, for a network of timm's or torchvision's."
    )
    size: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="Pictures are resized to this height and width in front of it (bilinear, antialiased); none: as "
        "they are, but what it was made for where it is pretrained.",
    )
    mean: tuple[float, ...] | None = Field(None, description="A channel's mean in [0, 1].")
    std: tuple[float, ...] | None = Field(None, description="A channel's deviation.")

    @field_validator("std")
    @classmethod
    def _goes_with_the_mean(cls, std: tuple[float, ...] | None, info: ValidationInfo) -> tuple[float, ...] | None:
        mean, faults = info.data.get("mean"), []
        if std is not None and min(std, default=1) <= 0:
            faults.append("each number must be above 0; CIFAR-10's are 0.2470 0.2435 0.2616")
        if "mean" in info.data and cls.both_or_none and (mean is None) != (std is None):
            faults.append("mean and std belong together; give both, each one number a channel (3 of colours), or none")
        if mean is not None and std is not None and len(mean) != len(std):
            faults.append(f"mean has {len(mean)} numbers and std has {len(std)}; give each one number a channel")
        if faults:
            raise ValueError("; ".join(faults))
        return std

    @model_validator(mode="after")
    def _weights_from_one_place(self) -> Self:
        if self.weights and is_program(self.name):
            raise ValueError("such a file has its weights in it; leave weights away")
        if self.pretrained and self.weights:
            raise ValueError("pretrained and weights are two sources of its weights; choose one")
        if self.pretrained and not is_library(self.name):
            raise ValueError(
                f"pretrained weights are fetched for timm's and torchvision's networks, and not for {self.name}; give "
                "a file with weights"
            )
        return self

    def named_code(self) -> tuple[Path, ...]:
        code = code_of(self.name)
        return () if code is None else (code,)

    def refuse_absent(self) -> None:
        """Looks for the file, the function, the library's network and the weights that are named; nothing is built.

        Raises:
            LimbeckError: one of them is not there.
        """
        code = code_of(self.name)
        if is_library(self.name):
            libraries.refuse_unknown(self.name)
        elif code is not None and is_program(self.name):
            programs.refuse_absent(code)
        elif code is not None:
            programs.function(code, self.name.rpartition(":")[2])
        if self.weights is not None:
            state.refuse_absent(self.weights)

    def made(self, num_classes: int, statistics: Statistics | None) -> Normalised:
        """The network with its weights, and with how it is shown pictures.

        Args:
            num_classes: of the pictures.
            statistics: (mean, deviation) of the training set, for a network that is to be trained: it may be what its
                pictures are normalised by, and a head of other classes is replaced. None where it is trained already.

        Raises:
            LimbeckError: there is no such file, function or name, or the weights are of another network.
        """
        own_head = statistics is None
        channels = len(self.mean or self.std or (statistics[0] if statistics else _COLOURS))
        made = self._bare(num_classes, own_head, channels)
        tensors, mean, std, source = made.tensors, made.mean, made.std, "what was fetched"
        if self.weights is not None:
            read = state.read(self.weights)
            tensors, mean, std, source = read.tensors, read.mean or mean, read.std or std, str(self.weights)
        classes = made.classes
        if tensors is not None:
            try:
                classes = state.load(made.network, tensors, source, self.name, num_classes, head=not own_head)
            except LimbeckError as error:
                if self.size is None or not made.size:
                    raise
                size = "--student.size or --teacher.size; of evaluate, --size"
                raise LimbeckError(
                    f"{error} The network was made for pictures of {self.size} pixels, as size says. If the weights "
                    f"are of others, leave size ({size}) away, or type theirs: pictures are then resized to it."
                ) from error
        fresh = not (self.pretrained or self.weights or code_of(self.name))
        if statistics is not None and (fresh or (mean is None and not is_source(self.name))):
            mean, std = tuple(statistics[0]), tuple(statistics[1])
        mean, std = self.mean or mean or (0.0,) * channels, self.std or std or (1.0,) * channels
        network = Normalised(made.network, mean, std, self.size or made.size)
        network.description = self._described(network.size)
        if classes and classes != num_classes and not own_head:
            said = f"{self.title()}: its head of {classes} classes was replaced by a fresh one of {num_classes}."
            network.notes = (said,)
        return network

    def title(self) -> str:
        """What tables call it."""
        return short(self.name)

    def _bare(self, num_classes: int, own_head: bool, channels: int) -> Made:
        if is_library(self.name):
            return libraries.build(self.name, num_classes, self.pretrained, self.size, own_head)
        code = code_of(self.name)
        assert code is not None
        if is_program(self.name):
            return Made(programs.program(code))
        return Made(programs.returned(code, self.name.rpartition(":")[2], num_classes))

    def _described(self, size: int | None) -> Network:
        """What is needed to make the network again, whose weights are then loaded."""
        raise NotImplementedError


def shows(title: str, network: Normalised) -> str:
    """How pictures are shown to a network of that title, in words."""
    resized = f"resized to {network.size} x {network.size} (bilinear, antialiased), " if network.size else ""
    return f"{title} sees pictures {resized}{_by(network)}"


def _by(network: Normalised) -> str:
    """How pictures are normalised, in words."""
    std = 1 / network.scale.flatten()
    mean = -network.shift.flatten() * std
    if (std == 1).all() and (mean == 0).all():
        return "as they are, in [0, 1]"
    return f"normalised by mean {_numbers(mean)} and deviation {_numbers(std)}"


def _numbers(values: Tensor) -> str:
    return " ".join(f"{value:.3f}" for value in values.tolist())
