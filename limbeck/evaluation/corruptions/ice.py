"""Textures made of random numbers: clouds, and ice on a window."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from limbeck.evaluation.corruptions.draws import Draws

_CRYSTALS = 9
_BLUE = (0.78, 0.89, 1.0)


def plasma(side: int, decay: float, draws: Draws) -> Tensor:
    """Clouds by the diamond-square algorithm (Fournier, Fussell and Carpenter, CACM 1982) on a torus.

    Args:
        side: 1 or more; the map's is the next power of two.
        decay: by whose square the randomness shrinks at every halving; greater is smoother.
        draws: where the random numbers come from.

    Returns:
        (B, S, S) float64, from 0 to 1 in every map.
    """
    side = max(2, 1 << (side - 1).bit_length())
    field = draws.index.new_zeros(len(draws.index), side, side, dtype=torch.float64)
    step, strength = side, 1.0
    while step >= 2:
        half, count = step // 2, side // step
        wild = draws.uniform(f"plasma {step}", 3, count, count, least=-strength, most=strength)
        corners = field[:, ::step, ::step]
        pairs = corners + corners.roll(-1, 1)
        middles = (pairs + pairs.roll(-1, 2)) / 4 + wild[:, 0]
        across = (middles + middles.roll(1, 1) + corners + corners.roll(-1, 2)) / 4 + wild[:, 1]
        along = (middles + middles.roll(1, 2) + corners + corners.roll(-1, 1)) / 4 + wild[:, 2]
        field[:, half::step, half::step] = middles
        field[:, ::step, half::step] = across
        field[:, half::step, ::step] = along
        step, strength = half, strength / decay**2
    least, most = field.amin((1, 2), keepdim=True), field.amax((1, 2), keepdim=True)
    return (field - least) / (most - least)


def ice(height: int, width: int, scale: float, draws: Draws) -> Tensor:
    """Frost as it grows on a window: crystals of parallel needles that meet in bright ridges, thicker here than there.

    Args:
        height, width: of the pictures.
        scale: what the width of needles and ridges is multiplied by.
        draws: where the random numbers come from.

    Returns:
        (B, H, W, 3) float64 in [0, 1], a bluish white.
    """
    seeds = draws.uniform("seeds", _CRYSTALS, 2, least=-0.15, most=1.15)[..., None, None]
    rows = torch.arange(height, device=seeds.device, dtype=torch.float64)[:, None] - seeds[:, :, 0] * height
    columns = torch.arange(width, device=seeds.device, dtype=torch.float64) - seeds[:, :, 1] * width
    distance = (rows.square() + columns.square()).sqrt()
    first, owner = distance.min(1, keepdim=True)
    second = distance.scatter(1, owner, math.inf).amin(1)
    ridges = torch.exp((first[:, 0] - second) / scale)

    turn = draws.uniform("needles", _CRYSTALS, 1, 1, most=math.pi)
    spacing = draws.uniform("spacing", _CRYSTALS, 1, 1, least=2.5 * scale, most=6 * scale)
    waves = ((rows * turn.cos() + columns * turn.sin()) * (math.pi / spacing)).cos().square()
    needles = waves.gather(1, owner)[:, 0]

    thick = plasma(max(height, width), 1.75, draws)[:, :height, :width]
    white = (0.15 + 0.45 * thick + 0.3 * thick * needles + 0.3 * ridges).clamp(0, 1)[..., None]
    blue = white.new_tensor(_BLUE)
    return white * (blue + (1 - blue) * white)
