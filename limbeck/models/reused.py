"""A student that ends in its teacher's classifier."""

from __future__ import annotations

import copy

from torch import Tensor, nn

from limbeck.models.maps import average_down, enough_to_normalise

Shape = tuple[int, int, int]


class Projector(nn.Module):
    """The student's features (B, C_s, H_s, W_s) in the teacher's terms: (B, C_t, min(H_s, H_t), min(W_s, W_t)).

    Average pooling where the student's map is the larger one, then convolutions 1x1, 3x3 and 1x1 without biases, each
    with batch normalisation and ReLU; the narrow middle has C_t / factor channels.

    Args:
        student_shape: (channels, height, width) of the student's features.
        teacher_shape: (channels, height, width) of the teacher's features.
        factor: 1 or more; the paper's is 2, and more makes the student smaller.
    """

    def __init__(self, student_shape: Shape, teacher_shape: Shape, factor: int = 2) -> None:
        super().__init__()
        inner = max(teacher_shape[0] // factor, 1)
        self.size = (min(student_shape[1], teacher_shape[1]), min(student_shape[2], teacher_shape[2]))
        self.layers = nn.Sequential(
            *_block(student_shape[0], inner, 1), *_block(inner, inner, 3), *_block(inner, teacher_shape[0], 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        features = average_down(features, self.size)
        enough_to_normalise(features, self)
        return self.layers(features)


class ReusedHeadStudent(nn.Module):
    """A student of its own backbone, a projector and the teacher's head; the head is a copy that never changes.

    Args:
        backbone: pictures to features (B, C_s, H_s, W_s).
        projector: a `Projector`; its output is what is compared with the teacher's features.
        head: all that the teacher does behind the features that are compared, its pooling included.
    """

    def __init__(self, backbone: nn.Module, projector: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.projector = projector
        self.head = copy.deepcopy(head).requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.projector(self.backbone(images)))

    def train(self, mode: bool = True) -> ReusedHeadStudent:
        """Training mode for what is trained; the head stays as the teacher had it."""
        super().train(mode)
        self.head.eval()
        return self


def _block(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
