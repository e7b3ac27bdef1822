"""The layer tables of networks."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence

import torch
import torchinfo
from torch import nn

from limbeck.models.catalogue import CATALOGUE, build, find


def summary(
    model: str | nn.Module,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    width: float = 1.0,
    image_size: int = 32,
) -> torchinfo.ModelStatistics:
    """The layers of a model for one picture: output shapes, parameters, mult-adds and sizes in memory.

    ``str()`` of the result is the table that `limbeck summary` prints. A name is built without memory for its weights
    and nothing is computed, so that a network of any size takes no time.

    Args:
        model: a name of `limbeck.models.CATALOGUE`, or a module, which is taken as it is.
        num_classes: as for `build`; for a name.
        in_channels: the channels of the picture.
        width: as for `build`; for a name.
        image_size: the height and width of the picture in pixels.

    Raises:
        LimbeckError: as `build` raises it.
    """
    if isinstance(model, str):
        with torch.device("meta"):
            model = build(model, num_classes=num_classes, in_channels=in_channels, width=width)
    picture = next(model.parameters(), torch.empty(0)).new_zeros(1, in_channels, image_size, image_size)
    statistics = torchinfo.summary(model, input_data=picture, depth=3, mode="eval", verbose=0)
    # torchinfo 1.8 prints its unit as "Units.MEGABYTES" since Python 3.11; given as text, it is printed as "M".
    unit, _ = statistics.to_readable(statistics.total_mult_adds)
    statistics.formatting.macs_units = unit.value  # type: ignore[assignment]
    return statistics


def tables(names: Sequence[str], *, num_classes: int = 10, in_channels: int = 3, width: float = 1.0) -> str:
    """The layer tables of named models, one below the other, each under its name and description.

    Raises:
        LimbeckError: as `build` raises it, before any table is made.
    """
    headings = [f"{name}: {find(name).description}" for name in names]
    texts = [str(summary(name, num_classes=num_classes, in_channels=in_channels, width=width)) for name in names]
    return "\n\n".join(f"{heading}\n{text}" for heading, text in zip(headings, texts, strict=True))


def listing() -> str:
    """The models of the catalogue, one line each, and how to see the layers of one; as wide as the terminal."""
    width, longest = shutil.get_terminal_size().columns, max(map(len, CATALOGUE))
    lines = [
        textwrap.fill(f"{name:{longest}}  {entry.description}", width, subsequent_indent=" " * (longest + 2))
        for name, entry in CATALOGUE.items()
    ]
    return "\n".join([*lines, "", f"Type `limbeck summary {next(iter(CATALOGUE))}` for the layers of one."])
