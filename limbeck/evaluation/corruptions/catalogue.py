"""The kinds of corruption by family, and the one function that applies them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from limbeck.data import Dataset
from limbeck.errors import LimbeckError, unknown
from limbeck.evaluation.corruptions import blur, digital, noise, weather
from limbeck.evaluation.corruptions.draws import Draws

SEVERITIES = (1, 2, 3, 4, 5)
_VALUES_AT_ONCE = 1 << 18  # what a processor's cache can hold

_Corruption = Callable[[Tensor, int, Draws], Tensor]
"""Takes float64 (B, H, W, 3) in [0, 1], a severity and random numbers; what it gives may leave that range."""

_FAMILIES: Mapping[str, tuple[_Corruption, ...]] = {
    "noise": (noise.gaussian_noise, noise.shot_noise, noise.impulse_noise),
    "blur": (blur.defocus_blur, blur.glass_blur, blur.motion_blur, blur.zoom_blur),
    "weather": (weather.snow, weather.frost, weather.fog, weather.brightness),
    "digital": (digital.contrast, digital.elastic_transform, digital.pixelate, digital.jpeg_compression),
}
_CORRUPTIONS = {corruption.__name__: corruption for family in _FAMILIES.values() for corruption in family}

KINDS: Mapping[str, tuple[str, ...]] = {
    family: tuple(corruption.__name__ for corruption in corruptions) for family, corruptions in _FAMILIES.items()
}
"""The fifteen kinds by family, named as in CIFAR-10-C."""
KINDS_AND_SEVERITIES = tuple((kind, severity) for kind in _CORRUPTIONS for severity in SEVERITIES)
"""All 75 of them, kind by kind, from the least severity to the most."""


def corrupted(pictures: Tensor, index: Tensor, kind: str, severity: int, seed: int = 0) -> Tensor:
    """Pictures as they look when something has gone wrong.

    A pure function of each picture and (seed, kind, severity, its index): the same bits whatever the batch. Lengths in
    pixels are CIFAR-10-C's for pictures of 32 x 32 and smaller; they grow with the shorter side of larger ones. Zoom
    blur crops whole pixels, so that of very small pictures (8 x 8) its least severity leaves everything as it is.

    Args:
        pictures: (B, H, W, 3) uint8.
        index: (B,) int64, the pictures' places in their data set.
        kind: one of `KINDS`.
        severity: 1 to 5.
        seed: of the random numbers.

    Returns:
        (B, H, W, 3) uint8, on the pictures' device.

    Raises:
        LimbeckError: another kind, severity, dtype or shape.
    """
    _refuse(pictures, index, kind, severity)
    if not pictures.numel():
        return pictures.clone()
    apply = _CORRUPTIONS[kind]
    device = torch.device("cpu") if pictures.device.type == "mps" else pictures.device  # which has no float64
    at_once = max(1, _VALUES_AT_ONCE // pictures[0].numel())
    pieces = []
    for some, where in zip(pictures.split(at_once), index.split(at_once), strict=True):
        draws = Draws(where.to(device), seed, "corruption", kind, severity)
        values = apply(some.to(device).double() / 255, severity, draws)
        pieces.append((values.clamp(0, 1) * 255).round().byte())
    return torch.cat(pieces).to(pictures.device)


def corrupted_set(pictures: Dataset, kind: str, severity: int, seed: int = 0) -> Dataset:
    """A data set with every picture `corrupted`; its labels, classes and name stay.

    Raises:
        LimbeckError: another kind or severity.
    """
    everything = torch.arange(len(pictures), device=pictures.device)
    images = corrupted(pictures.fetch(everything), everything, kind, severity, seed)
    return Dataset(pictures.name, pictures.classes, images, pictures.labels)


def _refuse(pictures: Tensor, index: Tensor, kind: str, severity: int) -> None:
    if kind not in _CORRUPTIONS:
        raise unknown("corruption", kind, _CORRUPTIONS)
    if severity not in SEVERITIES:
        raise LimbeckError(f"severity {severity!r} of {kind} does not exist: give 1 (least) to 5 (most).")
    if pictures.dtype != torch.uint8 or pictures.ndim != 4 or pictures.shape[-1] != 3:
        given = f"{str(pictures.dtype).removeprefix('torch.')} {tuple(pictures.shape)}"
        raise LimbeckError(f"pictures to corrupt must be uint8 (B, H, W, 3), not {given}. Put channels last.")
    if index.dtype != torch.int64 or index.shape != pictures.shape[:1]:
        given = f"{str(index.dtype).removeprefix('torch.')} {tuple(index.shape)}"
        raise LimbeckError(f"the index of {len(pictures)} pictures must be int64 ({len(pictures)},), not {given}.")
