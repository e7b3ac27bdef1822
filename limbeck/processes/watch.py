"""What a process does when another one, without which it cannot go on, is gone: one of them says so, and all end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from limbeck.errors import LimbeckError

if TYPE_CHECKING:
    from torch.distributed import Store

_GRACE = 5.0  # seconds that a process has to end by itself
_KEPT = "What was finished and the last checkpoint are kept; type the same command again, with any number of processes."

Process = tuple[str, int]
"""The name of a machine, and a process there."""


class LostError(LimbeckError):
    """Another process is gone, or all were told to end: nothing can be done together any more."""


class Watch:
    """Notices the end of other processes. When one ends, torchrun sends SIGTERM to the rest.

    Args:
        everybody: the processes by rank, this one among them, as `me` gives them.
        store: what all of them can reach.
    """

    def __init__(self, everybody: Sequence[Process], store: Store) -> None:
        self._everybody, self._store = everybody, store
        if threading.current_thread() is threading.main_thread():
            self._listen()

    @staticmethod
    def me() -> Process:
        """This process."""
        return socket.gethostname(), os.getpid()

    def lost(self, why: str) -> LostError:
        """The error where the processes cannot go on together."""
        ending()
        count = len(self._everybody)
        for _ in range(20):  # a process lets go of its connections a moment before it is gone
            if gone := self._gone():
                who = " and ".join(f"process {number + 1}" for number in gone)
                return LostError(f"{who} of {count} {'has' if len(gone) == 1 else 'have'} ended. {_KEPT}")
            time.sleep(0.05)
        return LostError(f"the {count} processes were stopped, or cannot reach each other ({why}). {_KEPT}")

    def speaks(self) -> bool:
        """Whether it is for this process to say why all end: for the first that asks."""
        with contextlib.suppress(RuntimeError):
            return self._store.add("limbeck/said", 1) == 1
        return self._everybody.index(self.me()) == 0

    def _gone(self) -> list[int]:
        """The processes of this machine that have ended."""
        machine, _ = self.me()
        here = [(number, process) for number, (where, process) in enumerate(self._everybody) if where == machine]
        return [number for number, process in here if not _alive(process)]

    def _listen(self) -> None:
        def stop(number: int, frame: object) -> None:
            raise self.lost("SIGTERM")

        signal.signal(signal.SIGTERM, stop)
        # A call of CUDA that waits for a process that is gone never comes back to Python: a thread looks after it.
        heard, of_kernel = os.pipe()
        os.set_blocking(of_kernel, False)
        signal.set_wakeup_fd(of_kernel, warn_on_full_buffer=False)
        threading.Thread(target=self._end_soon, args=(heard,), daemon=True).start()

    def _end_soon(self, heard: int) -> None:
        """Ends a process that was told to and does not."""
        while os.read(heard, 1) != bytes([signal.SIGTERM]):
            pass
        time.sleep(_GRACE)
        if self.speaks():
            print(f"error: {self.lost('SIGTERM')}", file=sys.stderr, flush=True)
        os._exit(2)


def ending() -> None:
    """Lets this process end undisturbed: it is not told to do so once more while it says why."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2]
    except OSError:
        return True
    return state.split()[0] not in "ZX"  # ended, though nobody has asked how
