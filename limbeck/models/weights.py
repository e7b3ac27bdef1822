"""A network with what it takes to make it again, in one safetensors file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from limbeck import files
from limbeck.errors import LimbeckError
from limbeck.models import composed
from limbeck.models.composed import AnyModel


class Saved(NamedTuple):
    """What a weights file holds.

    Attributes:
        network: in eval mode, on the CPU, float32 even where the file keeps half precision.
        model: its description.
        classes: their names in the order of the logits.
        data: the data set that it was trained on, where the file says so.
        side: height and width in pixels of the pictures that it was trained on, where the file says so.
    """

    network: nn.Module
    model: AnyModel
    classes: tuple[str, ...]
    data: str | None
    side: int | None = None


def save_network(
    path: Path,
    network: nn.Module,
    model: AnyModel,
    classes: tuple[str, ...],
    data: str | None = None,
    half: bool = False,
    side: int | None = None,
) -> None:
    """Writes the weights, normalisation included, and what `Saved` needs as metadata.

    Args:
        path: a safetensors file.
        network: what ``model`` built.
        model: the network's description.
        classes: their names in the order of the logits.
        data: the data set that it was trained on.
        half: round the weights to half precision.
        side: height and width in pixels of the pictures that it was trained on.
    """
    metadata = {"model": model.model_dump_json(), "classes": "\n".join(classes), **({"data": data} if data else {})}
    if side is not None:
        metadata["side"] = str(side)
    tensors = {
        name: tensor.half() if half and tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }
    files.write_tensors(path, tensors, metadata)


def load_network(path: Path) -> Saved:
    """Makes the network of a file that `save_network` wrote.

    Raises:
        LimbeckError: the file is missing or damaged, or it was not written by limbeck.
    """
    tensors = files.read_tensors(path)
    metadata = files.read_metadata(path)
    if not {"model", "classes"} <= metadata.keys():
        raise LimbeckError(
            f"{path} does not say which network its weights belong to: it was not written by limbeck. "
            "Give a weights.safetensors from a run's folder."
        )
    channels = _channels(tensors)
    classes = tuple(metadata["classes"].split("\n"))
    try:
        model = composed.read(json.loads(metadata["model"]))
        network = model.build(len(classes), ([0.0] * channels, [1.0] * channels))
        network.load_state_dict(tensors)
    except (RuntimeError, TypeError, ValueError, LimbeckError) as error:
        raise LimbeckError(
            f"the weights in {path} do not fit the network that the file names: {error}. "
            "Replace it with a good copy; if a run made it, removing it and running again has it made again."
        ) from error
    return Saved(network.eval(), model, classes, metadata.get("data"), _number(metadata.get("side")))


def _channels(tensors: dict[str, Tensor]) -> int:
    """Of the pictures: as many as there are factors to normalise them by."""
    scales = [tensor for name, tensor in tensors.items() if name.rpartition(".")[2] == "scale" and tensor.ndim == 3]
    return scales[0].numel() if scales else 3


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
