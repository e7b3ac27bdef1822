"""The two objectives that every comparison needs: labels alone, and Hinton's distillation."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import tyro
from pydantic import Field, model_validator
from torch import Tensor

from limbeck.objectives.logits import cross_entropy, kd_loss
from limbeck.objectives.objective import Batch, Objective, Outputs


class CrossEntropy(Objective):
    """Labels alone: what a network learns without a teacher."""

    name: Annotated[Literal["cross_entropy"], tyro.conf.Suppress] = "cross_entropy"
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of the target spread evenly over all classes.")

    def forward(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        return {"labels": cross_entropy(student.logits, batch.labels, self.label_smoothing)}


class KD(Objective):
    """Knowledge distillation (Hinton, Vinyals, Dean 2015): labels · cross-entropy + weight · T² · KL."""

    name: Annotated[Literal["kd"], tyro.conf.Suppress] = "kd"
    needs_teacher: ClassVar[bool] = True
    temperature: float = Field(4.0, gt=0, description="Softens both networks' probabilities; above 0.")
    weight: float = Field(0.9, ge=0, description="Weight of the teacher's term.")
    labels: float = Field(0.1, ge=0, description="Weight of the labels' term.")

    @model_validator(mode="after")
    def _something_to_learn_from(self) -> KD:
        if self.weight + self.labels <= 0:
            raise ValueError("weight and labels are both 0, so nothing would be learned; set one above 0")
        return self

    def forward(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        assert teacher is not None
        parts = {}
        if self.labels:
            parts["labels"] = self.labels * cross_entropy(student.logits, batch.labels)
        if self.weight:
            parts["kd"] = self.weight * kd_loss(student.logits, teacher.logits, self.temperature)
        return parts
