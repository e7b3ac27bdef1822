"""Mixing: two pictures of a batch shown as one, to teacher and student alike."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.spec import Family
from limbeck.streams import derive


class Mixture(NamedTuple):
    """How the pictures of a batch were mixed.

    Attributes:
        partner: (B,) int64, the place in the batch of each picture's partner.
        share: how much of each is the picture itself, from 0.5 to 1; the rest is its partner.
    """

    partner: Tensor
    share: float


class Mixing(Family):
    """Base of the ways to mix pictures: a subclass has a ``name`` and `mix`.

    A mixed picture keeps the larger share of itself. It is mixed before anybody looks at it, so that the teacher
    answers for what the student sees: "consistent teaching" (Beyer et al., CVPR 2022).
    """

    probability: float = Field(1.0, ge=0, le=1, description="Share of the batches that are mixed.")

    def mix(self, views_NCHW: Tensor, partner: Tensor, random: np.random.Generator) -> tuple[Tensor, float]:
        """The views, mixed with those at ``partner``; and the share that is each picture's own."""
        raise NotImplementedError


class Mixup(Mixing):
    """mixup (Zhang, Cisse, Dauphin, Lopez-Paz, ICLR 2018): a weighted mean of two pictures."""

    name: Literal["mixup"] = "mixup"
    alpha: float = Field(1.0, gt=0, description="The shares are drawn from Beta(alpha, alpha); above 0.")

    def mix(self, views_NCHW: Tensor, partner: Tensor, random: np.random.Generator) -> tuple[Tensor, float]:
        share = _share(self.alpha, random)
        mean = torch.lerp(views_NCHW[partner].float(), views_NCHW.float(), share)
        return mean.round_().to(torch.uint8), share


class CutMix(Mixing):
    """CutMix (Yun et al., ICCV 2019): a rectangle of each picture is replaced by its partner's."""

    name: Literal["cutmix"] = "cutmix"
    alpha: float = Field(1.0, gt=0, description="The shares are drawn from Beta(alpha, alpha); above 0.")

    def mix(self, views_NCHW: Tensor, partner: Tensor, random: np.random.Generator) -> tuple[Tensor, float]:
        side = math.sqrt(1 - _share(self.alpha, random))
        (top, bottom), (left, right) = (_cut(length, side, random) for length in views_NCHW.shape[2:])
        mixed = views_NCHW.clone()
        mixed[:, :, top:bottom, left:right] = views_NCHW[partner, :, top:bottom, left:right]
        return mixed, 1 - (bottom - top) * (right - left) / views_NCHW[0, 0].numel()


class MixupOrCutMix(Mixing):
    """One of the two for each batch, with equal probability."""

    name: Literal["mixup_or_cutmix"] = "mixup_or_cutmix"
    mixup: float = Field(0.8, gt=0, description="alpha of mixup; above 0.")
    cutmix: float = Field(1.0, gt=0, description="alpha of CutMix; above 0.")

    def mix(self, views_NCHW: Tensor, partner: Tensor, random: np.random.Generator) -> tuple[Tensor, float]:
        chosen = CutMix(alpha=self.cutmix) if random.random() < 0.5 else Mixup(alpha=self.mixup)
        return chosen.mix(views_NCHW, partner, random)


def mix(mixing: Mixing, views_NCHW: Tensor, view_seed: int, step: int) -> tuple[Tensor, Mixture]:
    """The views of a batch, mixed; the same for the same (view seed, step) and batch, whoever trains on them.

    Args:
        mixing: how.
        views_NCHW: (B, 3, H, W) uint8; left as they are.
        view_seed: as for `limbeck.data.views.make_views`.
        step: of the training, from 0.

    Returns:
        (B, 3, H, W) uint8 in the same memory format, and who was mixed with whom.
    """
    random = np.random.default_rng(derive(view_seed, "mix", step))
    partner = torch.from_numpy(random.permutation(len(views_NCHW))).to(views_NCHW.device)
    if random.random() >= mixing.probability:
        return views_NCHW, Mixture(partner, 1.0)
    mixed, share = mixing.mix(views_NCHW, partner, random)
    if mixed.shape != views_NCHW.shape or mixed.dtype != torch.uint8 or not 0.5 <= share <= 1:
        raise LimbeckError(
            f"mixing {mixing.name!r} returned pictures {tuple(mixed.shape)} of {mixed.dtype} and the share {share}. "
            f"Return uint8 pictures {tuple(views_NCHW.shape)}, and from 0.5 to 1."
        )
    return mixed, Mixture(partner, share)


def _share(alpha: float, random: np.random.Generator) -> float:
    drawn = random.beta(alpha, alpha)
    return max(drawn, 1 - drawn)


def _cut(length: int, side: float, random: np.random.Generator) -> tuple[int, int]:
    """Where a rectangle begins and ends: ``side`` of the length around a uniform centre, cut at the edge."""
    half, centre = int(length * side) // 2, int(random.integers(length))
    return max(centre - half, 0), min(centre + half, length)
