"""Cross-layer distillation with semantic calibration: attention decides which teacher layer teaches which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.models.maps import average_down, enough_to_normalise
from limbeck.objectives.checks import same_shape
from limbeck.objectives.features import Featured, features
from limbeck.objectives.objective import Known
from limbeck.objectives.outputs import Batch, Outputs
from limbeck.objectives.sp import gram, unit_rows


def semckd_loss(student: Sequence[Sequence[Tensor]], teacher: Sequence[Tensor], attention: Tensor) -> Tensor:
    """The loss of Chen et al., "Cross-Layer Distillation with Semantic Calibration" (AAAI 2021).

    Of each picture Σ_ij attention_ij · mean (p_ij - f_j)², over student layers i and teacher layers j, where p_ij is
    layer i projected for layer j and f_j the teacher's map averaged down to its size; then the mean over pictures and
    over student layers, as in the released code, whose weight is 400. The paper writes the sum over student layers.
    Zero where every projection equals its target; independent of the batch's size, for a given attention.

    Args:
        student: S rows of T projections, (B, C_j, h, w) each: what `SemanticAttention` returns.
        teacher: T maps (B, C_j, H, W), not smaller than their projections; no gradient flows into them.
        attention: (B, S, T), the weights; those of a student layer sum to 1.

    Returns:
        a scalar, float32, 0 or more.

    Raises:
        LimbeckError: shapes that do not fit together.
    """
    if any(len(row) != len(teacher) for row in student):
        raise LimbeckError(
            f"there are {len(teacher)} maps of the teacher, and {[len(row) for row in student]} projections of the "
            "student's layers. Give every layer one projection for each map of the teacher."
        )
    distances = torch.stack([torch.stack([*map(_distance, row, teacher)], dim=1) for row in student], dim=1)
    same_shape(distances, attention, "layers' distances and their attention")
    return (attention.float() * distances).sum(dim=2).mean()


class SemanticAttention(nn.Module):
    """What semantic calibration learns: for every two layers a projection, and for every picture their attention.

    A layer is known by how alike it finds the pictures of the batch: the row of dot products of a picture with the
    others, through a small network of its own, gives the query of a student layer or the key of a teacher layer, of
    length 1. The attention is the softmax over teacher layers of query · key. A projection is convolutions 1x1, 3x3 and
    1x1 without biases, batch-normalised and rectified between, on the student's map averaged down to the teacher's size
    where it is larger.

    Args:
        student_channels: of the student's maps, one number a layer.
        teacher_channels: of the teacher's maps.
        batch_size: the largest one. In a smaller batch, the likeness to the pictures that are missing counts as 0
            (the released code skips such batches).
        factor: queries and keys have batch_size / factor entries.
    """

    def __init__(
        self, student_channels: Sequence[int], teacher_channels: Sequence[int], batch_size: int, factor: int = 4
    ) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.queries = nn.ModuleList(_embedding(batch_size, factor) for _ in student_channels)
        self.keys = nn.ModuleList(_embedding(batch_size, factor) for _ in teacher_channels)
        self.projections = nn.ModuleList(_Projections(channels, teacher_channels) for channels in student_channels)

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> tuple[list[list[Tensor]], Tensor]:
        """The projections and their weights, for `semckd_loss`.

        Args:
            student: S maps (B, C_i, H_i, W_i).
            teacher: T maps (B, C_j, H_j, W_j) of the same pictures; no gradient flows into them.

        Returns:
            S rows of T projections (B, C_j, min(H_i, H_j), min(W_i, W_j)), and the attention (B, S, T).

        Raises:
            LimbeckError: another number of maps than was announced, or more pictures.
        """
        queries = self._embed(self.queries, student, "student")
        keys = self._embed(self.keys, [maps.detach() for maps in teacher], "teacher")
        attention = (queries[:, :, None] * keys[:, None]).sum(dim=3).softmax(dim=2)
        projected = [layer(ours, teacher) for layer, ours in zip(self.projections, student, strict=True)]
        return projected, attention

    def _embed(self, networks: nn.ModuleList, layers: Sequence[Tensor], whose: str) -> Tensor:
        """(B, layers, width) unit vectors."""
        if len(layers) != len(networks):
            raise LimbeckError(
                f"{len(layers)} maps of the {whose} were given, but the attention was made for {len(networks)}. "
                "Give one map for each of its channels."
            )
        return torch.stack(
            [unit_rows(network(self._likeness(maps)).float()) for network, maps in zip(networks, layers, strict=True)],
            dim=1,
        )

    def _likeness(self, maps: Tensor) -> Tensor:
        """(B, batch_size) dot products of each picture's map with the others'."""
        if len(maps) > self.batch_size:
            raise LimbeckError(
                f"a batch of {len(maps)} pictures is larger than batch_size = {self.batch_size}, which the attention "
                f"was made for. Make it with batch_size = {len(maps)}."
            )
        return F.pad(gram(maps), (0, self.batch_size - len(maps)))


class _Projections(nn.ModuleList):
    """One student layer's projections, one for every teacher layer."""

    def __init__(self, student_channels: int, teacher_channels: Sequence[int]) -> None:
        super().__init__(_projection(student_channels, channels) for channels in teacher_channels)

    def forward(self, student: Tensor, teacher: Sequence[Tensor]) -> list[Tensor]:
        return [self._project(network, student, maps) for network, maps in zip(self, teacher, strict=True)]

    def _project(self, network: nn.Module, student: Tensor, teacher: Tensor) -> Tensor:
        size = (min(student.shape[2], teacher.shape[2]), min(student.shape[3], teacher.shape[3]))
        maps = average_down(student.float(), size)
        enough_to_normalise(maps, self)
        return network(maps)


def _distance(projected: Tensor, teacher: Tensor) -> Tensor:
    """(B,) mean squared differences."""
    wanted = average_down(teacher.detach().float(), (projected.shape[2], projected.shape[3]))
    same_shape(projected, wanted, "feature maps")
    return (projected.float() - wanted).square().flatten(1).mean(dim=1)


def _embedding(batch_size: int, factor: int) -> nn.Sequential:
    width = max(batch_size // factor, 1)
    return nn.Sequential(nn.Linear(batch_size, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))


def _projection(student: int, teacher: int) -> nn.Sequential:
    inner = 2 * teacher
    return nn.Sequential(
        nn.Conv2d(student, inner, 1, bias=False),
        nn.BatchNorm2d(inner),
        nn.ReLU(),
        nn.Conv2d(inner, inner, 3, padding=1, bias=False),
        nn.BatchNorm2d(inner),
        nn.ReLU(),
        nn.Conv2d(inner, teacher, 1, bias=False),
    )


class SemCKD(Featured):
    """Semantic calibration (Chen et al., AAAI 2021): every stage of the student learns from all of the teacher's."""

    name: Literal["semckd"] = "semckd"
    relates: ClassVar[bool] = True
    weight: float = Field(400.0, ge=0, description="Weight of the teacher's term.")

    def learned(self, known: Known) -> nn.Module:
        ours, theirs = self.taps(known)
        channels = [known.student.shape(path)[0] for path in ours], [known.teacher.shape(path)[0] for path in theirs]
        return SemanticAttention(*channels, batch_size=known.batch_size)

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        wanted = features(teacher.taps)
        projected, attention = learned(features(student.taps), wanted)
        return semckd_loss(projected, wanted, attention)

    def _paired(self) -> bool:
        return False
