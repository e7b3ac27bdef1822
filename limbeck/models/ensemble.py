"""Several networks that answer as one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Ensemble(nn.Module):
    """The mean of several networks' logits: at every temperature, the geometric mean of what they believe.

    Args:
        members: take the same pictures, and give logits of the same classes.
    """

    notes: tuple[str, ...] = ()  # what a reader of its results has to know, where that is not asked of its members

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, num_classes) of pictures (B, C, H, W) in [0, 1]."""
        return torch.stack([member(images) for member in self.members]).mean(dim=0)
