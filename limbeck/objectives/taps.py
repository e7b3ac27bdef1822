"""Taps: what goes through the submodules of a network, by dotted path, without touching the network's code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from limbeck.errors import LimbeckError, nearest
from limbeck.models.normalised import plain, shown
from limbeck.models.programs import refuse_to_look_into
from limbeck.objectives.outputs import Outputs

_INPUT = ":in"


class Tapped:
    """A network whose named submodules are listened to while it runs.

    A path names the submodule whose output is kept, from the plain network on ("features.stage2"); with ":in" behind
    it, the submodule's first input is kept instead. Of a tuple, its first tensor is kept. The network is not changed,
    and `close` leaves no trace in it. What is wrapped around the network does not change the paths (see `plain`).

    DistributedDataParallel averages gradients once there is one of every parameter: where the loss is of taps alone,
    which leaves the layers behind them without, add ``0 * logits.sum()`` to it.

    Args:
        network: takes pictures, gives logits; `Normalised` or any other.
        paths: what to keep; may be empty.

    Raises:
        LimbeckError: a path names no submodule.
    """

    def __init__(self, network: nn.Module, paths: tuple[str, ...] = ()) -> None:
        self.network, self.paths = network, paths
        self._kept: dict[str, Tensor] = {}
        root = plain(network)
        # An activation that works in place overwrites what was tapped before it.
        self._copies = any(getattr(module, "inplace", False) for module in root.modules())
        self._handles: list[RemovableHandle] = [self._listen(root, path) for path in paths]

    def __call__(self, images: Tensor) -> Outputs:
        """Logits as float32, and the taps by path."""
        self.forget()
        answer = self.network(images)
        if not isinstance(answer, Tensor):
            raise LimbeckError(
                f"{type(plain(self.network)).__name__} answers with {type(answer).__name__} in training, not with a "
                "tensor of logits. Write a function that returns a module which answers with those alone, and give "
                "path/to/file.py:FUNCTION."
            )
        logits = answer.float()
        missing = [path for path in self.paths if path not in self._kept]
        if missing:
            raise self._not_called(missing[0])
        taps = dict(self._kept)
        self.forget()
        return Outputs(logits, taps)

    def forget(self) -> None:
        """Lets go of what was heard when somebody else called the network."""
        self._kept.clear()

    def close(self) -> None:
        """Stops listening."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _not_called(self, path: str) -> LimbeckError:
        compiled = any(part._compiled_call_impl or "_orig_mod" in part._modules for part in self.network.modules())
        hint = ", or call torch.compiler.reset(), if it was compiled and ran before it was tapped" if compiled else ""
        return LimbeckError(f"the submodule {path!r} was not called while the network ran. Tap another one{hint}.")

    def _listen(self, root: nn.Module, path: str) -> RemovableHandle:
        module = submodule(root, path)
        if path.endswith(_INPUT):
            return module.register_forward_pre_hook(lambda _, inputs: self._keep(path, inputs))
        return module.register_forward_hook(lambda _, __, output: self._keep(path, output))

    def _keep(self, path: str, value: Any) -> None:
        tensor = _tensor(value)
        self._kept[path] = tensor.clone() if self._copies else tensor


def tapped(network: nn.Module, paths: tuple[str, ...], images: Tensor) -> Outputs:
    """What a network says of some pictures, taps included, once."""
    listening = Tapped(network, paths)
    try:
        return listening(images)
    finally:
        listening.close()


def submodule(root: nn.Module, path: str) -> nn.Module:
    """The submodule at a dotted path, with or without ":in".

    Raises:
        LimbeckError: there is none; the message lists near names.
    """
    name = path.removesuffix(_INPUT)
    refuse_to_look_into(root)
    known = dict(root.named_modules())
    if name in known and name:
        return known[name]
    raise no_submodule(name, [item for item in known if item], type(root).__name__)


def no_submodule(name: str, names: list[str], network: str) -> LimbeckError:
    """The error for a path that leads nowhere, with the names near it."""
    near = nearest(name, names)
    above = name.rpartition(".")[0]
    beside = [item for item in names if item.rpartition(".")[0] == above] or [item for item in names if "." not in item]
    hint = f" Did you mean {near!r}?" if near else ""
    return LimbeckError(
        f"there is no submodule {name!r} in {network}.{hint} Near it: {', '.join(beside[:12])}. "
        'Type a dotted path, or one with ":in" behind it for what goes in.'
    )


