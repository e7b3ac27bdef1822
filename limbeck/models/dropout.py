"""Dropout whose masks do not hold up a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Dropout(nn.Dropout):
    """`torch.nn.Dropout` (Srivastava et al., JMLR 2014), with masks from bytes of 64-bit random numbers on the CPU.

    torch draws a CPU's masks one number at a time on one core, a sixth of a training step of the networks here. Where
    ``p`` is a multiple of 1/256, a byte decides just as exactly. Elsewhere, and on other devices, this is torch's own.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``x`` with each element zeroed with probability ``p`` and the others divided by 1 - ``p``; ``x`` in eval."""
        threshold = 256 * self.p
        dense = x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)
        ours = self.training and x.device.type == "cpu" and threshold == int(threshold) and self.p != 1 and dense
        if not ours or torch.compiler.is_compiling():  # the compiler fuses torch's, and cannot see into this one
            return super().forward(x)
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        byte = words.view(torch.uint8)[: x.numel()].as_strided(x.shape, x.stride())
        return x * (byte >= int(threshold)).to(x.dtype).mul_(1 / (1 - self.p))
