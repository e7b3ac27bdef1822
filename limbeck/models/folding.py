"""Batch normalisation that helps a network to learn and is gone when it is kept.

In eval mode batch normalisation is one factor and one offset a channel, so a convolution can take both into its own
weights and bias (as in RepVGG by Ding et al., CVPR 2021): what is kept computes the same, with the layers, the
parameters and the multiply-additions of the network that never had any.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TypeVar

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

T = TypeVar("T", bound=nn.Module)

_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)


class NormedConv(nn.Module):
    """A convolution with batch normalisation behind it, to be folded into it when training has ended.

    Args:
        conv: taken over; its bias is given up, because normalisation would undo whatever it adds.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        conv.register_parameter("bias", None)
        self.conv, self.norm = conv, nn.BatchNorm2d(conv.out_channels)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H', W')."""
        return self.norm(self.conv(maps))

    def folded(self) -> nn.Conv2d:
        """A convolution with a bias that does what this does in eval mode."""
        return fuse_conv_bn_eval(copy.deepcopy(self.conv).eval(), copy.deepcopy(self.norm).eval())


def add_norms(network: nn.Module) -> None:
    """Puts batch normalisation behind every convolution of a network, in place."""
    for parent, name, conv in list(_children(network, nn.Conv2d)):
        setattr(parent, name, NormedConv(conv))


def foldable(network: nn.Module) -> bool:
    """Whether `add_norms` suits a network: all its convolutions have biases, and none has normalisation yet."""
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    normalised = any(isinstance(module, _NORMS) for module in network.modules())
    return not normalised and bool(convolutions) and all(conv.bias is not None for conv in convolutions)


def folded(network: nn.Module) -> nn.Module:
    """The network without the normalisation that `add_norms` put there, in eval mode; itself where there is none."""
    if not any(isinstance(module, NormedConv) for module in network.modules()):
        return network
    network = copy.deepcopy(network).eval()
    for parent, name, pair in list(_children(network, NormedConv)):
        setattr(parent, name, pair.folded())
    if (description := getattr(network, "description", None)) is not None:
        network.description = description.folded()
    return network


def _children(network: nn.Module, kind: type[T]) -> Iterator[tuple[nn.Module, str, T]]:
    """(parent, name, module) of every module of that kind."""
    for parent in network.modules():
        for name, child in parent.named_children():
            if isinstance(child, kind):
                yield parent, name, child
