"""Contrastive representation distillation: the student's view of a picture is near the teacher's, far from others'."""

from __future__ import annotations

import functools
import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.objectives.checks import above_zero
from limbeck.objectives.features import Featured, Where, features, pooled
from limbeck.objectives.logits import mean_over_labelled
from limbeck.objectives.objective import Known
from limbeck.objectives.outputs import Batch, Outputs
from limbeck.objectives.sp import unit_rows


def crd_loss(positive: Tensor, negatives: Tensor, labels: Tensor | None = None) -> Tensor:
    """One side of the loss of Tian, Krishnan and Isola, "Contrastive Representation Distillation" (ICLR 2020).

    -log h(positive) - Σ_k log(1 - h(negative_k)), the mean over the labelled pictures. In the paper's terms
    h = x / (x + K/N) with x = e^(s·t/τ) / Z and Z = N·m, m the mean of e^(s·t/τ): N cancels, and with the score
    z = s·t/τ - log m it is h = sigmoid(z - log K). The sum over negatives follows paper and released code alike; the
    whole loss is this one with the student as the anchor plus this one with the teacher, and its weight there is .8.

    Args:
        positive: (B,) scores z of each picture with itself.
        negatives: (B, K) scores z of each picture with K others.
        labels: (B,) int64 classes; -1 marks an unlabelled picture, which does not count. None: all count.

    Returns:
        a scalar, float32, 0 or more; 0 when no picture is labelled.

    Raises:
        LimbeckError: shapes that do not fit together.
    """
    if negatives.ndim != 2 or positive.shape != negatives.shape[:1] or not negatives.shape[1]:
        raise LimbeckError(
            f"positive scores {tuple(positive.shape)} and negative scores {tuple(negatives.shape)} do not fit "
            "together. They must be (batch,) and (batch, negatives), with 1 negative or more."
        )
    chance = math.log(negatives.shape[1])
    losses = F.softplus(chance - positive.float()) + F.softplus(negatives.float() - chance).sum(dim=1)
    if labels is None:
        return losses.mean()
    return mean_over_labelled(losses, labels)


