"""Deep mutual learning: networks that are trained together teach each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.objectives.logits import cross_entropy, kd_loss
from limbeck.objectives.objective import Known, Objective, Precision
from limbeck.objectives.outputs import Batch, Outputs


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


class DML(Objective):
    """Deep mutual learning (Zhang et al., CVPR 2018): labels · cross-entropy + weight · `dml_loss`, for everybody.

    The peers are networks like the student, with weights of their own. They are trained beside it, each by the same
    loss, and left behind. There is no teacher. All take their step at once, from answers of the same moment; the paper
    lets one network after another take it.
    """

    name: Literal["dml"] = "dml"
    peers: int = Field(1, ge=1, description="How many networks learn beside the student.")
    weight: float = Field(1.0, gt=0, description="Weight of what the others say; above 0.")
    labels: float = Field(1.0, ge=0, description="Weight of the labels' term.")
    form: Literal["released", "paper"] = Field("released", description="The sum over the peers, or their mean.")

    def build(self, known: Known | None = None) -> nn.Module:
        if known is None:
            raise LimbeckError("dml needs to know the student, to make peers like it. Call build(known).")
        return _Cohort(self, [known.another().train() for _ in range(self.peers)], known.precision)


class _Cohort(nn.Module):
    """The peers, and what the student and each of them learn."""

    def __init__(self, objective: DML, peers: Sequence[nn.Module], precision: Precision) -> None:
        super().__init__()
        self.peers, self._objective, self._precision = nn.ModuleList(peers), objective, precision

    def forward(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        with self._precision():
            said = [student.logits, *(peer(batch.images).float() for peer in self.peers)]
        (labels, mutual), *others = (self._learned(place, said, batch) for place in range(len(said)))
        return {"labels": labels, "dml": mutual, "peers": torch.stack([term for pair in others for term in pair]).sum()}

    def _learned(self, place: int, said: list[Tensor], batch: Batch) -> tuple[Tensor, Tensor]:
        """What the labels and what the others teach the network at this place."""
        ours, others = said[place], said[:place] + said[place + 1 :]
        labelled = batch.over_labels(lambda labels: cross_entropy(ours, labels))
        return self._objective.labels * labelled, self._objective.weight * dml_loss(ours, others, self._objective.form)
