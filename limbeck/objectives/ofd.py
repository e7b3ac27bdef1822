"""The overhaul of feature distillation: maps before the ReLU, of which only what the ReLU leaves has to agree."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from limbeck.errors import LimbeckError
from limbeck.objectives.adapters import adapt
from limbeck.objectives.checks import same_shape
from limbeck.objectives.features import Staged, Where
from limbeck.objectives.objective import Known
from limbeck.objectives.taps import plain, submodule

_RARE = 0.001  # the authors': below this share of negative values they do not take their mean
_FAR = 1e6  # in deviations; so far up, the mean of the negative values is 0 in float32


def ofd_loss(student: Tensor, teacher: Tensor, margin: Tensor, later_layers: int = 0) -> Tensor:
    """Heo et al., "A Comprehensive Overhaul of Feature Distillation" (ICCV 2019).

    The target is the margin ReLU max(teacher, margin), with a negative margin for each channel. An element costs
    (student - target)², and nothing where both the target is at most 0 and the student at most the target (the
    partial L2 distance). The costs of a picture are summed and averaged over the batch, and each layer counts half as
    much as the next. The weight of 1e-3 goes with this sum, which grows with the size of the maps. No gradient flows
    into the teacher.

    Args:
        student: (B, C, H, W) maps before the ReLU, brought to the teacher's shape; the authors use a 1x1 convolution
            without bias and batch normalisation, even where the shapes are equal.
        teacher: (B, C, H, W) maps before the ReLU.
        margin: (C,), at most 0 (`batch_norm_margin`, or `measured_margin` where no such layer stands before the ReLU;
            zeros make it the plain ReLU).
        later_layers: how many of the compared layers come after this one; each halves the loss.

    Returns:
        a scalar, float32, 0 or more; independent of the batch size.

    Raises:
        LimbeckError: maps whose shapes differ, or that are not (B, C, H, W); another number of margins than of
            channels.
    """
    same_shape(student, teacher, "maps")
    if student.ndim != 4 or margin.shape != student.shape[1:2]:
        raise LimbeckError(
            f"maps {tuple(student.shape)} and margins {tuple(margin.shape)} do not fit: maps must be (batch, channels, "
            "height, width), with one margin for each of the teacher's channels. Take batch_norm_margin(layer)."
        )
    target = torch.maximum(teacher.detach().float(), margin.detach().float()[:, None, None])
    difference = student.float() - target
    counts = (target > 0) | (difference > 0)
    return (difference.square() * counts).flatten(1).sum(1).mean() / 2**later_layers


@torch.no_grad()
def batch_norm_margin(layer: nn.Module, form: Literal["released", "paper"] = "released") -> Tensor:
    """The margin of a teacher's channels from the batch normalisation that stands before the ReLU.

    A channel is taken for a Gaussian with the layer's bias as mean m and its weight's size as deviation d; the margin
    is the mean of its negative values, m - d φ(m/d) / Φ(-m/d) ("paper"). The authors' code, which is the default, has
    -3 d instead where less than one value in a thousand is negative ("released"). A layer without weight and bias has
    d = 1 and m = 0. A channel with d = 0 is constant: m where that is negative, and 0 elsewhere.

    Args:
        layer: batch normalisation over C channels.
        form: see above.

    Returns:
        (C,) float32, at most 0, where the layer's weight is.

    Raises:
        LimbeckError: a layer of another kind; see `measured_margin` for what to do without one.
    """
    if not isinstance(layer, _BatchNorm):
        raise LimbeckError(
            f"a margin cannot be read from {type(layer).__name__}: it takes a batch normalisation just before the "
            "ReLU. Without one, measure it: measured_margin(the teacher's maps before the ReLU)."
        )
    zeros = torch.zeros(layer.num_features, dtype=torch.float64)
    deviation = zeros + 1 if layer.weight is None else layer.weight.cpu().double().abs()
    mean = zeros if layer.bias is None else layer.bias.cpu().double()
    steps = (mean / deviation).clamp(max=_FAR)
    # φ(x) / Φ(-x) by the scaled complementary error function, which neither over- nor underflows where Φ does.
    margin = deviation * (steps - math.sqrt(2 / math.pi) / torch.special.erfcx(steps / math.sqrt(2)))
    if form == "released":
        margin = torch.where(torch.special.ndtr(-steps) > _RARE, margin, -3 * deviation)
    margin = torch.where(deviation > 0, margin, mean.clamp(max=0)).float()
    return margin if layer.weight is None else margin.to(layer.weight.device)


@torch.no_grad()
def measured_margin(teacher: Tensor) -> Tensor:
    """The margin of a teacher's channels as the paper defines it: the mean of the negative values before the ReLU.

    For a teacher without batch normalisation there. The more pictures, the better; 0 for a channel that is never
    negative, which then has the plain ReLU.

    Args:
        teacher: (B, C, H, W) maps before the ReLU.

    Returns:
        (C,) float32, at most 0.

    Raises:
        LimbeckError: maps that are not (B, C, H, W).
    """
    if teacher.ndim != 4:
        raise LimbeckError(
            f"a margin cannot be measured on features {tuple(teacher.shape)}: they must be maps (batch, channels, "
            "height, width) before the ReLU. Tap a convolution."
        )
    values = teacher.float()
    negative = (values < 0).sum((0, 2, 3)).clamp(min=1)
    return values.clamp(max=0).sum((0, 2, 3)) / negative


class OFD(Staged):
    """Overhaul of feature distillation (Heo et al., ICCV 2019): the sum over stages.

    Margins come from the teacher's batch normalisation before the rectifier; where there is none, from the first batch.
    """

    name: Literal["ofd"] = "ofd"
    relates: ClassVar[bool] = True
    where: ClassVar[Where] = "rectifiers"
    weight: float = Field(0.001, ge=0, description="Weight of the teacher's term.")
    form: Literal["released", "paper"] = Field("released", description="The authors' code, or the paper's formula.")

    def relating(self, known: Known | None = None) -> tuple[str, ...]:
        whole = super().relating(known)
        return whole if known is None or (whole and None in self._margins(known)) else ()

    def learned(self, known: Known) -> nn.Module:
        pairs = zip(self.shapes(known), self._margins(known), strict=True)
        return nn.ModuleList(_Overhauled(*shapes, margin) for shapes, margin in pairs)

    def _margins(self, known: Known) -> list[Tensor | None]:
        """Those of each stage's channels; None where they have to be measured."""
        assert known.teacher_network is not None
        before = [known.teacher.before(path) for path in self.taps(known)[1]]
        layers = [submodule(plain(known.teacher_network), path) if path else None for path in before]
        return [batch_norm_margin(layer, self.form) if isinstance(layer, _BatchNorm) else None for layer in layers]

    def stage(self, ours: Tensor, theirs: Tensor, adapter: nn.Module, later: int) -> Tensor:
        return adapter(ours, theirs, later)


class _Overhauled(nn.Module):
    """One stage: the student's map in the teacher's shape, and the margins, nan until they are measured."""

    def __init__(self, student_shape: tuple[int, ...], teacher_shape: tuple[int, ...], margin: Tensor | None) -> None:
        super().__init__()
        channels = teacher_shape[0]
        self.resize = adapt(student_shape, (student_shape[0], *teacher_shape[1:]))
        self.connect = nn.Sequential(nn.Conv2d(student_shape[0], channels, 1, bias=False), nn.BatchNorm2d(channels))
        self.register_buffer("margin", torch.full((channels,), math.nan) if margin is None else margin)

    def forward(self, student: Tensor, teacher: Tensor, later_layers: int) -> Tensor:
        assert isinstance(self.margin, Tensor)
        with torch.no_grad():
            self.margin.copy_(torch.where(self.margin.isnan(), measured_margin(teacher), self.margin))
        return ofd_loss(self.connect(self.resize(student.float())), teacher, self.margin.clone(), later_layers)
