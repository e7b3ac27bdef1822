"""Contenders timed in turn, each in a process of its own, so that one's settings neither help nor hurt another."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection

import torch

from limbeck.console import Console
from limbeck.errors import LimbeckError


class Turns:
    """A contender's end of its conversation with the referee. It sleeps while others have their turn."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def take(self) -> None:
        """Waits for this contender's turn, then starts the clock."""
        self._connection.recv()
        self.start()

    def start(self) -> None:
        """Starts the clock anew."""
        self._began = now()

    def stop(self) -> None:
        """Stops the clock."""
        self._seconds = now() - self._began

    def give(self, pictures: int) -> None:
        """Ends the turn and reports how many pictures a second went through between start and stop."""
        self._connection.send(pictures / self._seconds)


Contender = Callable[[Turns], None]


def now() -> float:
    """Seconds on a clock, once the GPU has done what it was given."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()


def referee(
    contenders: Mapping[str, Contender], rounds: int, console: Console, after_round: Callable[[], None] = lambda: None
) -> dict[str, list[float]]:
    """Gives every contender one turn a round.

    Args:
        contenders: by name; each takes and gives ``1 + rounds`` turns. The first warms it up and is not counted.
        rounds: the rounds that count, 1 or more.
        console: where progress goes.
        after_round: called while all the contenders sleep.

    Returns:
        the pictures a second of each contender, one figure a round.

    Raises:
        LimbeckError: a contender's process has ended.
    """
    context = multiprocessing.get_context("spawn")
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    lines: dict[str, Connection] = {}
    with contextlib.ExitStack() as stack, console.bar("turns", (1 + rounds) * len(contenders)) as bar:
        for name, contender in contenders.items():  # they get ready together
            lines[name], theirs = context.Pipe()
            process = context.Process(target=_contend, args=(contender, theirs), name=name)
            process.start()
            theirs.close()
            stack.callback(process.join)
            stack.callback(lines[name].close)
        for number in range(1 + rounds):
            for place, name in enumerate(contenders, start=1):
                try:
                    lines[name].send("go")
                    speed = lines[name].recv()
                except (EOFError, OSError) as error:
                    raise LimbeckError(f"contender {name!r} has stopped; what it said is above.") from error
                if number:
                    speeds[name].append(speed)
                bar.update(number * len(contenders) + place, f"{name} {speed:,.0f} images/s")
            after_round()
    return speeds


def _contend(contender: Contender, connection: Connection) -> None:
    multiprocessing.set_start_method(None, force=True)  # a loader's workers start as they do in a notebook
    with contextlib.suppress(EOFError, BrokenPipeError):  # the referee has gone
        contender(Turns(connection))
