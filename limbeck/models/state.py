"""State dictionaries from files, and how they come into a network whose head is another."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from limbeck import files, own
from limbeck.errors import LimbeckError


class State(NamedTuple):
    """What a file holds of a network.

    Attributes:
        tensors: by name.
        mean, std: what the network's pictures are normalised by, where the file says so.
    """

    tensors: Mapping[str, Tensor]
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


def read(path: Path) -> State:
    """A state dictionary, as safetensors or as torch.save writes it, whatever it is wrapped in. No code is run.

    Of a weights.safetensors that limbeck wrote, the plain network's.

    Raises:
        LimbeckError: the file holds none.
    """
    tensors = _tensors(path)
    inside = {name.removeprefix("network."): tensor for name, tensor in tensors.items() if name.startswith("network.")}
    if len(inside) + 2 != len(tensors) or not {"scale", "shift"} <= tensors.keys():
        return State(tensors)
    scale, shift = (tensors[name].flatten().double() for name in ("scale", "shift"))
    return State(inside, tuple((-shift / scale).tolist()), tuple((1 / scale).tolist()))


def refuse_absent(path: Path) -> None:
    """Refuses a file that is not there."""
    if not path.is_file():
        raise LimbeckError(f"weights file {path} does not exist.{files.meant(path, Path.is_file)} Check the path.")


def load(
    network: nn.Module, tensors: Mapping[str, Tensor], source: str, name: str, num_classes: int, head: bool
) -> int:
    """Loads tensors into a network.

    Args:
        network: into this one.
        tensors: of exactly its names; old files do not count the batches that normalisation has seen.
        source, name: what the tensors and the network are called.
        num_classes: the network's.
        head: whether a head of other classes keeps the weights that it has.

    Returns:
        the number of classes of the head that was left out; 0 where all is loaded.

    Raises:
        LimbeckError: they are of another network.
    """
    there = network.state_dict()
    counts = {key: tensor for key, tensor in there.items() if key.endswith("num_batches_tracked")}
    tensors = {**counts, **tensors}
    for what, some in (
        ("lacks", there.keys() - tensors.keys()),
        ("has, which the network has not,", tensors.keys() - there.keys()),
    ):
        if some:
            few = ", ".join(sorted(some)[:3]) + (", ..." if len(some) > 3 else "")
            raise LimbeckError(f"{source} does not fit {name}: it {what} {few} ({len(some)} of {len(there)}).")
    others = [key for key, tensor in tensors.items() if tensor.shape != there[key].shape]
    heads = {tensors[key].shape[0] if _of_a_head(tensors[key], there[key], num_classes) else 0 for key in others}
    if others and not (head and len(heads) == 1 and all(heads)):
        key = others[0]
        raise LimbeckError(
            f"{source} does not fit {name} with {num_classes} classes: {key} is {tuple(tensors[key].shape)} there, and "
            f"{tuple(there[key].shape)} in the network."
        )
    network.load_state_dict({key: there[key] if key in others else tensor for key, tensor in tensors.items()})
    return next(iter(heads), 0)


def _of_a_head(theirs: Tensor, ours: Tensor, num_classes: int) -> bool:
    """Whether a tensor has a row a class, and is else the same."""
    return theirs.ndim == ours.ndim > 0 and theirs.shape[1:] == ours.shape[1:] and ours.shape[0] == num_classes


def _tensors(path: Path) -> dict[str, Tensor]:
    refuse_absent(path)
    if path.suffix == ".safetensors":
        return files.read_tensors(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        whole = any(f"Unsupported {what}" in str(error) for what in ("global", "class"))
        what = "holds a whole network, or more than tensors" if whole else "is damaged, or no such file"
        raise LimbeckError(
            f"weights file {path} {what}, and is not read: that could run code. Where the network is, type in Python "
            "torch.save(network.state_dict(), 'weights.pth'), and give that file."
        ) from error
    except (RuntimeError, EOFError, ValueError, OSError) as error:
        raise LimbeckError(
            f"weights file {path} cannot be read as a state dictionary ({own.said(error)}). Write one with "
            "torch.save(network.state_dict(), FILE), or as safetensors."
        ) from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content or not all(map(torch.is_tensor, content.values())):
        raise LimbeckError(f"weights file {path} holds no state dictionary, but {type(content).__name__}.")
    wrapped = all(str(key).startswith("module.") for key in content)  # as DataParallel writes it
    return {str(key).removeprefix("module.") if wrapped else str(key): value for key, value in content.items()}
