"""The average of a training's weights, and the statistics that go with it."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """An exponential moving average of a network's weights and statistics, as a network of its own: ``module``.

    torch's `AveragedModel` averages counters as well, one by one, and moves a counter to the device at every step.

    Args:
        network: what is averaged; copied as it is now.
        decay: the share of the average that a step keeps.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(network)
        ours, theirs = ([*each.parameters(), *each.buffers()] for each in (self.module, network))
        pairs = list(zip(ours, theirs, strict=True))
        self._averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        self._ours, self._theirs = map(list, zip(*self._averaged, strict=True))
        self._counted = [pair for pair in pairs if not pair[0].is_floating_point()]
        self._move = get_ema_multi_avg_fn(decay)

    def update(self, step: int) -> None:
        """Moves towards what the network has after a step of the training; the first one's, 0, is taken as it is."""
        if step == 0:
            _copy(self._averaged)
        else:
            self._move(self._ours, self._theirs, step)

    def count(self) -> None:
        """Takes what the network counts, such as batches, as it is."""
        _copy(self._counted)


@torch.no_grad()
def _copy(pairs: list[tuple[Tensor, Tensor]]) -> None:
    for ours, theirs in pairs:
        ours.copy_(theirs)


def has_statistics(network: nn.Module) -> bool:
    """Whether there is batch normalisation in it."""
    return any(isinstance(module, _BatchNorm) for module in network.modules())


def settle(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Takes the statistics of batch normalisation anew, in place and in eval mode: without dropout.

    An average of statistics belongs to no weights at all, least of all to the average of the weights (Izmailov,
    Podoprikhin, Garipov, Vetrov and Wilson, UAI 2018).

    Args:
        network: left in eval mode.
        batches: pictures (B, C, H, W) as it takes them; each batch counts alike.
    """
    network.train()  # which modules that are to stay as they are do not follow
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.training]
    network.eval()
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over the batches
        norm.train()
    for images in batches:
        network(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
