"""Probabilistic knowledge transfer: the same neighbours with the same probabilities."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from limbeck.objectives.checks import same_shape
from limbeck.objectives.features import Featured, Where, features, pooled
from limbeck.objectives.outputs import Batch, Outputs
from limbeck.objectives.promises import promises
from limbeck.objectives.sp import gram, unit_rows

_EPSILON = 1e-7  # the released code's; it keeps the logarithm finite where two pictures are opposite


@promises("least")
def pkt_loss(student: Tensor, teacher: Tensor, form: Literal["released", "paper"] = "released") -> Tensor:
    """Passalis and Tefas, "Learning Deep Representations with Probabilistic Knowledge Transfer" (ECCV 2018).

    q_ij, the probability that picture i has j for a neighbour, is (cos(f_i, f_j) + 1) / 2 divided by its sum over j.
    "released" is what the authors' code computes: the mean over all B² pairs, i = j included, of q_t·log(q_t / q_s);
    the weight 30000 belongs to it. "paper" leaves the pairs i = j out and takes the sum. Zero at equal features,
    unchanged when either side's features are rotated or scaled. Both depend on who else is in the batch, and even in
    the mean on its size: "released" shrinks roughly as 1/B, "paper" grows as B.

    A picture whose features are all zero has the cosine 0 with every picture.

    Args:
        student: (B, ...) features, of any shape behind the batch.
        teacher: (B, ...) features of the same pictures; no gradient flows into them.
        form: see above.

    Returns:
        a scalar, float32; 0 for a batch of one picture.

    Raises:
        LimbeckError: batches that differ in size.
    """
    said, wanted = _neighbours(student, form), _neighbours(teacher.detach(), form)
    same_shape(said, wanted, "probabilities of neighbours")
    divergence = wanted * ((wanted + _EPSILON) / (said + _EPSILON)).log()
    return divergence.mean() if form == "released" else divergence.sum()


def _neighbours(features: Tensor, form: str) -> Tensor:
    cosines = gram(unit_rows(features.float().flatten(1)))
    closeness = ((cosines + 1) / 2).clamp(min=0)  # rounding may put a cosine below -1
    if form == "paper":
        closeness = closeness * (1 - torch.eye(len(closeness), device=closeness.device))
    return closeness / closeness.sum(dim=1, keepdim=True).clamp(min=_EPSILON)


class PKT(Featured):
    """Probabilistic knowledge transfer (Passalis and Tefas, ECCV 2018): `pkt_loss`."""

    name: Literal["pkt"] = "pkt"
    relates: ClassVar[bool] = True
    where: ClassVar[Where] = "embedding"
    weight: float = Field(30000.0, ge=0, description="Weight of the teacher's term.")
    form: Literal["released", "paper"] = Field("released", description="The authors' code, or the paper's formula.")

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        (ours,), (theirs,) = features(student.taps), features(teacher.taps)
        return pkt_loss(pooled(ours), pooled(theirs), self.form)
