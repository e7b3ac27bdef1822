"""How much memory a training takes, beyond what was held before it; and what is said when there is too little."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path

import torch

from limbeck.errors import TrainingError
from limbeck.objectives import Objective
from limbeck.training.optim import Train

_OUT_OF_MEMORY = re.compile("can't allocate memory|not enough memory|out of memory|ALLOC_FAILED", re.IGNORECASE)
_PROCESS = Path("/proc/self")
_LIMIT = Path("/sys/fs/cgroup/memory.max")
_RESET_PEAK = "5"  # as proc(5) has it


class Peak:
    """The largest memory in use on a device from the making of this object on.

    CUDA: what torch allocates there. CPU: the process's resident memory, on Linux with glibc, which is first told to
    give back what it keeps for later; code and libraries that are used for the first time count, too. Only one can
    measure at a time: making another begins anew.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._held = self._begin()

    def figures(self) -> dict[str, float]:
        """As metrics.jsonl has it: ``peak_memory``, in bytes beyond what was held; nothing where it is not measured."""
        if self._held is None:
            return {}
        peak = torch.cuda.max_memory_allocated(self._device) if self._device.type == "cuda" else _resident("VmHWM")
        return {"peak_memory": max(0, peak - self._held)}

    def _begin(self) -> int | None:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            return torch.cuda.memory_allocated(self._device)
        if self._device.type != "cpu" or platform.libc_ver()[0] != "glibc":
            return None
        try:
            ctypes.CDLL(None).malloc_trim(0)
            (_PROCESS / "clear_refs").write_text(_RESET_PEAK, encoding="ascii")
            _resident("VmHWM")
            return _resident("VmRSS")
        except (OSError, LookupError, AttributeError):  # a container without these files, a libc without that function
            return None


@contextlib.contextmanager
def enough_memory(doing: str, train: Train, objective: Objective) -> Iterator[None]:
    """Turns whatever torch raises when memory runs out into a `TrainingError` that says what to lower."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        said = (str(error) or "MemoryError").splitlines()[0]
        if not isinstance(error, (torch.OutOfMemoryError, MemoryError)) and not _OUT_OF_MEMORY.search(said):
            raise
        parts = "" if objective.relating() else f"raise accumulate (now {train.accumulate}), "
        raise TrainingError(
            f"out of memory in {doing}: {said}\n"
            f"Lower its batch_size (now {train.batch_size}) or chunk (now {train.chunk}), {parts}or narrow the "
            "network: --train.batch-size and --student.width for the student, --teacher.train.batch-size and "
            "--teacher.student.width for the teacher.",
            short="out of memory",
            lasting=False,
        ) from error


def capacity(device: torch.device) -> int:
    """The memory of a device, in bytes; of the CPU, what the machine or the container has."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):  # no limit, or none that can be read
        return min(whole, int(_LIMIT.read_text(encoding="ascii")))
    return whole


def _resident(name: str) -> int:
    """A figure of /proc/self/status, in bytes."""
    lines = (_PROCESS / "status").read_text(encoding="ascii", errors="replace").splitlines()
    figures = {key: value for key, _, value in (line.partition(":") for line in lines)}
    return 1024 * int(figures[name].split()[0])
