"""What the machine could do at most, and whether anybody else was using it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from turns import now


@torch.no_grad()
def matrix_products(device: torch.device, bf16: bool, side: int = 4096) -> dict[str, float]:
    """The speed of products of square matrices, in GFLOP/s: the best of three of each kind.

    The same fp32 product is measured as torch.mm and as a 1x1 convolution, because the two go through different
    libraries, and on some processors only one of them uses the widest vectors (on AMD's, MKL leaves AVX-512 alone, and
    oneDNN, which runs the convolutions, uses it). The higher figure is the machine's peak.

    Args:
        device: where.
        bf16: whether to measure bf16 as well; that takes minutes on processors without instructions for it.
        side: rows and columns of both matrices; a multiple of 64.
    """
    left, right = torch.rand(2, side, side, device=device)
    images = left.view(1, 64, side // 64, side).permute(0, 3, 1, 2)
    kernel = right.view(side, side, 1, 1)
    products: dict[str, Callable[[], Tensor]] = {
        "fp32 torch.mm": lambda: torch.mm(left, right),
        "fp32 1x1 convolution": lambda: F.conv2d(images, kernel),
    }
    if bf16:
        left_bf16, right_bf16 = left.bfloat16(), right.bfloat16()
        products["bf16 torch.mm"] = lambda: torch.mm(left_bf16, right_bf16)
    return {name: 2 * side**3 / min(_seconds(product) for _ in range(4)) / 1e9 for name, product in products.items()}


def _seconds(work: Callable[[], object]) -> float:
    began = now()
    work()
    return now() - began


def training_gflop(network: nn.Module, image: Tensor) -> float:
    """GFLOP of one forward and backward pass; a multiply-add counts as two."""
    with FlopCounterMode(display=False) as counter:
        network(image).sum().backward()
    return counter.get_total_flops() / 1e9


def forward_gflop(network: nn.Module, image: Tensor) -> float:
    """GFLOP of one forward pass; a multiply-add counts as two."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    return counter.get_total_flops() / 1e9


class Others:
    """How much processor time programs other than this one and its children take, from now on (Linux only)."""

    def __init__(self) -> None:
        self._began = self._reading()

    def share(self) -> float | None:
        """The share of all cores' time, in [0, 1], once all children have ended; None where it is not known."""
        if self._began is None or (ended := self._reading()) is None:
            return None
        elapsed, busy, own = (after - before for before, after in zip(self._began, ended, strict=True))
        return max(0.0, busy - own) / max(elapsed, 1e-9)

    def _reading(self) -> tuple[float, float, float] | None:
        """Seconds of all cores together, those of them spent busy, and those spent busy on our behalf."""
        try:
            first_line = Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0]
        except OSError:
            return None
        ticks = os.sysconf("SC_CLK_TCK")
        user, nice, system, idle, waiting, *rest = (int(count) / ticks for count in first_line.split()[1:9])
        used = os.times()
        busy = user + nice + system + sum(rest)
        return busy + idle + waiting, busy, sum(used[:4])


def versions(*more: str) -> str:
    """The versions of what was measured, and of ``more`` packages; a checkout that is not installed has none."""

    def version(name: str) -> str:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return "(not installed)"

    packages = ("limbeck", "torch", "torchvision", "pillow", *more)
    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)])
