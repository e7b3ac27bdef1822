"""What is done to maps (B, C, H, W) before layers that are laid on a network."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from limbeck.errors import LimbeckError


def average_down(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, H, W) maps averaged down to (height, width); as they are where they are smaller than that somewhere."""
    smaller = maps.shape[2] < size[0] or maps.shape[3] < size[1]
    return maps if smaller or maps.shape[2:] == size else F.adaptive_avg_pool2d(maps, size)


def enough_to_normalise(maps: Tensor, module: nn.Module) -> None:
    """Refuses (B, C, H, W) maps with a single value a channel, whose deviation batch normalisation cannot know."""
    if module.training and maps.shape[0] * maps.shape[2] * maps.shape[3] < 2:
        raise LimbeckError(
            f"maps of shape {tuple(maps.shape)} have one value a channel, too few for batch normalisation. "
            "Use a batch size that leaves 2 or more pictures in the last batch."
        )
