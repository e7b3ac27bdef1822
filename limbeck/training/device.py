"""The one place that chooses device, precision, memory layout, compilation and allocator, and says why."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import platform
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.processes import ranks
from limbeck.spec import Spec

_OWN_THREADS = torch.get_num_threads()  # before anybody sets them


class Device(Spec):
    """Where and how to compute. "auto" decides by what the machine can do, and says why."""

    name: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="auto, fp32 or bf16 (autocast).")
    compile: Literal["auto", "on", "off"] = Field("auto", description="Whether torch.compile fuses the training step.")
    threads: int | None = Field(None, ge=1, description="CPU threads; none leaves torch's choice.")


@dataclass(frozen=True)
class Engine:
    """A decided `Device`: everything that the numerical part needs to know about the machine.

    Attributes:
        device: where tensors live.
        autocast: the dtype of automatic mixed precision, or None for plain float32.
        compiled: whether the training step goes through torch.compile.
        reasons: why, one line for each decision.
    """

    device: torch.device
    autocast: torch.dtype | None
    compiled: bool
    reasons: tuple[str, ...]

    def precision(self) -> AbstractContextManager[object]:
        """The context in which networks are called."""
        if self.autocast is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast)

    def dtype(self) -> str:
        """In what networks compute, as `Device.precision` calls it: "fp32" or "bf16"."""
        return "fp32" if self.autocast is None else "bf16"

    def generators(self) -> list[torch.device]:
        """The accelerators whose random state a detour must leave alone, beside the CPU's."""
        return [self.device] if self.device.type == "cuda" else []

    def place(self, module: nn.Module) -> nn.Module:
        """Moves a module to the device, its weights in channels_last."""
        return module.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def pictures(self, views_NCHW: Tensor) -> Tensor:
        """uint8 views as the floats in [0, 1] that networks take, still channels_last."""
        return views_NCHW.to(self.device, non_blocking=True).float().div_(255)


def choose(wanted: Device) -> Engine:
    """Decides where and how to compute.

    Of several processes that torchrun started, each takes a GPU of its own.

    Raises:
        LimbeckError: the device does not exist, or cannot do what is asked.
    """
    device, why = _device(wanted.name) if ranks.size() == 1 else _own_device(wanted.name)
    autocast, why_precision = _precision(wanted.precision, device)
    compiled, why_compiled = _compiled(wanted.compile, device)
    reasons = [why, why_precision, "memory layout channels_last: convolutions read it fastest", why_compiled]
    torch.set_num_threads(wanted.threads or _OWN_THREADS)
    if device.type == "cpu":
        reasons.append(f"{torch.get_num_threads()} threads")
        reasons.append(_tune_allocator())
    if device.type == "cuda":
        if ranks.size() > 1:
            torch.cuda.set_device(device)
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    return Engine(device, autocast, compiled, tuple(reasons))


def _device(name: str) -> tuple[torch.device, str]:
    there = _available()
    if name == "auto":
        best = there[0]
        others = "the best of: " + ", ".join(there) if len(there) > 1 else "no accelerator found"
        return torch.device(best), f"device {best}: {others}"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in {item.split(":")[0] for item in there}:
        raise LimbeckError(
            f"device {name!r} is not available. On this machine: auto, {', '.join(there)}. "
            f"Type --device.name {there[0]}"
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise LimbeckError(f"device {name!r} is not available: there are {count} GPUs, cuda:0 to cuda:{count - 1}.")
    if device.type != "cuda" and device.index:
        raise LimbeckError(
            f"device {name!r} is not available: there is one {device.type}. Type --device.name {device.type}"
        )
    return device, f"device {name}: as asked"


def _own_device(name: str) -> tuple[torch.device, str]:
    """The device of this process, where there are others."""
    here = ranks.place()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device, _ = _device(name)
    if device.type == "mps" or device.index is not None:
        raise LimbeckError(
            f"device {name!r} is one for {here.beside} processes. Type --device.name "
            f"{'cuda, and each takes a GPU of its own' if device.type == 'cuda' else 'cpu'}; or leave torchrun away."
        )
    if device.type == "cpu":
        return device, f"device cpu: {here.size} processes share each batch"
    if here.beside > torch.cuda.device_count():
        raise LimbeckError(
            f"{here.beside} processes need as many GPUs, and there are {torch.cuda.device_count()}. Type torchrun "
            f"--nproc-per-node {torch.cuda.device_count()}, or --device.name cpu."
        )
    return torch.device("cuda", here.local), f"device cuda: {here.size} processes share each batch, each on its own GPU"


def _available() -> list[str]:
    there = ["cuda"] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        there.append("mps")
    return [*there, "cpu"]


def _precision(wanted: str, device: torch.device) -> tuple[torch.dtype | None, str]:
    if wanted == "fp32":
        return None, "precision fp32: as asked"
    if wanted == "bf16":
        if device.type == "mps":
            raise LimbeckError("precision 'bf16' is not offered on mps. Type --device.precision fp32")
        return torch.bfloat16, "precision bf16 (autocast): as asked"
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16, "precision bf16 (autocast): the GPU has matrix units for it"
    if device.type == "cpu" and (instructions := _bf16_instructions()):
        return torch.bfloat16, f"precision bf16 (autocast): the processor multiplies it in hardware ({instructions})"
    return None, f"precision fp32: {device.type} has no fast bf16 here"


def _bf16_instructions() -> str | None:
    """The instructions that make bf16 faster than fp32 on this CPU: twice as fast with them, slower without."""
    for instructions, check in (("AMX", "_is_amx_tile_supported"), ("AVX512_BF16", "_is_avx512_bf16_supported")):
        supported = getattr(torch.cpu, check, None)
        if supported is not None and supported():
            return instructions
    return None


def _compiled(wanted: str, device: torch.device) -> tuple[bool, str]:
    if ranks.size() > 1:
        return False, "compile off: what several processes gather in the middle of a step cannot be fused"
    if wanted != "auto":
        return wanted == "on", f"compile {wanted}: as asked"
    if device.type == "cuda":
        return True, "compile on: fusing the step pays on a GPU"
    return False, f"compile off: on {device.type} it does not pay for its start"


@functools.cache
def _tune_allocator() -> str:
    """Tells glibc to keep freed memory, so that every step reuses the pages of the one before it.

    By default glibc returns large blocks to the kernel when they are freed and page-faults them in again.
    """
    if platform.libc_ver()[0] != "glibc":
        return "allocator as it is: not glibc"
    m_trim_threshold, m_top_pad, m_mmap_max = -1, -2, -4
    libc = ctypes.CDLL(None)
    kept = [libc.mallopt(m_mmap_max, 0), libc.mallopt(m_trim_threshold, -1), libc.mallopt(m_top_pad, 64 << 20)]
    return (
        "allocator glibc, keeping freed memory for the next step" if all(kept) else "allocator as it is: glibc refused"
    )
