"""Blur: out of focus, behind frosted glass, in motion, zoomed while the shutter was open."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from limbeck.evaluation.corruptions.draws import Draws
from limbeck.evaluation.corruptions.warping import (
    at,
    correlated,
    gaussian,
    nearest,
    places,
    scale,
    smoothed,
    zoomed,
)

_LEAST_WEIGHT = 1e-4


def defocus_blur(pictures: Tensor, severity: int, draws: Draws) -> Tensor:
    """A disk, its border softened. Its radius and softness grow with the picture."""
    radius, softness = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1))[severity - 1]
    return correlated(pictures, _disk(radius * scale(pictures), softness * scale(pictures), round(scale(pictures))))


def _disk(radius: float, softness: float, border: int) -> Tensor:
    reach = math.ceil(radius) + border
    square = torch.arange(-reach, reach + 1, dtype=torch.float64) ** 2
    disk = (square[:, None] + square <= radius**2).double()
    soft = gaussian(softness, border)
    return correlated((disk / disk.sum())[None, :, :, None], soft[:, None] * soft)[0, :, :, 0]


def glass_blur(pictures: Tensor, severity: int, draws: Draws) -> Tensor:
    """Every pixel but those of the border takes the place of a near one, between two blurs. Distances grow with the
    picture.

    The release means to exchange pixels, but what it does, and what its pictures show, is to copy them.
    """
    sigma, reach, rounds = ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2))[severity - 1]
    sigma, reach = sigma * scale(pictures), round(reach * scale(pictures))
    height, width = pictures.shape[1:3]
    rows, columns = places(pictures)
    inside = (rows > reach) & (rows <= height - reach) & (columns > reach) & (columns <= width - reach)
    moved = smoothed(pictures, sigma)
    for turn in range(rounds):
        down, right = (draws.integers(f"{way} {turn}", 2 * reach, height, width) - reach for way in ("down", "right"))
        moved = at(moved, rows + down * inside, columns + right * inside)
    return smoothed(moved, sigma)


def motion_blur(pictures: Tensor, severity: int, draws: Draws) -> Tensor:
    """Every picture in a direction of its own, within 45 degrees of the horizontal. Its way grows with the picture."""
    radius, sigma = ((6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5))[severity - 1]
    degrees = draws.uniform("direction", least=-45, most=45)
    return streaked(pictures, radius * scale(pictures), sigma * scale(pictures), degrees)


def streaked(pictures: Tensor, radius: float, sigma: float, degrees: Tensor) -> Tensor:
    """Every pixel an average of those ahead of it on a line.

    Args:
        pictures: (B, H, W, C).
        radius: half the length of the line in pixels.
        sigma: of the half Gaussian that weighs it; what weighs next to nothing is left out.
        degrees: (B,), each picture's direction.
    """
    weights = gaussian(sigma, 2 * math.ceil(radius))[2 * math.ceil(radius) :]
    weights = weights[weights >= _LEAST_WEIGHT * weights.sum()]
    weights = weights / weights.sum()
    rows, columns = places(pictures)
    turn = torch.deg2rad(degrees)[:, None, None]
    result = torch.zeros_like(pictures)
    for step, weight in enumerate(weights.tolist()):
        down, right = ((step * way - 0.5).ceil().long() for way in (turn.sin(), turn.cos()))
        ahead = at(pictures, nearest(rows + down, pictures.shape[1]), nearest(columns + right, pictures.shape[2]))
        result.add_(ahead, alpha=weight)
    return result


def zoom_blur(pictures: Tensor, severity: int, draws: Draws) -> Tensor:
    """The mean of the picture and its enlargements, by up to 6 % at the least severity and 25 % at the most."""
    last = (6, 11, 15, 20, 25)[severity - 1]
    pixels = pictures.permute(1, 2, 3, 0)[None].contiguous()  # whole batches move, not single values
    total = pixels.clone()
    for percent in range(last + 1):
        total += zoomed(pixels, 1 + percent / 100)
    return total[0].permute(3, 0, 1, 2) / (last + 2)
