"""Deep mutual learning: networks that are trained together teach each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives.logits import kd_loss


def dml_loss(student: Tensor, peers: Sequence[Tensor], form: Literal["released", "paper"] = "released") -> Tensor:
    """The mimicry loss of Zhang, Xiang, Hospedales and Lu, "Deep Mutual Learning" (CVPR 2018).

    Over the peers, KL(softmax(peer) ‖ softmax(student)), the mean over the batch, in nats and without a temperature:
    its sum in "released", as the authors' code has it, its mean in "paper". With one peer they are the same. Zero where
    all agree up to a constant per row. A peer learns from its own loss: no gradient of this one flows into it.

    Args:
        student: (B, C) logits.
        peers: (B, C) logits of every other network that is trained along.
        form: see above.

    Returns:
        a scalar, float32, 0 or more.

    Raises:
        LimbeckError: no peers, or shapes that differ.
    """
    if len(peers) == 0:
        raise LimbeckError("there are no peers, and mutual learning needs 1 or more. Pass the other networks' logits.")
    divergences = torch.stack([kd_loss(student, peer, temperature=1) for peer in peers])
    return divergences.sum() if form == "released" else divergences.mean()