class ContrastiveMemory(nn.Module):
    """What contrastive distillation learns and remembers: two embeddings, and for each the last one of every picture.

    A picture is contrasted with its own entry in the other network's bank, of the epoch before, and with the entries of
    pictures drawn from other classes (uniformly, with replacement, by torch's random numbers). While training, a
    forward pass then moves the pictures' entries towards the new embeddings, and the first one estimates the mean score
    that all later ones are compared with. Banks and means are buffers: a state dict continues exactly.

    Args:
        student_width: D of the student's flattened features.
        teacher_width: D of the teacher's flattened features.
        labels: (N,) int64, the classes of the training set; -1 where unlabelled. Unlabelled pictures are never drawn.
        width: of the embeddings.
        negatives: K, how many other pictures each one is contrasted with.
        temperature: τ > 0.
        momentum: share of a bank's entry that stays, in [0, 1).

    Raises:
        LimbeckError: fewer than two classes among the labels, or a value outside its range.
    """

    student_bank: Tensor
    teacher_bank: Tensor
    log_means: Tensor
    labels: Tensor
    by_class: Tensor
    counts: Tensor
    starts: Tensor

    def __init__(
        self,
        student_width: int,
        teacher_width: int,
        labels: Tensor,
        width: int = 128,
        negatives: int = 16384,
        temperature: float = 0.07,
        momentum: float = 0.5,
    ) -> None:
        super().__init__()
        above_zero(temperature, example=0.07)
        above_zero(negatives, "negatives", 16384)
        if not 0 <= momentum < 1:
            raise LimbeckError(f"momentum = {momentum} is not possible: it must be at least 0 and below 1. Try 0.5.")
        self.negatives, self.temperature, self.momentum = negatives, temperature, momentum
        self.student_head = nn.Linear(student_width, width)
        self.teacher_head = nn.Linear(teacher_width, width)
        span = math.sqrt(3 / width)  # entries of norm 1 in the mean, before any picture was seen
        self.register_buffer("student_bank", torch.empty(len(labels), width).uniform_(-span, span))
        self.register_buffer("teacher_bank", torch.empty(len(labels), width).uniform_(-span, span))
        self.register_buffer("log_means", torch.full((2,), math.inf))  # infinite: not estimated yet
        self._index_classes(labels)
        _keep_out_of_graphs()

    def forward(self, student: Tensor, teacher: Tensor, index: Tensor) -> Tensor:
        """The loss of both sides: the student as the anchor, and the teacher.

        Args:
            student: (B, ...) features.
            teacher: (B, ...) features of the same pictures; no gradient flows into them.
            index: (B,) int64, the pictures' places in the training set, each at most once.

        Returns:
            a scalar, float32, 0 or more; 0 when no picture is labelled.
        """
        labels = self.labels[index]
        with torch.autocast(student.device.type, enabled=False):
            ours = unit_rows(self.student_head(student.float().flatten(1)))
            theirs = unit_rows(self.teacher_head(teacher.detach().float().flatten(1)))
            drawn = torch.cat([index[:, None], self.draw(labels)], dim=1)
            scores = torch.stack(
                [self._scores(ours, self.teacher_bank, drawn), self._scores(theirs, self.student_bank, drawn)]
            )
        if self.training:
            self._estimate(scores.detach(), labels)
            self._remember(self.student_bank, ours.detach(), index)
            self._remember(self.teacher_bank, theirs.detach(), index)
        means = torch.where(self.log_means.isfinite(), self.log_means, 0.0)
        by_student, by_teacher = scores - means[:, None, None]
        first = crd_loss(by_student[:, 0], by_student[:, 1:], labels)
        return first + crd_loss(by_teacher[:, 0], by_teacher[:, 1:], labels)

    def draw(self, labels: Tensor) -> Tensor:
        """(B, K) places of pictures whose class is not the given one, of (B,) classes; anything where that is -1."""
        own = labels.clamp(min=0)[:, None]
        start, count = self.starts[own], self.counts[own]
        places = torch.randint(2**31, (len(labels), self.negatives), device=labels.device)
        places = places % (len(self.by_class) - count)
        return self.by_class[places + torch.where(places >= start, count, 0)]  # steps over the own class's block

    def _scores(self, embeddings: Tensor, bank: Tensor, drawn: Tensor) -> Tensor:
        """s·t/τ of (B, D) embeddings with the drawn (B, 1 + K) entries of the bank."""
        # All N products, then the drawn ones: N numbers a picture instead of K·D. A copy of the bank, because the
        # backward pass needs the entries that are overwritten before it.
        return (embeddings @ bank.clone().T / self.temperature).gather(1, drawn)

    @torch.no_grad()
    def _estimate(self, scores: Tensor, labels: Tensor) -> None:
        labelled = labels >= 0
        log_sums = scores.masked_fill(~labelled[None, :, None], -math.inf).logsumexp(dim=(1, 2))
        log_means = log_sums - (labelled.sum().clamp(min=1) * scores.shape[2]).log()
        self.log_means.copy_(torch.where(self.log_means.isfinite(), self.log_means, log_means))

    @torch.no_grad()
    def _remember(self, bank: Tensor, embeddings: Tensor, index: Tensor) -> None:
        bank.index_copy_(0, index, unit_rows(self.momentum * bank[index] + (1 - self.momentum) * embeddings))

    def _index_classes(self, labels: Tensor) -> None:
        """Places sorted by class, so that another class's picture is found by stepping over one block."""
        counts = torch.bincount(labels[labels >= 0])
        if (counts > 0).sum() < 2:
            raise LimbeckError(
                f"the labels of these {len(labels)} pictures name {int((counts > 0).sum())} class, and negatives are "
                "drawn from other classes. Pass the labels of 2 classes or more."
            )
        by_class = labels.argsort(stable=True)[int((labels < 0).sum()) :]
        indexed = {
            "labels": labels.clone(),
            "by_class": by_class,
            "counts": counts,
            "starts": counts.cumsum(0) - counts,
        }
        for name, value in indexed.items():
            self.register_buffer(name, value, persistent=False)


@functools.cache
def _keep_out_of_graphs() -> None:
    """A compiled backward pass may compute anew from a bank what it was before its update.

    Said once the first memory is made and not above the method: it takes a second and a half to import the compiler.
    """
    ContrastiveMemory.forward = torch.compiler.disable(ContrastiveMemory.forward)  # type: ignore[method-assign]


class CRD(Featured):
    """Contrastive representation distillation (Tian, Krishnan and Isola, ICLR 2020), with two memory banks: the loss of
    both sides. Labelled pictures of two classes or more are needed.
    """

    name: Literal["crd"] = "crd"
    relates: ClassVar[bool] = True
    where: ClassVar[Where] = "embedding"
    weight: float = Field(0.8, ge=0, description="Weight of the teacher's term.")
    width: int = Field(128, ge=1, description="Of the embeddings.")
    negatives: int = Field(16384, ge=1, description="Pictures of other classes that each is told apart from.")
    temperature: float = Field(0.07, gt=0, description="Divides the scores.")
    momentum: float = Field(0.5, ge=0, lt=1, description="Share of the old entry that a memory bank keeps.")

    def learned(self, known: Known) -> nn.Module:
        ((ours, theirs),) = self.shapes(known)
        return ContrastiveMemory(
            ours[0], theirs[0], known.labels, self.width, self.negatives, self.temperature, self.momentum
        )

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        (ours,), (theirs,) = features(student.taps), features(teacher.taps)
        said: Tensor = learned(pooled(ours), pooled(theirs), batch.index)
        return said
