"""A network as one Python file that needs torch alone."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from limbeck.errors import LimbeckError
from limbeck.models.normalised import Normalised

_TEXT = '''\
"""{title}: the network whose weights are in {weights}.

    network = Student()
    network.load_state_dict(safetensors.torch.load_file("{weights}"))
    logits = network.eval()(images)  # float (B, {channels}, H, W) in [0, 1]; it normalises them itself

CLASSES has the names of the classes in the order of the logits. Written by limbeck; it needs torch and nothing else.
"""

import torch
from torch import nn

CLASSES = {classes}


class Student(nn.Module):
    def __init__(self):
        super().__init__()
{layers}

    def forward(self, images):
{forward}
'''


class Plain(NamedTuple):
    """A network written down.

    Attributes:
        text: of a Python file with a class ``Student`` and the names of its ``CLASSES``.
        tensors: the state dictionary that goes with it.
    """

    text: str
    tensors: dict[str, Tensor]

    def build(self) -> nn.Module:
        """The network that the text and the tensors are of, made from nothing else."""
        names: dict[str, Any] = {"__name__": "student"}
        exec(compile(self.text, "student.py", "exec"), names)  # written by `plain`, a moment ago
        made: nn.Module = names["Student"]()
        made.load_state_dict(self.tensors)
        return made.eval()


def plain(network: nn.Module, title: str, classes: Sequence[str], weights: str) -> Plain:
    """A network as a class of its own: layers of torch's, and what its forward does with them in eval mode.

    Args:
        network: a `Normalised` one, in eval mode.
        title: what it is called.
        classes: in the order of the logits.
        weights: the name of the file that its tensors will be in.

    Raises:
        LimbeckError: its forward cannot be written down; the message says why.
    """
    if not isinstance(network, Normalised):
        raise LimbeckError("it has no normalisation of its own")
    body = network.network
    try:
        graph = _DownToTorch().trace(body)
        names = _renamed(graph)
        code = graph.python_code("self")
    except Exception as error:
        raise LimbeckError(f"its forward cannot be followed symbolically ({error})") from error
    done = textwrap.dedent(code.src.lstrip("\n").partition("\n")[2])
    foreign = sorted(set(code.globals) & set(re.findall(r"\w+", done)) - {"torch"})
    if foreign:
        raise LimbeckError(f"its forward uses {', '.join(foreign[:3])}, which torch alone does not have")
    tensors = {"scale": network.scale, "shift": network.shift}
    layers = [f'self.register_buffer("{name}", torch.zeros({tuple(tensors[name].shape)}))' for name in tensors]
    for path, name in names.items():
        owner, _, last = path.rpartition(".")
        held = getattr(body.get_submodule(owner), last)
        if isinstance(held, nn.Module):
            layers.append(f"self.{name} = {_made(held, path)}")
            tensors |= {f"{name}.{key}": tensor for key, tensor in held.state_dict().items()}
        else:
            layers.append(f'self.register_buffer("{name}", torch.zeros({tuple(held.shape)}, dtype={held.dtype}))')
            tensors[name] = held.detach()
    taken = next(str(node.target) for node in graph.nodes if node.op == "placeholder")
    first = f"{taken} = images * self.scale + self.shift\n"
    if network.size is not None:
        size = (network.size, network.size)
        resized = f'nn.functional.interpolate(images, {size}, mode="bilinear", antialias=True)'
        first = f"if images.shape[-2:] != {size}:\n    images = {resized}\n{first}"
    text = _TEXT.format(
        title=title,
        weights=weights,
        classes=tuple(classes),
        channels=len(network.scale),
        layers=textwrap.indent("\n".join(layers), " " * 8),
        forward=textwrap.indent(_tidy(first + done), " " * 8),
    )
    return Plain(text, {name: tensor.cpu().contiguous() for name, tensor in tensors.items()})


class _DownToTorch(fx.Tracer):
    """Looks into every module but torch's own layers, and those that stand in for one."""

    def is_leaf_module(self, module: nn.Module, path: str) -> bool:
        own = type(module).__module__.startswith("torch.nn.") or isinstance(module, nn.modules.dropout._DropoutNd)
        return own and next(module.children(), None) is None


def _renamed(graph: fx.Graph) -> dict[str, str]:
    """Gives every layer that is used one name without dots, in place; returns the names by path."""
    names: dict[str, str] = {}
    for node in graph.nodes:
        if node.op in ("call_module", "get_attr"):
            path = str(node.target)
            name = path.replace(".", "_")
            names.setdefault(path, name if name.isidentifier() else f"layer_{name}")
            node.target = names[path]
    return names


def _made(layer: nn.Module, path: str) -> str:
    """The call that makes a layer of torch's own, as the layer itself says it; checked by making it."""
    text = f"nn.{layer!r}"
    try:
        made = eval(text, {"nn": nn, "torch": torch})  # the representation of a layer of torch's own
    except Exception as error:
        raise LimbeckError(f"its layer {path} ({type(layer).__name__}) does not say how it is made") from error
    shapes = [{name: tensor.shape for name, tensor in each.state_dict().items()} for each in (layer, made)]
    if shapes[0] != shapes[1]:
        raise LimbeckError(f"its layer {path} ({type(layer).__name__}) does not say all of how it is made")
    return text


def _tidy(forward: str) -> str:
    """Without what fx adds to free memory, and without empty lines."""
    forward = forward.replace("torch._C._nn.", "torch.nn.functional.")  # the names that people know them by
    lines = (line.partition(";")[0].rstrip() for line in forward.splitlines())
    return "\n".join(line for line in lines if line)
