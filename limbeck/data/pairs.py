"""Pictures of one's own, from any data set of (picture, label) pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from limbeck.data.dataset import Dataset
from limbeck.errors import LimbeckError


def from_pairs(pairs: Iterable[tuple[Any, int]], classes: Sequence[str], name: str = "own pictures") -> Dataset:
    """The resident data set of (picture, label) pairs: any torch or torchvision data set, without its augmentation.

    Args:
        pairs: pictures all of one size, each a PIL image, an array or tensor (H, W, 3) or (H, W) of uint8, or what
            torchvision's ``ToTensor`` makes of one: (3, H, W) or (1, H, W), uint8 or float in [0, 1]. Labels of -1 are
            allowed.
        classes: their names, in the order of the labels.
        name: what reports call it.

    Raises:
        LimbeckError: a picture of another form or size, or no picture.
    """
    images: list[Tensor] = []
    labels: list[int] = []
    # A map-style data set need not end its iteration by itself.
    each = (cast("Any", pairs)[index] for index in range(len(pairs))) if isinstance(pairs, Sized) else pairs
    for number, (picture, label) in enumerate(each):
        image = _as_image(picture, f"{name}: picture {number}")
        if images and image.shape != images[0].shape:
            raise LimbeckError(
                f"{name}: picture {number} has the shape {tuple(image.shape)} and the first one "
                f"{tuple(images[0].shape)}. All must be of one size: crop or resize them first."
            )
        images.append(image)
        labels.append(int(label))
    if not images:
        raise LimbeckError(f"{name}: there are no pictures. Give at least one.")
    return Dataset(name, tuple(classes), torch.stack(images), torch.tensor(labels))


def _as_image(picture: Any, which: str) -> Tensor:
    """uint8 (H, W, 3)."""
    image = picture if isinstance(picture, Tensor) else torch.from_numpy(np.array(picture))
    if image.is_floating_point():
        if not len(image) or image.min() < 0 or image.max() > 1:
            raise LimbeckError(
                f"{which} has float values outside [0, 1]: it seems normalised. Take the normalisation out of the "
                "data set; the networks are given pictures in [0, 1] (see limbeck.models.Normalised)."
            )
        image = (image * 255).round().to(torch.uint8)
    if image.ndim == 3 and image.shape[0] in (1, 3) and image.shape[2] not in (1, 3):
        image = image.permute(1, 2, 0)
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3 or image.shape[2] not in (1, 3) or image.dtype != torch.uint8:
        raise LimbeckError(
            f"{which} is {image.dtype} {tuple(image.shape)}; a picture must be "
            "uint8 (H, W, 3) or (H, W), or float (3, H, W) in [0, 1]."
        )
    return image.expand(-1, -1, 3)
