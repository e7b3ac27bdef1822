"""What objectives are given: what the networks said, and what was shown."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Outputs:
    """What a network said about some pictures.

    Attributes:
        logits: (B, C).
        taps: outputs of submodules, by dotted path, for the objectives that ask for them.
    """

    logits: Tensor
    taps: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class Batch:
    """What was shown, and when.

    Attributes:
        index: (B,) int64, the pictures' places in the training set.
        images: (B, 3, H, W) float views in [0, 1].
        labels: (B,) int64; -1 where unlabelled.
        step: 0-d float, optimizer steps taken so far.
        epoch: 0-d float, epochs seen so far, with fractions.
        progress: 0-d float, from 0 at the start of the training to 1 at its end.
        mix: how the pictures were mixed, where they were.
    """

    index: Tensor
    images: Tensor
    labels: Tensor
    step: Tensor
    epoch: Tensor
    progress: Tensor
    mix: Tensor | None = None

    def ramp(self, epochs: float) -> Tensor:
        """0-d float, growing from 0 to 1 over the first ``epochs``; 1 from the start where they are none."""
        return (self.epoch / epochs).clamp(max=1) if epochs else torch.ones_like(self.epoch)
