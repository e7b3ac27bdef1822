"""Bridges between the shapes of two networks' features: (C, H, W) maps, (N, D) tokens or (D,) vectors of a picture."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from limbeck.errors import LimbeckError

Shape = tuple[int, ...]


def adapt(from_shape: Shape, to_shape: Shape) -> nn.Module:
    """The module that brings features of one shape to another; identity where nothing differs.

    Only a change of width learns: a 1x1 convolution between maps, a linear layer between tokens or vectors. Sizes
    change by adaptive average pooling, which averages where it shrinks and repeats where it grows. A vector counts as
    a map of one pixel. N tokens are the pixels of a square map, row by row, where N is a square; where N - 1 is one,
    the first is a class token. It goes over to a class token of the other side and is left out where there is none;
    where only the other side has one, it gets the mean of the pixels.

    Args:
        from_shape: what comes in, without the batch: (C, H, W), (N, D) or (D,).
        to_shape: what is wanted, likewise.

    Returns:
        a module from ``(B, *from_shape)`` to ``(B, *to_shape)``; float32 out of any floating type, identity as it came.

    Raises:
        LimbeckError: a shape of another form, or a number of tokens that is no square map where one is needed.
    """
    source, target = _checked(from_shape), _checked(to_shape)
    if source == target:
        return nn.Identity()
    if len(source) == len(target) and len(source) < 3 and source[:-1] == target[:-1]:
        return _Adapter(nn.Linear(source[-1], target[-1]))
    if len(source) == len(target) == 2:
        between = _ResizeTokens(source[0], target[0])
        return _Adapter(*_cheaper_first(source, target, nn.Linear(source[1], target[1]), between))
    (channels, *size), (wanted_channels, *wanted) = _as_map(source), _as_map(target)
    convolve = nn.Conv2d(channels, wanted_channels, kernel_size=1)
    resize = nn.Identity() if size == wanted else nn.AdaptiveAvgPool2d((wanted[0], wanted[1]))
    return _Adapter(_to_map(source), *_cheaper_first(source, target, convolve, resize), _from_map(target))


def same_maps(student: Tensor, teacher: Tensor) -> None:
    """Refuses what are not two maps of the same pictures at the same resolution; their channels may differ."""
    if student.ndim != 4 or teacher.ndim != 4 or _without_channels(student) != _without_channels(teacher):
        raise LimbeckError(
            f"student maps {tuple(student.shape)} and teacher maps {tuple(teacher.shape)} do not fit. Both must be "
            "(batch, channels, height, width), equal but for the channels. "
            "Put adapt(student's shape, wanted shape) behind the student."
        )


class _Adapter(nn.Sequential):
    """Its steps without those that do nothing; features may come in bf16, its weights are float32."""

    def __init__(self, *steps: nn.Module) -> None:
        super().__init__(*(step for step in steps if not isinstance(step, nn.Identity)))

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features.float())


class _TokensToMap(nn.Module):
    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.side, self.special = _square(tokens)

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens[:, self.special :].transpose(1, 2).unflatten(2, (self.side, self.side))


class _MapToTokens(nn.Module):
    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.special = _square(tokens)[1]

    def forward(self, maps: Tensor) -> Tensor:
        pixels = maps.flatten(2).transpose(1, 2)
        return torch.cat([pixels.mean(1, keepdim=True), pixels], 1) if self.special else pixels


class _ResizeTokens(nn.Module):
    """Tokens to another number of tokens; a class token that both sides have goes through as it is."""

    def __init__(self, tokens: int, wanted: int) -> None:
        super().__init__()
        side, special = _square(wanted)
        self.keeps = bool(special and _square(tokens)[1])
        self.resize = nn.Sequential(_TokensToMap(tokens), nn.AdaptiveAvgPool2d(side), _MapToTokens(wanted))

    def forward(self, tokens: Tensor) -> Tensor:
        resized = self.resize(tokens)
        return torch.cat([tokens[:, :1], resized[:, 1:]], 1) if self.keeps else resized


def _checked(shape: Shape) -> Shape:
    if not 1 <= len(shape) <= 3 or min(shape) < 1:
        raise LimbeckError(
            f"features of shape {tuple(shape)} cannot be adapted: for one picture they must be (channels, height, "
            "width), (tokens, width) or (width,), each at least 1. Leave the batch out."
        )
    return tuple(shape)


def _square(tokens: int) -> tuple[int, int]:
    """The side of the square map that the tokens make, and how many stand before it: 0, or 1 for a class token."""
    for special in (0, 1):
        side = math.isqrt(tokens - special)
        if side and side * side == tokens - special:
            return side, special
    raise LimbeckError(
        f"{tokens} tokens are not the pixels of a square map, with or without one class token: their number must be a "
        "square, or one more. Tap the tokens of the patches alone, or adapt to features of as many tokens."
    )


def _as_map(shape: Shape) -> Shape:
    if len(shape) == 2:
        side, _ = _square(shape[0])
        return shape[1], side, side
    return shape if len(shape) == 3 else (*shape, 1, 1)


def _to_map(shape: Shape) -> nn.Module:
    if len(shape) == 2:
        return _TokensToMap(shape[0])
    return nn.Identity() if len(shape) == 3 else nn.Unflatten(1, (shape[0], 1, 1))


def _from_map(shape: Shape) -> nn.Module:
    if len(shape) == 2:
        return _MapToTokens(shape[0])
    return nn.Identity() if len(shape) == 3 else nn.Flatten(1)


def _cheaper_first(source: Shape, target: Shape, widen: nn.Module, resize: nn.Module) -> tuple[nn.Module, nn.Module]:
    """The two steps in the order that works on fewer pixels; an average commutes with what treats each pixel alike."""
    (channels, *size), (wanted_channels, *wanted) = _as_map(source), _as_map(target)
    if channels == wanted_channels:
        widen = nn.Identity()
    return (resize, widen) if math.prod(wanted) <= math.prod(size) else (widen, resize)


def _without_channels(maps: Tensor) -> tuple[int, ...]:
    batch, _, *size = maps.shape
    return (batch, *size)
