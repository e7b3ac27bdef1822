"""What a teacher is to label, and what its answers depend on."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from limbeck import own
from limbeck.console import Console
from limbeck.data.dataset import Dataset
from limbeck.data.views import Views
from limbeck.models import libraries
from limbeck.models.composed import described
from limbeck.models.names import code_of, of_file
from limbeck.models.weights import names_in, placed
from limbeck.training.device import Engine

_FORM = 1  # of the tables; to be raised, too, where limbeck's own networks or views become others


@dataclass(frozen=True)
class Assignment:
    """A teacher, and the views that it is to label for one training.

    Attributes:
        network: the teacher, on the engine's device.
        engine: device and precision to call it with.
        pictures: the training set, on the engine's device.
        views, view_seed: what is shown of them.
        folder: where answers may be kept, beside those to other questions, until the run is complete.
        console: where progress goes.
        taps: submodules of the teacher whose outputs the objective needs.
    """

    network: nn.Module
    engine: Engine
    pictures: Dataset
    views: Views
    view_seed: int
    folder: Path
    console: Console
    taps: tuple[str, ...] = ()

    def title(self) -> str:
        """Who answers about what, in words."""
        model = described(self.network)
        return f"{model.title() if model else type(self.network).__name__} on {self.pictures.name}"

    def key(self) -> dict[str, Any]:
        """All that the logits depend on but the epoch, as JSON has it, in what it is and not in where it lies.

        That is the network by its tensors and by what makes it (of files of one's own, the text), the pictures by their
        content and order, the views and their seed, and precision, kind of device and libraries. What a file of one's
        own imports from others does not count.
        """
        views, versions = self.views, {"torch": str(torch.__version__)}
        if views.policy:
            versions["torchvision"] = importlib.metadata.version("torchvision")
        return {
            "form": _FORM,
            "teacher": _known_by(self.network),
            "pictures": {"count": len(self.pictures), "sha256": self.pictures.fingerprint},
            "views": views.model_dump(mode="json"),
            "view_seed": self.view_seed,
            "own_code": [_sha256(text.encode()) for text in own.texts(views)],
            "computed": {"device": self.engine.device.type, "precision": self.engine.dtype(), **versions},
        }


def _known_by(network: nn.Module) -> dict[str, Any]:
    """What tells a network from all that may answer otherwise."""
    model = described(network)
    if model is None:  # it is known by how it prints, and by the text of the classes that it is made of
        kinds: set[type] = {type(module) for module in network.modules()}
        code = sorted({*map(own.source, filter(own.is_own, kinds))})
        return {"network": _sha256("\0".join([repr(network), *code]).encode()), "weights": _weights(network)}
    fields = model.model_dump(mode="json")
    names = dict.fromkeys(names_in(fields))
    content = {name: of_file(name, own.stamp(file)) for name in names if (file := code_of(name))}
    made_with = {library: text for name in names for library, text in libraries.version(name).items()}
    return {"network": placed(fields, content), "libraries": made_with, "weights": _weights(network)}


def _weights(network: nn.Module) -> str:
    """The SHA-256 of everything in a state dictionary."""
    state = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        state.update(json.dumps([name, *_form(value)]).encode())
        if isinstance(value, Tensor):
            state.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return state.hexdigest()


def _form(value: Any) -> Iterator[str]:
    if isinstance(value, Tensor):
        yield from (str(value.dtype), str(tuple(value.shape)))
    else:  # a module's extra state
        yield repr(value)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
