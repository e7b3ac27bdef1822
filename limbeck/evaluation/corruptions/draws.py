"""Random numbers for pictures that depend on nothing but a key and each picture's own index."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from limbeck.data.views import random_integers

_LEVELS = 1 << 24


class Draws:
    """Random numbers for some pictures: the same for a picture whatever batch it is in.

    Args:
        index: (B,) int64 sample indices.
        key: names the stream; each method's ``what`` names one within it.
    """

    def __init__(self, index: Tensor, *key: int | str) -> None:
        self.index, self._key = index, key

    def integers(self, what: str, below: int, *shape: int) -> Tensor:
        """Uniform in [0, below), int64, (B, *shape); ``below`` at most 2**24."""
        count = math.prod(shape)
        place = self.index[:, None] * count + torch.arange(count, device=self.index.device)
        return random_integers((*self._key, what), place, below).view(-1, *shape)

    def uniform(self, what: str, *shape: int, least: float = 0.0, most: float = 1.0) -> Tensor:
        """Uniform in the open interval from ``least`` to ``most``, float64, (B, *shape)."""
        return (self.integers(what, _LEVELS, *shape).double() + 0.5) * ((most - least) / _LEVELS) + least

    def normal(self, what: str, *shape: int) -> Tensor:
        """Standard normal, float64, (B, *shape) (Box and Muller 1958)."""
        count = math.prod(shape)
        pairs = (count + 1) // 2
        radius = self.uniform(f"{what} radius", pairs).log_().mul_(-2).sqrt_()
        turn = self.uniform(f"{what} turn", pairs).mul_(2 * math.pi)
        both = torch.cat([radius * turn.cos(), radius * turn.sin()], dim=1)
        return both[:, :count].reshape(-1, *shape)
