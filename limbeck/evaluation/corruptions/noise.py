"""Noise: the camera's electronics, too little light, broken pixels. Its strength is a pixel's, whatever the size."""

from __future__ import annotations

import functools

import numpy as np
import torch
from scipy.special import pdtr
from torch import Tensor

from limbeck.evaluation.corruptions.draws import Draws

_SHARES = 1024


def gaussian_noise(pictures: Tensor, severity: int, draws: Draws) -> Tensor:
    """Normal noise on every value."""
    deviation = (0.04, 0.06, 0.08, 0.09, 0.10)[severity - 1]
    return pictures + deviation * draws.normal("noise", *pictures.shape[1:])


def shot_noise(pictures: Tensor, severity: int, draws: Draws) -> Tensor:
    """Every value a count of photons: a Poisson number with the value's mean."""
    photons = (500, 250, 100, 75, 50)[severity - 1]
    level = (pictures * 255).round().long()
    chance = draws.uniform("photons", *pictures.shape[1:])
    at_most, start = (table.to(pictures.device) for table in _poisson(photons))
    place = level * at_most.shape[1] + start[level, (chance * start.shape[1]).long()]
    place, chance = place.flatten(), chance.flatten()
    behind = (at_most.take(place) < chance).nonzero()[:, 0]
    while len(behind):
        place[behind] += 1
        behind = behind[at_most.take(place[behind]) < chance[behind]]
    return (place.view_as(level) - level * at_most.shape[1]) / photons


@functools.cache
def _poisson(photons: int) -> tuple[Tensor, Tensor]:
    """What inverts the Poisson distribution of each of 256 levels, at most ``photons`` on average.

    Returns:
        (256, K): the probability of at most k; (256, S): the least k for chances from s / S on.
    """
    counts = np.arange(int(photons + 8 * photons**0.5) + 1)
    at_most = pdtr(counts, np.arange(256)[:, None] / 255 * photons)
    shares = np.arange(_SHARES) / _SHARES
    start = np.stack([np.searchsorted(row, shares) for row in at_most])
    return torch.from_numpy(at_most), torch.from_numpy(start)


def impulse_noise(pictures: Tensor, severity: int, draws: Draws) -> Tensor:
    """Salt and pepper: some values all on, as many all off."""
    share = (0.01, 0.02, 0.03, 0.05, 0.07)[severity - 1]
    chance = draws.uniform("impulse", *pictures.shape[1:])
    salted = torch.where(chance < share / 2, 1.0, pictures)
    return torch.where(chance > 1 - share / 2, 0.0, salted)
