"""What objectives are given: what the networks said, and what was shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

_LEAST = 1e-9  # below any share of a batch that is not none


@dataclass
class Outputs:
    """What a network said about some pictures.

    Attributes:
        logits: (B, C).
        taps: outputs of submodules, by dotted path, for the objectives that ask for them.
    """

    logits: Tensor
    taps: dict[str, Tensor] = field(default_factory=dict)


class Mixed(NamedTuple):
    """What was mixed into the pictures of a batch.

    Attributes:
        labels: (B,) int64, of the pictures that were mixed in; -1 where unlabelled.
        share: 0-d float, from 0.5 to 1: how much of each picture is itself.
    """

    labels: Tensor
    share: Tensor


@dataclass
class Batch:
    """What was shown, and when.

    Attributes:
        index: (B,) int64, the pictures' places in the training set.
        images: (B, 3, H, W) float views in [0, 1].
        labels: (B,) int64; -1 where unlabelled. Of a mixed picture, those of its larger part: see `over_labels`.
        step: 0-d float, optimizer steps taken so far.
        epoch: 0-d float, epochs seen so far, with fractions.
        progress: 0-d float, from 0 at the start of the training to 1 at its end.
        mixed: what was mixed into the pictures; None where nothing was.
        labelled: 0-d float, of a part of a batch: the share of the whole batch's pictures that have a label; None where
            this is all of it.
    """

    index: Tensor
    images: Tensor
    labels: Tensor
    step: Tensor
    epoch: Tensor
    progress: Tensor
    mixed: Mixed | None = None
    labelled: Tensor | None = None

    def over_labels(self, loss: Callable[[Tensor], Tensor]) -> Tensor:
        """``loss(labels)``, a mean over labelled pictures; of mixed ones, the mean over both labels, with their shares.

        For a cross-entropy, that is the cross-entropy with the mixed label. A part of a batch counts by its labelled
        pictures, so that the mean over the parts, each with its share of all pictures, is that of the whole batch.
        """
        if self.mixed is None:
            return self._weighed(loss, self.labels)
        share = self.mixed.share
        return share * self._weighed(loss, self.labels) + (1 - share) * self._weighed(loss, self.mixed.labels)

    def _weighed(self, loss: Callable[[Tensor], Tensor], labels: Tensor) -> Tensor:
        if self.labelled is None:
            return loss(labels)
        return loss(labels) * ((labels >= 0).float().mean() / self.labelled.clamp(min=_LEAST))

    def ramp(self, epochs: float) -> Tensor:
        """0-d float, growing from 0 to 1 over the first ``epochs``; 1 from the start where they are none."""
        return (self.epoch / epochs).clamp(max=1) if epochs else torch.ones_like(self.epoch)
