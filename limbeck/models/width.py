"""How the width multiplier acts on a network's channel and unit counts."""

from __future__ import annotations


def scaled(count: int, width: float) -> int:
    """``count`` channels or units times ``width`` (above 0), rounded to the nearest whole number and at least 1."""
    return max(1, round(count * width))
