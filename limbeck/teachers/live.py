"""A teacher that is asked about every view as it comes."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from limbeck.objectives import Outputs, tapped
from limbeck.training.device import Engine

_ROUNDED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)  # autocast rounds their weights, at every call
_TRIED_ON = 2  # pictures
_PIXELS = 1024 * 32 * 32


class LiveTeacher:
    """A frozen network in eval mode, outside the autograd graph.

    Under autocast its weights are rounded once and not at every call, where its answers stay the same bit for bit.

    Args:
        network: takes float pictures in [0, 1]; it is frozen and set to eval mode here.
        engine: the device and precision to call it with.
        taps: submodules whose outputs are wanted as well.
        pictures_at_once: views that go through the network together; fewer where they are larger than 32 x 32 pixels.
    """

    def __init__(
        self, network: nn.Module, engine: Engine, taps: tuple[str, ...] = (), pictures_at_once: int = 1024
    ) -> None:
        self._network = engine.place(network).eval().requires_grad_(False)
        self._engine, self._taps, self._at_once = engine, taps, pictures_at_once
        self._rounded = engine.autocast is None

    def outputs(self, index: Tensor, views_NCHW: Tensor, epoch: int) -> Outputs:
        """The network's logits, (B, C) float32, and its taps, for uint8 views (B, 3, H, W)."""
        if not self._rounded:
            self._rounded, self._network = True, self._round(views_NCHW[:_TRIED_ON])
        at_once = max(1, min(self._at_once, _PIXELS // views_NCHW[0, 0].numel()))
        answers = [self._asked(self._network, part) for part in views_NCHW.split(at_once)]
        taps = {path: torch.cat([answer.taps[path] for answer in answers]) for path in self._taps}
        return Outputs(torch.cat([answer.logits for answer in answers]), taps)

    def _asked(self, network: nn.Module, views: Tensor) -> Outputs:
        with torch.no_grad(), self._engine.precision():
            return tapped(network, self._taps, self._engine.pictures(views))

    def _round(self, views: Tensor) -> nn.Module:
        """A copy whose weights are rounded already, that shares all else; the network itself where it answers else."""
        dtype = self._engine.autocast
        rounded = {id(weight): nn.Parameter(weight.to(dtype), requires_grad=False) for weight in _only(self._network)}
        if not rounded:
            return self._network
        shared = {id(each): each for each in (*self._network.parameters(), *self._network.buffers())}
        try:
            other = copy.deepcopy(self._network, {**shared, **rounded})
        except Exception:  # a network of somebody's may hold what has no copy: it is asked as it is
            return self._network
        ours, theirs = self._asked(self._network, views), self._asked(other, views)
        pairs = [(ours.logits, theirs.logits), *((ours.taps[path], theirs.taps[path]) for path in self._taps)]
        return other if all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs) else self._network


def _only(network: nn.Module) -> list[nn.Parameter]:
    """The parameters of convolutions and linear layers that no other kind of module has."""
    ours: dict[int, nn.Parameter] = {}
    others: set[int] = set()
    for module in network.modules():
        for parameter in module.parameters(recurse=False):
            if type(module) in _ROUNDED and parameter.dtype == torch.float32:
                ours[id(parameter)] = parameter
            else:
                others.add(id(parameter))
    return [parameter for key, parameter in ours.items() if key not in others]
