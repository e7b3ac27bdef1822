"""A network with what it takes to make it again, in one safetensors file."""

from __future__ import annotations

import json
from pathlib import Path

import safetensors
from torch import nn

from limbeck import files
from limbeck.errors import LimbeckError
from limbeck.models.model import Model
from limbeck.models.normalised import Normalised


def save_network(path: Path, network: nn.Module, model: Model, classes: tuple[str, ...]) -> None:
    """Writes the weights, normalisation included, with the model's description and the classes' names as metadata."""
    metadata = {"model": model.model_dump_json(), "classes": "\n".join(classes)}
    files.write_tensors(path, network.state_dict(), metadata)


def load_network(path: Path) -> tuple[Normalised, tuple[str, ...]]:
    """Makes the network of a file that `save_network` wrote.

    Returns:
        the network in eval mode, on the CPU, and its classes in the order of the logits.

    Raises:
        LimbeckError: the file is missing or damaged, or it was not written by limbeck.
    """
    tensors = files.read_tensors(path)
    with safetensors.safe_open(path, framework="pt") as opened:
        metadata = opened.metadata() or {}
    if not {"model", "classes"} <= metadata.keys():
        raise LimbeckError(
            f"{path} does not say which network its weights belong to: it was not written by limbeck. "
            "Give a weights.safetensors from a run's folder."
        )
    channels = tensors["scale"].numel() if "scale" in tensors else 3
    classes = tuple(metadata["classes"].split("\n"))
    try:
        model = Model(**json.loads(metadata["model"]))
        network = model.build(len(classes), ([0.0] * channels, [1.0] * channels))
        network.load_state_dict(tensors)
    except (RuntimeError, TypeError, ValueError, LimbeckError) as error:
        raise LimbeckError(
            f"the weights in {path} do not fit the network that the file names: {error}. "
            "Remove the file, or replace it with a good copy."
        ) from error
    return network.eval(), classes
