"""Matching the logits themselves: the squared distance to the teacher's."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from limbeck.objectives.checks import same_shape
from limbeck.objectives.objective import Taught
from limbeck.objectives.outputs import Batch, Outputs
from limbeck.objectives.promises import promises


@promises("least", "batch")
def logit_mse_loss(student: Tensor, teacher: Tensor, form: Literal["mean", "paper"] = "mean") -> Tensor:
    """The regression on logits of Ba and Caruana, "Do Deep Nets Really Need to be Deep?" (NeurIPS 2014).

    "mean", the form in common use, is the mean over pictures and classes of (student - teacher)². "paper" is half the
    squared distance of a picture's two rows of logits, averaged over the pictures: C / 2 times as large. Zero only at
    equal logits: unlike a divergence it also sees a constant added to a row. No gradient flows into the teacher.

    Args:
        student: (B, C) logits.
        teacher: (B, C) logits.
        form: see above.

    Returns:
        a scalar, float32, 0 or more.

    Raises:
        LimbeckError: shapes that differ.
    """
    same_shape(student, teacher)
    squared = (student.float() - teacher.detach().float()).square()
    return squared.sum(dim=1).mean() / 2 if form == "paper" else squared.mean()


class LogitMSE(Taught):
    """Regression on the teacher's logits (Ba and Caruana, NeurIPS 2014): squares."""

    name: Literal["logit_mse"] = "logit_mse"
    form: Literal["mean", "paper"] = Field("mean", description="The mean over all elements, or the paper's sum.")

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        return logit_mse_loss(student.logits, teacher.logits, self.form)
