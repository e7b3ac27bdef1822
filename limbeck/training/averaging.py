"""The average of a training's weights, and the statistics that go with it."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def average(network: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of the network's weights and buffers, a copy in ``module``."""
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


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
