"""The teacher's classifier reused: the student learns only the features that the teacher's head expects."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.models.composed import reuse
from limbeck.models.maps import average_down
from limbeck.models.reused import Shape
from limbeck.objectives.checks import same_shape
from limbeck.objectives.features import Featured, Where, features
from limbeck.objectives.objective import Known, Taps
from limbeck.objectives.outputs import Batch, Outputs
from limbeck.objectives.promises import promises
from limbeck.objectives.taps import Probe, probe


@promises("least", "batch")
def simkd_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """The loss of Chen et al., "Knowledge Distillation with the Reused Teacher Classifier" (CVPR 2022).

    The mean over all elements of (f_s - f_t)², f_s being the student's features behind the `Projector`. Where the
    teacher's map is larger, it is averaged down to the student's size, as in the released code. Zero at equal features,
    independent of the batch's size. It is the whole loss there, with weight 1: neither labels nor logits are used.

    Args:
        student: (B, C, H, W) projected features.
        teacher: (B, C, H', W') features with H' >= H and W' >= W; no gradient flows into them.

    Returns:
        a scalar, float32, 0 or more.

    Raises:
        LimbeckError: shapes that do not fit.
    """
    wanted = teacher.detach().float()
    if student.ndim == wanted.ndim == 4:
        wanted = average_down(wanted, (student.shape[2], student.shape[3]))
    same_shape(student, wanted, "feature maps")
    return (student.float() - wanted).square().mean()


def _map(network: Probe, path: str) -> Shape:
    shape = network.shape(path)
    if len(shape) != 3:
        raise LimbeckError(f"simkd projects maps, but {path!r} gives {shape} for a picture. Tap a convolution.")
    return shape


class SimKD(Featured):
    """The teacher's classifier reused (Chen et al., CVPR 2022): `simkd_loss` alone, without labels.

    The distilled student is another network than the student alone: its own layers up to the tap, a projector, and what
    the teacher does behind its tap, which is copied and stays as it is. It carries the weights of both.
    """

    where: ClassVar[Where] = "last"
    name: Literal["simkd"] = "simkd"
    labels: float = Field(0.0, ge=0, description="Weight of the labels' term.")
    factor: int = Field(2, ge=1, description="The projector's middle has the teacher's channels divided by this.")

    def student(self, known: Known) -> nn.Module:
        if not self.weight:
            return known.student_network
        ours, theirs = super().taps(known)
        assert known.teacher_network is not None
        if len(ours) != 1:
            raise LimbeckError(f"simkd cuts each network once, but {len(ours)} taps are named. Name one of each.")
        shapes = _map(known.student, ours[0]), _map(known.teacher, theirs[0])
        changed = reuse(known.student_network, known.teacher_network, (ours[0], theirs[0]), shapes, self.factor)
        try:
            probe(changed.to(known.picture.device), known.picture)
        except RuntimeError as error:
            raise LimbeckError(
                f"simkd: what the teacher does behind {theirs[0]!r} takes maps {shapes[1]} alone, and the student's "
                f"{shapes[0]} at {ours[0]!r} are smaller ({str(error).splitlines()[0]}). Tap the student earlier with "
                "student_taps, or the teacher later with teacher_taps."
            ) from error
        return changed

    def taps(self, known: Known) -> Taps:
        return (("projector",), super().taps(known)[1]) if self.weight else ((), ())

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        return simkd_loss(*features(student.taps), *features(teacher.taps))
