"""How a network owns the resizing and the normalisation of its pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from limbeck.errors import LimbeckError


class Normalised(nn.Module):
    """A network that takes pictures as they are: float, NCHW, in [0, 1].

    Applies ``(images - mean) / std`` to each channel, then ``network``. Both are kept folded as ``images * scale +
    shift``, in buffers that the state dictionary carries. Data type and memory format follow the pictures. Where a size
    is given, pictures of another one are resized to it first: bilinear, with antialiasing where they become smaller.

    Args:
        network: takes the normalised pictures.
        mean: one number a channel, in the units of the pictures.
        std: one number a channel, above 0, in the same units.
        size: height and width, in pixels, that the network sees; none: those of the pictures.

    Raises:
        LimbeckError: the lengths differ or are 0, a number is not finite, or a deviation is not above 0; in `forward`,
            the pictures are not float or have another number of channels.
    """

    scale: Tensor
    shift: Tensor
    description: Any = None  # what limbeck built it from
    notes: tuple[str, ...] = ()  # what a reader of its results has to know

    def __init__(
        self, network: nn.Module, mean: Sequence[float], std: Sequence[float], size: int | None = None
    ) -> None:
        super().__init__()
        _check(mean, std)
        self.network, self.size = network, size
        channels = len(mean), 1, 1
        self.register_buffer("scale", torch.tensor([1 / s for s in std]).view(channels))
        self.register_buffer("shift", torch.tensor([-m / s for m, s in zip(mean, std, strict=True)]).view(channels))

    def extra_repr(self) -> str:
        """How pictures are shown, as printing the network says it."""
        scale, shift = (tuple(numbers.flatten().tolist()) for numbers in (self.scale, self.shift))
        return f"scale={scale}, shift={shift}, size={self.size}"

    def forward(self, images: Tensor) -> Tensor:
        """What the network makes of the pictures (B, C, H, W)."""
        return self.network(self.shown(images))

    def shown(self, images: Tensor) -> Tensor:
        """What the network sees of the pictures: resized and normalised."""
        if not images.is_floating_point():
            raise LimbeckError(f"pictures must be float in [0, 1], not {images.dtype}. Divide them by 255 first.")
        if images.shape[-3] != len(self.scale):
            raise LimbeckError(
                f"pictures of shape {tuple(images.shape)} have {images.shape[-3]} channels, the normalisation has "
                f"{len(self.scale)}. Give pictures (B, {len(self.scale)}, H, W), or a mean and a std for each channel."
            )
        if self.size is not None and images.shape[-2:] != (self.size, self.size):
            images = F.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)
        scale, shift = self.scale.to(images.dtype), self.shift.to(images.dtype)
        return torch.addcmul(shift, images, scale)

    def around(self, network: nn.Module) -> Normalised:
        """Another network with the same resizing and normalisation, which both share."""
        other = Normalised(network, [0.0] * len(self.scale), [1.0] * len(self.scale), self.size)
        other.scale, other.shift = self.scale, self.shift
        return other


def plain(network: nn.Module) -> nn.Module:
    """The network itself, without what is wrapped around it: what paths are counted from.

    That is limbeck's normalisation, DistributedDataParallel and torch.compile, in any order.
    """
    return _layers(network)[-1]


def shown(network: nn.Module, images: Tensor) -> Tensor:
    """What the network that `plain` finds sees of the pictures."""
    for layer in _layers(network):
        images = layer.shown(images) if isinstance(layer, Normalised) else images
    return images


def _layers(network: nn.Module) -> list[nn.Module]:
    """What is wrapped around a network, outermost first, and the network itself."""
    inner = network._modules.get("_orig_mod")  # torch.compile's; its class is private, and takes a second to import
    if isinstance(network, DistributedDataParallel):
        inner = network.module
    if isinstance(network, Normalised):
        inner = network.network
    return [network] if inner is None else [network, *_layers(inner)]


def _check(mean: Sequence[float], std: Sequence[float]) -> None:
    if len(mean) != len(std) or not mean:
        raise LimbeckError(
            f"mean has {len(mean)} numbers and std has {len(std)}. "
            "Give each one number a channel: 3 for colour pictures, 1 for grey ones."
        )
    if not all(map(math.isfinite, mean)):
        raise LimbeckError(f"mean must be finite numbers, not {list(mean)}. CIFAR-10's is [0.4914, 0.4822, 0.4465].")
    if not all(math.isfinite(s) and s > 0 for s in std):
        raise LimbeckError(
            f"std must be finite numbers above 0, not {list(std)}. CIFAR-10's is [0.2470, 0.2435, 0.2616]."
        )
