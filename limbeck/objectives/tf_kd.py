"""Distillation without a teacher: a virtual one that is nearly sure of the label."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from limbeck.objectives.logits import tf_kd_loss
from limbeck.objectives.objective import Taught
from limbeck.objectives.outputs import Batch, Outputs


class TfKD(Taught):
    """Teacher-free distillation (Yuan, Tay, Li, Wang, Feng, CVPR 2020): labels · cross-entropy + weight · KL.

    A control for what a teacher is worth: it softens targets as a teacher does, and knows nothing.
    """

    name: Literal["tf_kd"] = "tf_kd"
    weight: float = Field(0.1, ge=0, description="Weight of the virtual teacher's term.")
    labels: float = Field(0.9, ge=0, description="Weight of the labels' term.")
    temperature: float = Field(20.0, gt=0, description="Softens the virtual teacher's probabilities; above 0.")
    correct: float = Field(0.99, gt=0, lt=1, description="Probability that the virtual teacher gives the label.")
    form: Literal["released", "paper"] = Field("released", description="The authors' code, or the paper's formula.")

    @property
    def needs_teacher(self) -> bool:
        return False

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        def loss(labels: Tensor) -> Tensor:
            return tf_kd_loss(student.logits, labels, self.temperature, self.correct, self.form)

        return batch.over_labels(loss)
