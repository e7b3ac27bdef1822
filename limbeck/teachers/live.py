"""A teacher that is asked about every view as it comes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from limbeck.objectives import Outputs, tapped
from limbeck.training.device import Engine


class LiveTeacher:
    """A frozen network in eval mode, outside the autograd graph.

    Args:
        network: takes float pictures in [0, 1]; it is frozen and set to eval mode here.
        engine: the device and precision to call it with.
        taps: submodules whose outputs are wanted as well.
        pictures_at_once: views that go through the network together.
    """

    def __init__(
        self, network: nn.Module, engine: Engine, taps: tuple[str, ...] = (), pictures_at_once: int = 1024
    ) -> None:
        self._network = engine.place(network).eval().requires_grad_(False)
        self._engine, self._taps, self._at_once = engine, taps, pictures_at_once

    def outputs(self, index: Tensor, views_NCHW: Tensor, epoch: int) -> Outputs:
        """The network's logits, (B, C) float32, and its taps, for uint8 views (B, 3, H, W)."""
        with torch.no_grad(), self._engine.precision():
            parts = map(self._engine.pictures, views_NCHW.split(self._at_once))
            answers = [tapped(self._network, self._taps, part) for part in parts]
        taps = {path: torch.cat([answer.taps[path] for answer in answers]) for path in self._taps}
        return Outputs(torch.cat([answer.logits for answer in answers]), taps)
