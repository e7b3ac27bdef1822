"""Digital: what happens to a picture after it was taken."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from limbeck.evaluation.corruptions.draws import Draws
from limbeck.evaluation.corruptions.warping import between, mirrored, mirrored_between, places, smoothed


def contrast(pictures: Tensor, severity: int, draws: Draws) -> Tensor:
    """Values drawn towards their channel's mean."""
    kept = (0.75, 0.5, 0.4, 0.3, 0.15)[severity - 1]
    mean = pictures.mean(dim=(1, 2), keepdim=True)
    return (pictures - mean) * kept + mean


def elastic_transform(pictures: Tensor, severity: int, draws: Draws) -> Tensor:
    """A random affine map, then every pixel drawn from elsewhere. All lengths are fractions of the shorter side.

    As in the release, the map weakens with the severity while the fine distortion grows.
    """
    strength, sigma, corner = (
        (0.0, 0.0, 0.08),
        (0.05, 0.2, 0.07),
        (0.08, 0.06, 0.06),
        (0.1, 0.04, 0.05),
        (0.1, 0.03, 0.03),
    )[severity - 1]
    height, width = pictures.shape[1:3]
    side = min(height, width)
    rows, columns = _affine(pictures, corner * side, draws)
    mapped = between(pictures, rows, columns, mirrored)
    if not strength:
        return mapped
    wild = draws.uniform("distortion", height, width, 2, least=-1, most=1)
    moved = smoothed(wild, sigma * side, truncate=3, edge=mirrored_between) * (strength * side)
    down, right = moved.unbind(-1)
    rows, columns = places(pictures)
    return between(mapped, rows + down, columns + right, mirrored_between)


def _affine(pictures: Tensor, corner: float, draws: Draws) -> tuple[Tensor, Tensor]:
    """Where each pixel comes from when three points around the middle move by up to ``corner`` pixels each."""
    height, width = pictures.shape[1:3]
    middle, reach = pictures.new_tensor([width // 2, height // 2]), max(1, min(height, width) // 3)
    before = middle + reach * pictures.new_tensor([[1, 1], [1, -1], [-1, -1]])
    after = before + draws.uniform("corners", 3, 2, least=-corner, most=corner)
    back = torch.linalg.solve(torch.cat([after, torch.ones_like(after[..., :1])], dim=-1), before)
    rows, columns = places(pictures)
    across, along, start = back[:, :, :, None, None].unbind(1)  # each (B, 2, 1, 1): to x and to y
    x, y = (across * columns + along * rows + start).unbind(1)
    return y, x


def pixelate(pictures: Tensor, severity: int, draws: Draws) -> Tensor:
    """Fewer and larger pixels: resized to a share of every side and back, with Pillow's box filter."""
    share = (0.95, 0.9, 0.85, 0.75, 0.65)[severity - 1]
    size = pictures.shape[2], pictures.shape[1]
    small = max(1, int(size[0] * share)), max(1, int(size[1] * share))
    box = Image.Resampling.BOX
    return _with_pillow(pictures, lambda picture: picture.resize(small, box).resize(size, box))


def jpeg_compression(pictures: Tensor, severity: int, draws: Draws) -> Tensor:
    """JPEG, as Pillow writes it."""
    quality = (80, 65, 58, 50, 40)[severity - 1]

    def compressed(picture: Image.Image) -> Image.Image:
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=quality)
        return Image.open(stream)

    return _with_pillow(pictures, compressed)


def _with_pillow(pictures: Tensor, change: Callable[[Image.Image], Image.Image]) -> Tensor:
    pixels = (pictures * 255).round().byte().cpu().numpy()
    changed = np.stack([np.asarray(change(Image.fromarray(picture))) for picture in pixels])
    return torch.from_numpy(changed).to(pictures) / 255
