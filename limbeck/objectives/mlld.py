"""Distillation at three levels: each picture's prediction, the relations of the pictures, and those of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.objectives.checks import above_zero, same_shape
from limbeck.objectives.objective import Taught
from limbeck.objectives.outputs import Batch, Outputs
from limbeck.objectives.promises import promises

Masks = Literal["released", "elementwise", "none"]


@promises("least", "shift")
def mlld_loss(
    student: Tensor,
    teacher: Tensor,
    temperatures: Sequence[float] = (2.0, 3.0, 4.0, 5.0, 6.0),
    masks: Masks = "released",
) -> Tensor:
    """The loss of Jin, Wang and Lin, "Multi-level Logit Distillation" (CVPR 2023), for one view.

    The sum of the three `mlld_parts`, which have the formulas. The batch and class parts depend on the batch size, as
    said there.

    Args:
        student: (B, C) logits.
        teacher: (B, C) logits.
        temperatures: each above 0; the loss is the sum over them.
        masks: see `mlld_parts`.

    Returns:
        a scalar, float32, 0 or more.

    Raises:
        LimbeckError: shapes that differ, no temperature, or one that is not above 0.
    """
    return torch.stack(mlld_parts(student, teacher, temperatures, masks)).sum()


def mlld_parts(
    student: Tensor,
    teacher: Tensor,
    temperatures: Sequence[float] = (2.0, 3.0, 4.0, 5.0, 6.0),
    masks: Masks = "released",
) -> tuple[Tensor, Tensor, Tensor]:
    """The three levels of multi-level logit distillation (Jin, Wang and Lin, CVPR 2023), for one view.

    With P = softmax(logits / T), (B, C), each is a sum over the temperatures; F is the Frobenius norm:

    - instance: T² · mean over the batch of KL(teacher ‖ student);
    - batch: ‖P_t P_tᵀ - P_s P_sᵀ‖²_F / B, without T²; grows with the batch size;
    - class: ‖P_tᵀ P_t - P_sᵀ P_s‖²_F / C, without T²; grows with the square of the batch size.

    Masks keep the pictures whose largest probability (the teacher's, at T = 1) is not above the batch's median, and the
    classes whose probability summed over the batch is not above the median of the classes: about half of either. The
    released code applies them to terms that are already averaged, so that all they do is multiply each term by the
    share that was kept: "released". "elementwise" leaves out what is not kept: those pictures' divergences, and those
    columns of the two matrices. "none" keeps all. The divisors B and C are those of the whole batch in each.

    The released training shows a weak and a strong view. It adds all three levels of the weak view, and of the strong
    one the instance level without masks (for T = 2 and 6, by a slip, once more that of the weak view). No gradient
    flows into the teacher.

    Args:
        student: (B, C) logits.
        teacher: (B, C) logits.
        temperatures: each above 0.
        masks: see above.

    Returns:
        the instance, batch and class parts: three scalars, float32, 0 or more; all 0 at equal logits.

    Raises:
        LimbeckError: shapes that differ, no temperature, or one that is not above 0.
    """
    same_shape(student, teacher)
    if not temperatures:
        raise LimbeckError("temperatures is empty: at least one is needed. Try (2, 3, 4, 5, 6).")
    for temperature in temperatures:
        above_zero(temperature)
    student, teacher = student.float(), teacher.detach().float()
    pictures, classes = _kept(teacher, masks)
    with torch.autocast(student.device.type, enabled=False):  # else the products of matrices would be rounded to bf16
        levels = [_levels(student, teacher, temperature, pictures, classes) for temperature in temperatures]
    instance, batch, within = zip(*levels, strict=True)
    return torch.stack(instance).sum(), torch.stack(batch).sum(), torch.stack(within).sum()


def _levels(
    student: Tensor, teacher: Tensor, temperature: float, pictures: Tensor, classes: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    log_s, log_t = F.log_softmax(student / temperature, dim=1), F.log_softmax(teacher / temperature, dim=1)
    s, t = log_s.exp(), log_t.exp()
    instance = temperature**2 * (pictures * (t * (log_t - log_s)).sum(dim=1)).mean()
    batch = (pictures * (t @ t.T - s @ s.T).square()).sum() / len(s)
    within = (classes * (t.T @ t - s.T @ s).square()).sum() / s.shape[1]
    return instance, batch, within


def _kept(teacher: Tensor, masks: Masks) -> tuple[Tensor, Tensor]:
    """(B,) and (C,) weights of the pictures and the classes."""
    probabilities = F.softmax(teacher, dim=1)
    kept = [_lower_half(probabilities.amax(dim=1)), _lower_half(probabilities.sum(dim=0))]
    if masks == "released":
        kept = [each.mean().expand_as(each) for each in kept]
    elif masks == "none":
        kept = [torch.ones_like(each) for each in kept]
    return kept[0], kept[1]


def _lower_half(values: Tensor) -> Tensor:
    return (values <= values.quantile(0.5)).float()


class MLLD(Taught):
    """Multi-level logit distillation (Jin, Wang and Lin, CVPR 2023): on every picture, batch and class."""

    name: Literal["mlld"] = "mlld"
    relates: ClassVar[bool] = True
    temperatures: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (2.0, 3.0, 4.0, 5.0, 6.0), min_length=1, description="The loss is the sum over them."
    )
    masks: Masks = Field("released", description="What is kept of pictures and classes; see `mlld_parts`.")

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        return mlld_loss(student.logits, teacher.logits, self.temperatures, self.masks)
