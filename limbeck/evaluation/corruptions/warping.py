"""Moving and averaging pixels: what blurs, zooms and distortions are made of.

Pictures are float64 (B, H, W, C) in [0, 1]. In float64 it makes no difference to the rounded result how many pictures
go through together.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Edge = Callable[[Tensor, int], Tensor]
"""What lies beyond a side: takes any int64 positions and the side, gives positions from 0 to side - 1."""


def scale(pictures: Tensor) -> float:
    """What lengths in pixels are multiplied by: the shorter side over CIFAR-10's 32, but never less than one."""
    return max(1.0, min(pictures.shape[1:3]) / 32)


def nearest(position: Tensor, side: int) -> Tensor:
    """The edge goes on: a a | a b c d | d d."""
    return position.clamp(0, side - 1)


def mirrored(position: Tensor, side: int) -> Tensor:
    """The edge is a mirror: c b | a b c d | c b."""
    period = max(1, 2 * (side - 1))
    position = position.abs() % period
    return torch.where(position >= side, period - position, position)


def mirrored_between(position: Tensor, side: int) -> Tensor:
    """The mirror stands beside the edge: b a | a b c d | d c."""
    position = position % (2 * side)
    return torch.where(position >= side, 2 * side - 1 - position, position)


def at(pictures: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The pixels at (B or 1, H, W) int64 rows and columns."""
    count, height, width, channels = pictures.shape
    start = torch.arange(count, device=pictures.device)[:, None, None] * (height * width)
    return pictures.reshape(-1, channels)[start + rows * width + columns]


def between(pictures: Tensor, rows: Tensor, columns: Tensor, edge: Edge) -> Tensor:
    """The values at (B, H, W) float64 rows and columns, linear between the four pixels around each."""
    height, width = pictures.shape[1:3]
    top, left = rows.floor(), columns.floor()
    down, right = (rows - top)[..., None], (columns - left)[..., None]
    y, x = top.long(), left.long()
    above, below, before, after = edge(y, height), edge(y + 1, height), edge(x, width), edge(x + 1, width)
    upper = at(pictures, above, before) * (1 - right) + at(pictures, above, after) * right
    lower = at(pictures, below, before) * (1 - right) + at(pictures, below, after) * right
    return upper * (1 - down) + lower * down


def places(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """The row and the column of every pixel: int64 (1, H, 1) and (1, 1, W)."""
    height, width = pictures.shape[1:3]
    rows, columns = (torch.arange(side, device=pictures.device) for side in (height, width))
    return rows[None, :, None], columns[None, None, :]


def correlated(pictures: Tensor, kernel: Tensor) -> Tensor:
    """Every pixel a weighted sum of its neighbours; ``kernel`` is (2 r + 1, 2 r + 1), its edge is `mirrored`."""
    height, width = pictures.shape[1:3]
    reach = len(kernel) // 2
    rows, columns = (torch.arange(-reach, side + reach, device=pictures.device) for side in (height, width))
    wider = pictures[:, mirrored(rows, height)][:, :, mirrored(columns, width)]
    result = torch.zeros_like(pictures)
    for y, x in kernel.nonzero().tolist():
        result.add_(wider[:, y : y + height, x : x + width], alpha=float(kernel[y, x]))
    return result


def separable(pictures: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Rows and columns mixed by the matrices (H', H) and (W', W)."""
    planes = pictures.permute(0, 3, 1, 2)
    rows, columns = rows.to(planes.device), columns.to(planes.device)
    return (rows @ (planes @ columns.T)).permute(0, 2, 3, 1)


def gaussian(sigma: float, reach: int) -> Tensor:
    """The weights of a Gaussian at -reach ... reach; they sum to one."""
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float64) / sigma) ** 2)
    return weights / weights.sum()


def smoothing(side: int, sigma: float, truncate: float, edge: Edge) -> Tensor:
    """The matrix (side, side) of a Gaussian filter that ends at ``truncate`` deviations."""
    reach = int(truncate * sigma + 0.5)
    if not reach:
        return torch.eye(side, dtype=torch.float64)
    matrix = torch.zeros(side, side, dtype=torch.float64)
    here = torch.arange(side)
    for offset, weight in zip(range(-reach, reach + 1), gaussian(sigma, reach), strict=True):
        matrix.index_put_((here, edge(here + offset, side)), weight, accumulate=True)
    return matrix


def smoothed(pictures: Tensor, sigma: float, truncate: float = 4.0, edge: Edge = nearest) -> Tensor:
    """A Gaussian filter."""
    rows, columns = (smoothing(side, sigma, truncate, edge) for side in pictures.shape[1:3])
    return separable(pictures, rows, columns)


def zoomed(pictures: Tensor, factor: float) -> Tensor:
    """The middle 1 / factor of every side, spread over all of it, linearly."""
    for axis in (1, 2):
        first, share = _spread(pictures.shape[axis], factor, pictures.device)
        near, far = (pictures.index_select(axis, place) for place in (first, mirrored(first + 1, pictures.shape[axis])))
        pictures = near.lerp_(far, share.view(-1, *[1] * (pictures.ndim - 1 - axis)))
    return pictures


def _spread(side: int, factor: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """The pixel before each new one, (side,) int64, and how far the new one lies behind it, (side,) float64."""
    crop = math.ceil(side / factor)
    size = round(crop * factor)
    place = torch.arange(side, dtype=torch.float64, device=device) + (size - side) // 2
    place = place * ((crop - 1) / max(size - 1, 1)) + (side - crop) // 2
    return place.floor().long(), place - place.floor()
