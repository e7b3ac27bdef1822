"""Weather: snow, frost, fog, bright light."""

from __future__ import annotations

import torch
from torch import Tensor

from limbeck.evaluation.corruptions.blur import streaked
from limbeck.evaluation.corruptions.draws import Draws
from limbeck.evaluation.corruptions.ice import ice, plasma
from limbeck.evaluation.corruptions.warping import scale, zoomed

_LUMA = (0.299, 0.587, 0.114)


def snow(pictures: Tensor, severity: int, draws: Draws) -> Tensor:
    """Flakes blown in one direction and back, over a whitened picture. Flakes and their ways grow with the picture."""
    mean, deviation, size, least, way, sigma, kept = (
        (0.1, 0.2, 1.0, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1.0, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    )[severity - 1]
    flakes = zoomed(mean + deviation * draws.normal("flakes", *pictures.shape[1:3], 1), size * scale(pictures))
    flakes = torch.where(flakes < least, 0, flakes).clamp(0, 1)
    degrees = draws.uniform("direction", least=-135, most=-45)
    flakes = streaked(flakes, way * scale(pictures), sigma * scale(pictures), degrees)
    grey = (pictures * pictures.new_tensor(_LUMA)).sum(-1, keepdim=True)
    whitened = kept * pictures + (1 - kept) * torch.maximum(pictures, grey * 1.5 + 0.5)
    return whitened + flakes + flakes.flip(1, 2)


def frost(pictures: Tensor, severity: int, draws: Draws) -> Tensor:
    """Ice on the window in front of the picture.

    The release lays one of six photographs over the picture; here `ice` draws it, so that accuracies are not
    comparable with published ones. The weights of picture and ice are the release's.
    """
    picture, over = ((1.0, 0.2), (1.0, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))[severity - 1]
    height, width = pictures.shape[1:3]
    return picture * pictures + over * ice(height, width, scale(pictures), draws)


def fog(pictures: Tensor, severity: int, draws: Draws) -> Tensor:
    """Clouds before the picture, as bright as its brightest value. They are as large as the picture."""
    thickness, decay = ((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75))[severity - 1]
    height, width = pictures.shape[1:3]
    clouds = plasma(max(height, width), decay, draws)[:, :height, :width, None]
    brightest = pictures.amax(dim=(1, 2, 3), keepdim=True)
    return (pictures + thickness * clouds) * brightest / (brightest + thickness)


def brightness(pictures: Tensor, severity: int, draws: Draws) -> Tensor:
    """The value of HSV raised: hue and saturation stay as they are."""
    more = (0.05, 0.1, 0.15, 0.2, 0.3)[severity - 1]
    value = pictures.amax(-1, keepdim=True)
    raised = (value + more).clamp(max=1)
    return torch.where(value > 0, pictures * (raised / value.clamp(min=1 / 255)), raised)
