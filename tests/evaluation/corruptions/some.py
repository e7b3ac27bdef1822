"""Pictures to corrupt."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from limbeck.evaluation.corruptions import corrupted

COUNT = 6
INDEX = torch.arange(COUNT) * 7


@functools.cache
def pictures(height: int = 32, width: int = 32) -> Tensor:
    """Smooth colours with soft edges, as photographs have them."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(COUNT, 3, 6, 6, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    return (fine * 255).round().byte().permute(0, 2, 3, 1).contiguous()


def constant(*colour: int, height: int = 32, width: int = 32) -> Tensor:
    return torch.tensor(colour, dtype=torch.uint8).expand(1, height, width, 3).clone()


def one(picture: Tensor, kind: str, severity: int, seed: int = 0) -> Tensor:
    return corrupted(picture, torch.arange(len(picture)), kind, severity, seed)
