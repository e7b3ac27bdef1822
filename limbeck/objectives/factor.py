"""Factor transfer: the teacher's maps are paraphrased, and the student translates its own into the paraphrase."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.models.maps import enough_to_normalise
from limbeck.objectives.adapters import adapt, same_maps
from limbeck.objectives.attention import attention
from limbeck.objectives.checks import above_zero, same_shape
from limbeck.objectives.features import Featured, Where, features
from limbeck.objectives.objective import Known
from limbeck.objectives.outputs import Batch, Outputs

Form = Literal["released", "authors", "paper"]


def factor_loss(student: Tensor, teacher: Tensor, form: Form = "released") -> Tensor:
    """Kim, Park and Kwak, "Paraphrasing Complex Network: Network Compression via Factor Transfer" (NeurIPS 2018).

    "released" is the public comparison's (RepDistiller), which the weight of 200 goes with: a factor's squares are
    averaged over its channels and scaled to length 1 over the pixels, and the loss is the mean of the absolute
    differences. "authors" is the authors' code, with the weight of 500: the factor itself, all its elements scaled to
    length 1, and the mean of the absolute differences. "paper" sums these differences over a picture's elements and
    averages over the batch. None depends on the scale of a factor. No gradient flows into the teacher's.

    Args:
        student: (B, C, H, W), the student's factor (`Translator`).
        teacher: (B, C, H, W), the teacher's factor (`Paraphraser`).
        form: see above.

    Returns:
        a scalar, float32, 0 or more; independent of the batch size.

    Raises:
        LimbeckError: factors that are not (B, C, H, W), or that differ in shape.
    """
    same_maps(student, teacher)
    same_shape(student, teacher, "factors")
    if form == "released":
        return (attention(student) - attention(teacher.detach())).abs().mean()
    differences = (_unit(student) - _unit(teacher.detach())).abs()
    return differences.mean() if form == "authors" else differences.sum(1).mean()


def paraphraser_loss(reconstruction: Tensor, teacher: Tensor, form: Form = "released") -> Tensor:
    """What the paraphraser is trained with before the student: that it can give the teacher's maps back.

    "released" (RepDistiller) is the mean over all elements of the squared difference, "authors" that of the absolute
    difference, as in the authors' code; "paper" sums the squares of each picture and averages over the batch.

    Args:
        reconstruction: (B, C, H, W), ``paraphraser.reconstruct(teacher)``.
        teacher: (B, C, H, W) maps; no gradient flows into them.
        form: see above.

    Returns:
        a scalar, float32, 0 or more; independent of the batch size.

    Raises:
        LimbeckError: shapes that differ.
    """
    same_shape(reconstruction, teacher, "maps")
    difference = reconstruction.float() - teacher.detach().float()
    if form == "authors":
        return difference.abs().mean()
    return difference.square().mean() if form == "released" else difference.square().flatten(1).sum(1).mean()


class Paraphraser(nn.Module):
    """An autoencoder of the teacher's maps; its code is the teacher's factor. It is trained first, and then frozen.

    Three 3x3 convolutions with leaky ReLUs of slope 0.1, and three transposed ones back.

    Args:
        teacher_shape: (C, H, W) of the teacher's map; any other size of map is taken too.
        rate: the factor's channels are ``rate`` · C; above 0.
        batch_norm: whether each convolution is normalised; neither the authors' code nor RepDistiller does.

    Raises:
        LimbeckError: a shape that is not (C, H, W), or a rate that is not above 0.
    """

    def __init__(self, teacher_shape: tuple[int, ...], rate: float = 0.5, batch_norm: bool = False) -> None:
        super().__init__()
        channels, factors = _map_channels(teacher_shape), factor_shape(teacher_shape, rate)[0]
        self.encoder = _steps(nn.Conv2d, (channels, channels, factors, factors), batch_norm)
        self.decoder = _steps(nn.ConvTranspose2d, (factors, factors, channels, channels), batch_norm)

    def forward(self, teacher: Tensor) -> Tensor:
        """(B, C, H, W) maps to the factor (B, rate · C, H, W)."""
        return _through(self.encoder, teacher)

    def reconstruct(self, teacher: Tensor) -> Tensor:
        """(B, C, H, W) maps to their reconstruction, of the same shape."""
        return _through(self.decoder, self(teacher))


class Translator(nn.Module):
    """From the student's maps to a factor of the teacher's shape; it is trained along with the student.

    Three 3x3 convolutions with leaky ReLUs of slope 0.1, on maps pooled to the teacher's size.

    Args:
        student_shape: (C, H, W) of the student's map.
        teacher_shape: (C, H, W) of the teacher's map, the paraphraser's.
        rate: the paraphraser's.
        batch_norm: whether each convolution is normalised, as in RepDistiller; the authors' code does not.

    Raises:
        LimbeckError: shapes that are not (C, H, W), or a rate that is not above 0.
    """

    def __init__(
        self, student_shape: tuple[int, ...], teacher_shape: tuple[int, ...], rate: float = 0.5, batch_norm: bool = True
    ) -> None:
        super().__init__()
        channels, (factors, *size) = _map_channels(student_shape), factor_shape(teacher_shape, rate)
        self.resize = adapt(student_shape, (channels, *size))
        self.encoder = _steps(nn.Conv2d, (channels, channels, factors, factors), batch_norm)

    def forward(self, student: Tensor) -> Tensor:
        """(B, *student_shape) maps to the factor (B, rate · C_t, H_t, W_t)."""
        return _through(self.encoder, self.resize(student))


def factor_shape(teacher_shape: tuple[int, ...], rate: float = 0.5) -> tuple[int, int, int]:
    """The shape (rate · C, H, W) of the factor of a teacher's map; at least one channel."""
    above_zero(rate, "rate", 0.5)
    channels = _map_channels(teacher_shape)
    return max(1, round(channels * rate)), teacher_shape[1], teacher_shape[2]


