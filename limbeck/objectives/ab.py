"""Activation boundaries: the student's neurons are on where the teacher's are."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from limbeck.objectives.checks import above_zero, same_shape
from limbeck.objectives.features import Staged, Where


def ab_loss(
    student: Tensor,
    teacher: Tensor,
    margin: float = 1.0,
    later_layers: int = 0,
    form: Literal["released", "paper"] = "released",
) -> Tensor:
    """Heo et al., "Knowledge Transfer via Distillation of Activation Boundaries Formed by Hidden Neurons" (AAAI 2019).

    Of maps before the ReLU: a neuron that is on in the teacher (above 0) costs max(0, margin - student)², one that is
    off costs max(0, margin + student)². The costs of a picture are summed and averaged over the batch ("paper");
    "released" is 3/1000 of it, as in the authors' code for CIFAR, which the weight of 1 goes with. Each layer counts
    half as much as the next. Zero where the student is beyond the margin on the teacher's side everywhere; only the
    teacher's signs matter, and no gradient flows into it.

    Args:
        student: (B, ...) activations before the ReLU, brought to the teacher's shape.
        teacher: (B, ...) activations before the ReLU, of the same shape.
        margin: above 0.
        later_layers: how many of the compared layers come after this one; each halves the loss.
        form: see above.

    Returns:
        a scalar, float32, 0 or more; independent of the batch size, and growing with the size of the maps.

    Raises:
        LimbeckError: shapes that differ, or a margin that is not above 0.
    """
    same_shape(student, teacher, "activations")
    above_zero(margin, "margin", 1)
    wrong_way = torch.where(teacher.detach() > 0, -student.float(), student.float())
    cost = F.relu(margin + wrong_way).square().flatten(1).sum(1).mean() / 2**later_layers
    return cost if form == "paper" else cost * 3 / 1000


class AB(Staged):
    """Activation boundaries (Heo et al., AAAI 2019): the sum over stages.

    The authors train with it before the labels; here both are learned together.
    """

    name: Literal["ab"] = "ab"
    where: ClassVar[Where] = "rectifiers"
    margin: float = Field(1.0, gt=0, description="How far beyond 0 the student must be.")
    form: Literal["released", "paper"] = Field("released", description="The authors' code, or the paper's formula.")

    def stage(self, ours: Tensor, theirs: Tensor, adapter: nn.Module, later: int) -> Tensor:
        return ab_loss(adapter(ours), theirs, self.margin, later, self.form)
