"""Hints: the student's features are regressed onto the teacher's."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from limbeck.objectives.checks import same_shape
from limbeck.objectives.features import Staged, Where
from limbeck.objectives.promises import promises


@promises("least", "batch")
def fitnet_loss(student: Tensor, teacher: Tensor, form: Literal["released", "paper"] = "released") -> Tensor:
    """The hint loss of Romero et al., "FitNets: Hints for Thin Deep Nets" (ICLR 2015).

    "released" is what the public comparisons compute, and what their weight of 100 goes with: the mean over all
    elements of (student - teacher)². "paper" is half the sum of the squares of each picture, averaged over the batch.
    Zero where the two are equal. No gradient flows into the teacher.

    Args:
        student: (B, ...) features, brought to the teacher's shape (`limbeck.objectives.adapters.adapt`).
        teacher: (B, ...) features of the same shape.
        form: see above.

    Returns:
        a scalar, float32, 0 or more; independent of the batch size.

    Raises:
        LimbeckError: shapes that differ.
    """
    same_shape(student, teacher, "features")
    squares = (student.float() - teacher.detach().float()).square()
    return squares.mean() if form == "released" else squares.flatten(1).sum(1).mean() / 2


class FitNet(Staged):
    """Hints (Romero et al., ICLR 2015): `fitnet_loss` of the middle stage.

    The student's map is brought to the teacher's shape by a learned adapter.
    """

    name: Literal["fitnet"] = "fitnet"
    where: ClassVar[Where] = "middle"
    weight: float = Field(100.0, ge=0, description="Weight of the teacher's term.")
    form: Literal["released", "paper"] = Field("released", description="The authors' code, or the paper's formula.")

    def stage(self, ours: Tensor, theirs: Tensor, adapter: nn.Module, later: int) -> Tensor:
        return fitnet_loss(adapter(ours), theirs, self.form)