@dataclass(frozen=True)
class Probe:
    """What passes through a network for one picture.

    Attributes:
        outputs: shape of each submodule's output, without the batch, in the order in which they end.
        inputs: shape of each submodule's first input.
        weighted: the submodules that have weights of their own, in the order in which they end.
        relus: the submodules that are rectifiers.
        classes: the number of logits.
        network: the name of its class.
    """

    outputs: dict[str, tuple[int, ...]]
    inputs: dict[str, tuple[int, ...]]
    weighted: tuple[str, ...]
    relus: tuple[str, ...]
    classes: int
    network: str = "this network"

    def shape(self, path: str) -> tuple[int, ...]:
        """The shape of a tap for one picture.

        Raises:
            LimbeckError: no such submodule is called; the message lists near names.
        """
        name, shapes = path.removesuffix(_INPUT), self.inputs if path.endswith(_INPUT) else self.outputs
        if name not in shapes:
            raise no_submodule(name, list(shapes), self.network)
        return shapes[name]

    def before(self, path: str) -> str | None:
        """The submodule that ended last before the one at ``path``, if its shape is what that one takes."""
        name = path.removesuffix(_INPUT)
        names = list(self.outputs)
        place = names.index(name) - 1 if name in names else -1
        return names[place] if place >= 0 and self.outputs[names[place]] == self.inputs.get(name) else None

    def stages(self) -> tuple[str, ...]:
        """The last map of each size, from the largest to the smallest; of a transformer, four blocks evenly spaced.

        Of one size, the outermost submodules are asked first, and of those the last. A head's maps (one channel a
        class, or of a single pixel) do not count, nor does a map that is larger than one before it.
        """
        if len(blocks := self._blocks()) >= 4:
            return tuple(blocks[len(blocks) * quarter // 4 - 1] for quarter in range(1, 5))
        chosen: dict[tuple[int, int], str] = {}
        for path, shape in self.outputs.items():
            if len(shape) != 3 or shape[0] == self.classes or shape[1] * shape[2] == 1:
                continue
            size = (shape[1], shape[2])
            if any(size[0] * size[1] > height * width for height, width in chosen) and size not in chosen:
                continue
            if size not in chosen or path.count(".") <= chosen[size].count("."):
                chosen[size] = path
        return tuple(chosen.values())

    def embedding(self) -> str:
        """What goes into the last layer with weights that answers with one number a class."""
        heads = [path for path in self.weighted if self.outputs[path][0] == self.classes]
        return f"{heads[-1]}{_INPUT}" if heads else (self.stages() or tuple(self.outputs))[-1]

    def before_relu(self) -> tuple[str, ...]:
        """For each stage, what goes into its last rectifier; the stage's own map where it has none of its size."""
        found, order = [], list(self.outputs)
        for stage in self.stages():
            until = order.index(stage)
            same = [
                relu for relu in self.relus if self.outputs[relu] == self.outputs[stage] and order.index(relu) <= until
            ]
            found.append(f"{same[-1]}{_INPUT}" if same else stage)
        return tuple(found)

    def _blocks(self) -> list[str]:
        """The numbered submodules that hand on tokens of one shape: a transformer's blocks."""
        tokens = [path for path, shape in self.outputs.items() if len(shape) == 2 and path[-1].isdigit()]
        depth = min((path.count(".") for path in tokens), default=0)
        return [path for path in tokens if path.count(".") == depth]


@torch.no_grad()
def probe(network: nn.Module, picture: Tensor) -> Probe:
    """Runs a picture through a network once, in eval mode, and notes every shape.

    Args:
        network: the modes of its submodules are put back afterwards.
        picture: (C, H, W) float in [0, 1], on the network's device.
    """
    root = plain(network)  # alone: no other process has to take part, and nothing is compiled
    refuse_to_look_into(root)
    modes = [(module, module.training) for module in root.modules()]
    outputs: dict[str, tuple[int, ...]] = {}
    inputs: dict[str, tuple[int, ...]] = {}
    handles = []

    def note(path: str, given: Any, said: Any) -> None:
        if isinstance(tensor := _first(said), Tensor):
            outputs.pop(path, None)  # a submodule that is called twice ends where it ends last
            outputs[path] = tuple(tensor.shape[1:])
        if isinstance(tensor := _first(given), Tensor):
            inputs[path] = tuple(tensor.shape[1:])

    for path, module in root.named_modules():
        if path:
            handles.append(module.register_forward_hook(lambda _, given, said, path=path: note(path, given, said)))
    try:
        logits = root.eval()(shown(network, picture[None].repeat(2, 1, 1, 1)))
    finally:
        for module, training in modes:
            module.training = training
        for handle in handles:
            handle.remove()
    modules = dict(root.named_modules())
    weighted = tuple(
        path for path in outputs if outputs[path] and next(modules[path].parameters(recurse=False), None) is not None
    )
    relus = tuple(path for path in outputs if isinstance(modules[path], (nn.ReLU, nn.ReLU6)))
    return Probe(outputs, inputs, weighted, relus, logits.shape[1], type(root).__name__)


def _first(value: Any) -> Any:
    while isinstance(value, (tuple, list)) and value:
        value = value[0]
    return value


def _tensor(value: Any) -> Tensor:
    tensor = _first(value)
    if not isinstance(tensor, Tensor):
        raise LimbeckError(f"a tap must be a tensor, not {type(tensor).__name__}. Tap another submodule.")
    return tensor
