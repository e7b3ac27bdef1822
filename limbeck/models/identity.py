"""What tells a network from all that may answer otherwise: what makes it, and its weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from limbeck import own
from limbeck.models import libraries
from limbeck.models.composed import described
from limbeck.models.names import code_of, of_file
from limbeck.models.weights import names_in, placed


def made_by(network: nn.Module) -> dict[str, Any]:
    """What makes a network, as JSON has it: its description, and of files of one's own the text.

    One that limbeck did not make is known by how it prints, and by the text of the classes that it is made of. Where
    files lie does not count, nor what they import from others.
    """
    model = described(network)
    if model is None:
        kinds: set[type] = {type(module) for module in network.modules()}
        code = sorted({*map(own.source, filter(own.is_own, kinds))})
        return {"network": hashlib.sha256("\0".join([repr(network), *code]).encode()).hexdigest()}
    fields = model.model_dump(mode="json")
    names = dict.fromkeys(names_in(fields))
    content = {name: of_file(name, own.stamp(file)) for name in names if (file := code_of(name))}
    made_with = {library: text for name in names for library, text in libraries.version(name).items()}
    return {"network": placed(fields, content), "libraries": made_with}


def weights_of(network: nn.Module) -> str:
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
