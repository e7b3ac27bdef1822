"""Correlation congruence: pictures differ for the student as they differ for the teacher."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.objectives.checks import above_zero, same_shape
from limbeck.objectives.features import Featured, Where, features, pooled
from limbeck.objectives.objective import Known
from limbeck.objectives.outputs import Batch, Outputs
from limbeck.objectives.sp import gram, unit_rows


def cc_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """The released form of Peng et al., "Correlation Congruence for Knowledge Distillation" (ICCV 2019).

    The mean over neighbours in the batch of ``Σ_d |Δ_i,d|·|Δ_i+1,d|``, Δ = student - teacher: what the authors gave to
    the best-known comparison of methods, where its weight is .02. It is not the paper's formula, which is
    `cc_kernel_loss`. It is zero at equal embeddings, but also where of every two neighbours one agrees, and it depends
    on the order of the batch; for a shuffled batch its expectation hardly depends on the batch's size.

    Args:
        student: (B, D) embeddings, B of 2 or more.
        teacher: (B, D) embeddings of the same pictures; no gradient flows into them.

    Returns:
        a scalar, float32, 0 or more.

    Raises:
        LimbeckError: shapes that differ, or a batch of one picture.
    """
    same_shape(student, teacher, "embeddings")
    return _congruence(student, teacher.detach())


def cc_kernel_loss(student: Tensor, teacher: Tensor, gamma: float = 0.4, order: int = 2) -> Tensor:
    """The paper's form of Peng et al., "Correlation Congruence for Knowledge Distillation" (ICCV 2019).

    The mean over all pairs of pictures of (k(s_i, s_j) - k(t_i, t_j))², where k is the Gaussian kernel of the unit
    embeddings, exp(-g·‖x - y‖²) with g = gamma, expanded in the cosine: e^(-2g)·Σ_p≤order (2g·cos)^p / p!. Zero at
    equal embeddings, unchanged when either side's embeddings are rotated or scaled. It depends on who else is in the
    batch: the B pairs of a picture with itself always agree, so the loss grows as 1 - 1/B.

    A picture whose features are all zero has the cosine 0 with every picture.

    Args:
        student: (B, ...) features, of any shape behind the batch.
        teacher: (B, ...) features of the same pictures; no gradient flows into them.
        gamma: above 0, how fast the kernel falls with the distance.
        order: of the expansion, 1 or more.

    Returns:
        a scalar, float32, 0 or more; 0 for a batch of one picture that is not zero on one side only.

    Raises:
        LimbeckError: batches that differ in size, gamma not above 0, or an order below 1.
    """
    above_zero(gamma, "gamma", 0.4)
    if order < 1:
        raise LimbeckError(f"order = {order} is not possible: it must be 1 or more. Try 2.")
    said, wanted = _kernel(student, gamma, order), _kernel(teacher.detach(), gamma, order)
    same_shape(said, wanted, "similarities of the pictures")
    return (said - wanted).square().mean()


class CorrelationEmbeddings(nn.Module):
    """What `cc_loss` compares when two networks' features differ in width: a linear map of each, both learned.

    The teacher's map learns as well, as in the released code; the teacher itself does not.

    Args:
        student_width: D of the student's flattened features.
        teacher_width: D of the teacher's flattened features.
        width: of the embeddings.
    """

    def __init__(self, student_width: int, teacher_width: int, width: int = 128) -> None:
        super().__init__()
        self.student = nn.Linear(student_width, width)
        self.teacher = nn.Linear(teacher_width, width)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The released loss between the embeddings of (B, ...) features; see `cc_loss`."""
        theirs = self.teacher(teacher.detach().float().flatten(1))
        return _congruence(self.student(student.float().flatten(1)), theirs)


def _congruence(student: Tensor, teacher: Tensor) -> Tensor:
    if len(student) < 2:
        raise LimbeckError(
            f"a batch of {len(student)} picture has no pairs, and correlation congruence compares pairs. "
            "Use a batch size that leaves 2 or more pictures in the last batch."
        )
    gaps = (student.float() - teacher.float()).abs()
    return (gaps[:-1] * gaps[1:]).sum(dim=1).mean()


def _kernel(features: Tensor, gamma: float, order: int) -> Tensor:
    cosines = gram(unit_rows(features.float().flatten(1)))
    terms = [(2 * gamma) ** power / math.factorial(power) * cosines**power for power in range(1, order + 1)]
    return math.exp(-2 * gamma) * (1 + torch.stack(terms).sum(dim=0))


class CC(Featured):
    """Correlation congruence (Peng et al., ICCV 2019): of learned embeddings, as released, or by the paper's kernel."""

    name: Literal["cc"] = "cc"
    later: ClassVar[tuple[str, ...]] = ("form", "gamma", "order")
    relates: ClassVar[bool] = True
    where: ClassVar[Where] = "embedding"
    weight: float = Field(0.02, ge=0, description="Weight of the teacher's term; 0.02 is the released form's.")
    width: int = Field(128, ge=1, description="Of the embeddings of the released form.")
    form: Literal["released", "paper"] = Field("released", description="The released code, or the paper's formula.")
    gamma: float = Field(0.4, gt=0, description="How fast the paper's kernel falls with the distance.")
    order: int = Field(2, ge=1, description="Of the expansion of the paper's kernel.")

    def learned(self, known: Known) -> nn.Module:
        ((ours, theirs),) = self.shapes(known)
        return CorrelationEmbeddings(ours[0], theirs[0], self.width) if self.form == "released" else nn.Module()

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        (ours,), (theirs,) = ([pooled(each) for each in features(some.taps)] for some in (student, teacher))
        if self.form == "paper":
            return cc_kernel_loss(ours, theirs, self.gamma, self.order)
        said: Tensor = learned(ours, theirs)
        return said
