"""A network with what it takes to make it again, in one safetensors file.

Beside the weights there are the network's description, the names of the classes, the data set, notes for a reader, the
versions of the libraries that it is made with, and the SHA-256 of the files of one's own that it is made by. Such files
are code: they are run only where whoever loads the weights names them, wherever they lie by then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from limbeck import files, own
from limbeck.errors import LimbeckError
from limbeck.models import composed, libraries
from limbeck.models.composed import AnyModel, notes_of
from limbeck.models.names import code_of, of_file


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
    reading: str | None = None,
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
        reading: how they were read, where they are one's own.
    """
    fields = model.model_dump(mode="json")
    code = {str(path): own.stamp(path) for path in own.named(model)}
    versions = {library: text for name in names_in(fields) for library, text in libraries.version(name).items()}
    more = {"code": json.dumps(code), "libraries": json.dumps(versions), "notes": "\n".join(notes_of(network))}
    more |= {"data": data or "", "side": "" if side is None else str(side), "reading": reading or ""}
    metadata = {"model": model.model_dump_json(), "classes": "\n".join(classes)}
    metadata |= {name: text for name, text in more.items() if text not in ("", "{}")}
    tensors = {
        name: tensor.half() if half and tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }
    files.write_tensors(path, tensors, metadata)


def load_network(path: Path, code: Iterable[Path] = ()) -> Saved:
    """Makes the network of a file that `save_network` wrote.

    Args:
        path: the file.
        code: files that may be run to make it. They are known again by their content, whatever they are called now.

    Raises:
        LimbeckError: the file is missing or damaged, or it was not written by limbeck; the network is made by a file of
            code that is not named, or that was changed.
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
        fields, stamps = json.loads(metadata["model"]), json.loads(metadata.get("code", "{}"))
    except ValueError as error:
        raise _unfit(path, error, {}) from error
    fields = placed(fields, _allowed(path, stamps, code, list(names_in(fields))))
    try:
        model = composed.read(fields)
        network = model.build(len(classes), ([0.0] * channels, [1.0] * channels))
        network.load_state_dict(tensors)
    except (RuntimeError, TypeError, ValueError, LimbeckError) as error:
        raise _unfit(path, error, json.loads(metadata.get("libraries", "{}"))) from error
    if "notes" in metadata:
        network.notes = tuple(metadata["notes"].split("\n"))  # type: ignore[assignment]
    return Saved(network.eval(), model, classes, metadata.get("data"), _number(metadata.get("side")))


def _unfit(path: Path, error: Exception, versions: Mapping[str, str]) -> LimbeckError:
    made_with = ", ".join(f"{library} {text}" for library, text in versions.items())
    hint = f"They were made with {made_with}. " if versions else ""
    return LimbeckError(
        f"the weights in {path} do not fit the network that the file names: {error}. {hint}"
        "Replace it with a good copy; if a run made it, removing it and running again has it made again."
    )


def names_in(fields: Any) -> Iterator[str]:
    """The names of all networks in a description."""
    if isinstance(fields, dict):
        name = fields.get("name")
        yield from [name] if isinstance(name, str) else []
        fields = list(fields.values())
    for inner in fields if isinstance(fields, list) else ():
        yield from names_in(inner)


def placed(fields: Any, places: Mapping[str, str]) -> Any:
    """A description with other names of networks, and without where weights came from: they are in the file."""
    if isinstance(fields, list):
        return [placed(inner, places) for inner in fields]
    if not isinstance(fields, dict):
        return fields
    return {
        key: places.get(value, value) if key == "name" else placed(value, places)
        for key, value in fields.items()
        if key not in ("weights", "pretrained")
    }


def _allowed(path: Path, stamps: Any, code: Iterable[Path], names: Iterable[str]) -> dict[str, str]:
    """The name by which each network of a user's own can be made now.

    Raises:
        LimbeckError: nobody said that its code may be run.
    """
    given = {own.stamp(file): file for file in code if file.is_file()}
    places = {}
    for name in names:
        if (file := code_of(name)) is None:
            continue
        stamp = stamps.get(str(file)) if isinstance(stamps, dict) else None
        if stamp not in given:
            raise LimbeckError(_not_allowed(path, name, file, stamp, list(given.values())))
        places[name] = of_file(name, str(given[stamp]))
    return places


def _not_allowed(path: Path, name: str, file: Path, stamp: str | None, given: list[Path]) -> str:
    changed = next((other for other in given if other.name == file.name), None)
    if changed is not None:
        return (
            f"{changed} was changed since the network in {path} was made by it: its SHA-256 is "
            f"{own.stamp(changed)[:12]}..., and was {str(stamp)[:12]}... then. Name the file as it was."
        )
    return (
        f"the network in {path} is made by {name}: its code would be run to load these weights. If you trust that "
        f"file, name it: --code {file} (of a run's teacher: --teacher.code {file})."
    )


def _channels(tensors: dict[str, Tensor]) -> int:
    """Of the pictures: as many as there are factors to normalise them by."""
    scales = [tensor for name, tensor in tensors.items() if name.rpartition(".")[2] == "scale" and tensor.ndim == 3]
    return scales[0].numel() if scales else 3


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
