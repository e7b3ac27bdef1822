"""The two objectives that every comparison needs: labels alone, and Hinton's distillation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from limbeck.objectives.logits import cross_entropy, kd_loss
from limbeck.objectives.objective import Objective, Taught
from limbeck.objectives.outputs import Batch, Outputs


class CrossEntropy(Objective):
    """Labels alone: what a network learns without a teacher."""

    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of the target spread evenly over all classes.")

    def forward(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        smoothing = self.label_smoothing
        return {"labels": batch.over_labels(lambda labels: cross_entropy(student.logits, labels, smoothing))}


class KD(Taught):
    """Knowledge distillation (Hinton, Vinyals, Dean 2015): labels · cross-entropy + weight · T² · KL."""

    name: Literal["kd"] = "kd"
    weight: float = Field(0.9, ge=0, description="Weight of the teacher's term.")
    labels: float = Field(0.1, ge=0, description="Weight of the labels' term.")
    temperature: float = Field(4.0, gt=0, description="Softens both networks' probabilities; above 0.")

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        return kd_loss(student.logits, teacher.logits, self.temperature)