def _unit(factor: Tensor) -> Tensor:
    """Each picture's elements (B, C·H·W), float32, scaled to length 1."""
    flat = factor.float().flatten(1)
    length = torch.linalg.vector_norm(flat, dim=1, keepdim=True)
    return flat / (length + (length == 0))  # zeros stay zeros, with a gradient of ordinary size


def _map_channels(shape: tuple[int, ...]) -> int:
    if len(shape) != 3:
        raise LimbeckError(
            f"factor transfer compares maps, not features of shape {tuple(shape)}: for one picture they must be "
            "(channels, height, width). Tap a convolution."
        )
    return shape[0]


def _steps(
    kind: type[nn.Conv2d] | type[nn.ConvTranspose2d], channels: tuple[int, ...], batch_norm: bool
) -> nn.Sequential:
    steps: list[nn.Module] = []
    for before, after in pairwise(channels):
        steps.append(kind(before, after, 3, padding=1))
        steps += [nn.BatchNorm2d(after)] if batch_norm else []
        steps.append(nn.LeakyReLU(0.1))
    return nn.Sequential(*steps)


def _through(steps: nn.Sequential, maps: Tensor) -> Tensor:
    if any(isinstance(step, nn.BatchNorm2d) for step in steps):
        enough_to_normalise(maps, steps)
    out: Tensor = steps(maps.float())
    return out


class FactorTransfer(Featured):
    """Factor transfer (Kim, Park and Kwak, NeurIPS 2018): `factor_loss`, last stage.

    The paraphraser, which the paper trains beforehand, is trained along: alone for the first epochs, then beside the
    student. No gradient of its own target reaches the student, nor the student's the paraphraser.
    """

    name: Literal["factor"] = "factor"
    where: ClassVar[Where] = "last"
    weight: float = Field(200.0, ge=0, description="Weight of the teacher's term.")
    rate: float = Field(0.5, gt=0, description="Channels of the factor, as a share of the teacher's.")
    beforehand: float = Field(2.0, ge=0, description="Epochs in which the paraphraser learns alone.")
    form: Form = Field("released", description="RepDistiller's, the authors' code's (weight 500) or the paper's.")

    def learned(self, known: Known) -> nn.Module:
        ((ours, theirs),) = self.shapes(known)
        return nn.ModuleList([Paraphraser(theirs, self.rate), Translator(ours, theirs, self.rate)])

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        (ours,), (theirs,) = features(student.taps), features(teacher.taps)
        paraphraser, translator = learned.children()
        assert isinstance(paraphraser, Paraphraser)
        rebuilt = paraphraser_loss(paraphraser.reconstruct(theirs), theirs, self.form)
        begun = (batch.epoch >= self.beforehand).float()
        return begun * factor_loss(translator(ours), paraphraser(theirs), self.form) + rebuilt / self.weight
