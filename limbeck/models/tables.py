"""The layer tables of networks."""

from __future__ import annotations

import contextlib
import shutil
import textwrap
from collections.abc import Sequence

import torch
import torchinfo
from torch import nn

from limbeck import own
from limbeck.errors import LimbeckError
from limbeck.models.catalogue import CATALOGUE, build, find
from limbeck.models.model import Model
from limbeck.models.names import is_library, is_program, is_source
from limbeck.models.normalised import Normalised


def summary(
    model: str | nn.Module,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    width: float = 1.0,
    image_size: int | None = None,
) -> torchinfo.ModelStatistics:
    """The layers of a model for one picture: output shapes, parameters, mult-adds and sizes in memory.

    ``str()`` of the result is the table that `limbeck summary` prints. A name is built without memory for its weights
    (but a function of a file runs as it is) and nothing is computed, so that a network of any size takes no time.

    Args:
        model: a name of `limbeck.models.CATALOGUE` or one of `limbeck.models.names`, or a module, which is taken as it
            is.
        num_classes: as for `build`; for a name.
        in_channels: the channels of the picture.
        width: as for `build`; for a name.
        image_size: the height and width of the picture in pixels; by default 32, or what the network is made for.

    Raises:
        LimbeckError: as `build` raises it.
    """
    if isinstance(model, str) and is_source(model):
        network = _other(model, num_classes, width, image_size)
        model, image_size = network.network, image_size or network.size
    elif isinstance(model, str):
        with torch.device("meta"):
            model = build(model, num_classes=num_classes, in_channels=in_channels, width=width)
    size = image_size or 32
    picture = next(model.parameters(), torch.empty(0)).new_zeros(1, in_channels, size, size)
    try:
        statistics = torchinfo.summary(model, input_data=picture, depth=3, mode="eval", verbose=0)
    except RuntimeError as error:
        why = own.said(error.__cause__ or error)
        raise LimbeckError(
            f"{type(model).__name__} cannot look at a picture of {in_channels} x {size} x {size}: {why}. Type "
            "--image-size 224, or whatever it is made for."
        ) from error
    # torchinfo 1.8 prints its unit as "Units.MEGABYTES" since Python 3.11; given as text, it is printed as "M".
    unit, _ = statistics.to_readable(statistics.total_mult_adds)
    statistics.formatting.macs_units = unit.value  # type: ignore[assignment]
    return statistics


def _other(name: str, num_classes: int, width: float, size: int | None) -> Normalised:
    """A network that limbeck did not make; a library's on no device."""
    if is_program(name):
        raise LimbeckError(f"{name} is a program that nobody can look into. Give the network itself.")
    place = torch.device("meta") if is_library(name) else contextlib.nullcontext()
    with place:
        return Model(name=name, width=width, size=size).build(num_classes, ([0.0] * 3, [1.0] * 3))


def tables(
    names: Sequence[str],
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    width: float = 1.0,
    image_size: int | None = None,
) -> str:
    """The layer tables of named models, one below the other, each under its name and description.

    Raises:
        LimbeckError: as `build` raises it, before any table is made.
    """
    headings = [name if is_source(name) else f"{name}: {find(name).description}" for name in names]
    texts = [
        str(summary(name, num_classes=num_classes, in_channels=in_channels, width=width, image_size=image_size))
        for name in names
    ]
    return "\n\n".join(f"{heading}\n{text}" for heading, text in zip(headings, texts, strict=True))


def listing() -> str:
    """The models of the catalogue, one line each, and how to see the layers of one; as wide as the terminal."""
    width, longest = shutil.get_terminal_size().columns, max(map(len, CATALOGUE))
    lines = [
        textwrap.fill(f"{name:{longest}}  {entry.description}", width, subsequent_indent=" " * (longest + 2))
        for name, entry in CATALOGUE.items()
    ]
    return "\n".join([*lines, "", f"Type `limbeck summary {next(iter(CATALOGUE))}` for the layers of one."])
