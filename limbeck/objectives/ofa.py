"""One-for-all: soft targets in which the label's probability is enhanced as far as the teacher is sure of it."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from limbeck.objectives.checks import above_zero, same_shape
from limbeck.objectives.features import Featured, features, pooled
from limbeck.objectives.logits import mean_over_labelled
from limbeck.objectives.objective import Known, Taps
from limbeck.objectives.outputs import Batch, Outputs
from limbeck.objectives.promises import promises


@promises("least", "shift", "batch")
def ofa_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    eps: float = 1.0,
    temperature: float = 1.0,
    form: Literal["released", "paper"] = "released",
) -> Tensor:
    """The loss of Hao et al., "One-for-All: Bridge the Gap Between Heterogeneous Architectures" (NeurIPS 2023), OFA.

    With s, t = softmax(logits / T) and y the label, the mean over the labelled pictures of -Σ w_c · log s_c. At the
    label w_y = (1 + t_y)^eps - 1. At the other classes "released" has w_c = t_c^eps and "paper" w_c = t_c; at eps = 1
    both are the soft targets t. The paper's formula also holds the cross-entropy with the label (its w_y has no - 1),
    which here is a term of its own, as in the released code. A cross-entropy, so not 0 at equal logits, where for eps ≠
    1 it is not least either. There is no factor T². No gradient flows into the teacher.

    For the last logits and for those of heads on the student's stages alike.

    Args:
        student: (B, C) logits.
        teacher: (B, C) logits.
        labels: (B,) int64 classes; -1 marks an unlabelled picture, which does not count.
        eps: above 0; above 1 a teacher that is sure of the label counts for more.
        temperature: T > 0, for both networks.
        form: see above.

    Returns:
        a scalar, float32, 0 or more; 0 when no picture is labelled.

    Raises:
        LimbeckError: shapes that differ, or an eps or temperature that is not above 0.
    """
    same_shape(student, teacher)
    above_zero(eps, "eps", example=1)
    above_zero(temperature, example=1)
    log_student = F.log_softmax(student.float() / temperature, dim=1)
    soft = F.softmax(teacher.detach().float() / temperature, dim=1)
    is_label = F.one_hot(labels.clamp(min=0), student.shape[1]).bool()
    weights = torch.where(is_label, torch.expm1(eps * torch.log1p(soft)), soft if form == "paper" else soft**eps)
    return mean_over_labelled(-(weights * log_student).sum(dim=1), labels)


class OFA(Featured):
    """One for all (Hao et al., NeurIPS 2023): `ofa_loss` of the logits and of heads on the stages.

    Every stage of the student but the last gets a linear head on its pooled map, which is trained along; the teacher's
    logits teach each of them.
    """

    name: Literal["ofa"] = "ofa"
    temperature: float = Field(1.0, gt=0, description="Softens both networks' probabilities; above 0.")
    eps: float = Field(1.0, gt=0, description="Above 1 a teacher that is sure of the label counts for more.")
    heads: bool = Field(True, description="Whether the student's stages are taught as well.")
    form: Literal["released", "paper"] = Field("released", description="The authors' code, or the paper's formula.")

    def taps(self, known: Known) -> Taps:
        if not (self.weight and self.heads):
            return (), ()
        return self.student_taps or known.student.stages()[:-1], ()

    def learned(self, known: Known) -> nn.Module:
        stages = [known.student.shape(path) for path in self.taps(known)[0]]
        widths = [shape[0] if len(shape) == 3 else shape[-1] for shape in stages]
        return nn.ModuleList(nn.Linear(width, known.student.classes) for width in widths)

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        said = [head(pooled(tap)) for head, tap in zip(learned.children(), features(student.taps), strict=True)]

        def loss(labels: Tensor) -> Tensor:
            known = teacher.logits, labels, self.eps, self.temperature, self.form
            return torch.stack([ofa_loss(logits, *known) for logits in (student.logits, *said)]).sum()

        return batch.over_labels(loss)

    def _paired(self) -> bool:
        return False
