"""Softmax regression representation learning: the student's features, judged by the teacher's own classifier."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from limbeck.errors import LimbeckError
from limbeck.models.maps import enough_to_normalise
from limbeck.objectives.checks import same_shape
from limbeck.objectives.features import Featured, Where, features, pooled
from limbeck.objectives.objective import Known
from limbeck.objectives.outputs import Batch, Outputs
from limbeck.objectives.taps import plain, submodule


def srrl_loss(student: Tensor, teacher: Tensor, classifier: nn.Module) -> Tensor:
    """The loss of Yang et al., "Knowledge Distillation via Softmax Regression Representation Learning" (ICLR 2021).

    mean (f_s - f_t)² + mean (W_t(f_s) - W_t(f_t))², each over pictures and channels or classes: f_s are the student's
    features behind the `SRRLConnector`, W_t is the teacher's classifier. Maps are averaged over their places first.
    The logits' term follows the released code (mean squared error); the published weight of the whole is 1. Zero at
    equal features, independent of the batch's size.

    Args:
        student: (B, D) or (B, D, H, W) connected features.
        teacher: (B, D) or (B, D, H', W'), what the teacher's classifier sees; no gradient flows into them.
        classifier: the teacher's last layer, (B, D) to (B, C) logits, in eval mode. Its weights get no gradient.

    Returns:
        a scalar, float32, 0 or more.

    Raises:
        LimbeckError: batches or channels that differ.
    """
    said, wanted = _averaged(student), _averaged(teacher.detach())
    same_shape(said, wanted, "features")
    frozen = {name: weight.detach().float() for name, weight in classifier.named_parameters()}
    with torch.autocast(said.device.type, enabled=False):
        logits, wanted_logits = (functional_call(classifier, frozen, (features,)) for features in (said, wanted))
    return F.mse_loss(said, wanted) + F.mse_loss(logits, wanted_logits)


class SRRLConnector(nn.Module):
    """The student's features with the teacher's channels: a 1x1 convolution without bias, batch normalisation, ReLU.

    Takes maps (B, C_s, H, W), as the released code, or vectors (B, C_s); gives the same with C_t channels.

    Args:
        student_channels: C_s.
        teacher_channels: C_t, the width of what the teacher's classifier sees.
    """

    def __init__(self, student_channels: int, teacher_channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(student_channels, teacher_channels, 1, bias=False)
        self.normalisation = nn.BatchNorm2d(teacher_channels)
        nn.init.normal_(self.convolution.weight, std=math.sqrt(2 / teacher_channels))

    def forward(self, features: Tensor) -> Tensor:
        maps = features.float().reshape(*features.shape[:2], *(features.shape[2:] or (1, 1)))
        enough_to_normalise(maps, self)
        connected = F.relu(self.normalisation(self.convolution(maps)))
        return connected if features.ndim == 4 else connected.flatten(1)


def _averaged(features: Tensor) -> Tensor:
    return features.float().flatten(2).mean(dim=2) if features.ndim > 2 else features.float()


class SRRL(Featured):
    """Softmax regression representation learning (Yang et al., ICLR 2021): `srrl_loss`.

    What goes into the student's classifier is connected to the width of the teacher's and judged by the teacher's
    own classifier.
    """

    name: Literal["srrl"] = "srrl"
    where: ClassVar[Where] = "embedding"

    def learned(self, known: Known) -> nn.Module:
        assert known.teacher_network is not None
        ((ours, theirs),) = self.shapes(known)
        (path,) = self.taps(known)[1]
        classifier = submodule(plain(known.teacher_network), path)
        if not isinstance(classifier, nn.Linear):
            raise LimbeckError(
                f"srrl asks the teacher's classifier, but {path!r} goes into a {type(classifier).__name__}, not a "
                'linear layer. Name what goes into one with teacher_taps, for example "fc:in".'
            )
        return _Judged(SRRLConnector(ours[0], theirs[0]), classifier)

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        (ours,), (theirs,) = features(student.taps), features(teacher.taps)
        assert isinstance(learned, _Judged)
        return srrl_loss(learned.connector(pooled(ours)), pooled(theirs), learned.classifier[0])


class _Judged(nn.Module):
    """The connector, which is trained, and the teacher's classifier, which is none of its own."""

    def __init__(self, connector: SRRLConnector, classifier: nn.Module) -> None:
        super().__init__()
        self.connector, self.classifier = connector, (classifier,)
