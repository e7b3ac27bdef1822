"""Distillation without a teacher: a virtual one that is nearly sure of the label."""

from __future__ import annotations

from typing import Annotated, Literal

import tyro
from pydantic import Field, model_validator
from torch import Tensor

from limbeck.objectives.logits import cross_entropy, tf_kd_loss
from limbeck.objectives.objective import Batch, Objective, Outputs


class TfKD(Objective):
    """Teacher-free distillation (Yuan, Tay, Li, Wang, Feng, CVPR 2020): labels · cross-entropy + weight · KL.

    A control for what a teacher is worth: it softens targets as a teacher does, and knows nothing.
    """

    name: Annotated[Literal["tf_kd"], tyro.conf.Suppress] = "tf_kd"
    temperature: float = Field(20.0, gt=0, description="Softens the virtual teacher's probabilities; above 0.")
    correct: float = Field(0.99, gt=0, lt=1, description="Probability that the virtual teacher gives the label.")
    weight: float = Field(0.1, ge=0, description="Weight of the virtual teacher's term.")
    labels: float = Field(0.9, ge=0, description="Weight of the labels' term.")
    form: Literal["released", "paper"] = Field("released", description="The authors' code, or the paper's formula.")

    @model_validator(mode="after")
    def _something_to_learn_from(self) -> TfKD:
        if self.weight + self.labels <= 0:
            raise ValueError("weight and labels are both 0, so nothing would be learned; set one above 0")
        return self

    def forward(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        virtual = tf_kd_loss(student.logits, batch.labels, self.temperature, self.correct, self.form)
        return {
            "labels": self.labels * cross_entropy(student.logits, batch.labels),
            "tf_kd": self.weight * virtual,
        }
