"""What a person sees while limbeck works: progress bars on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import IO

from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_PLAIN_SECONDS = 10.0
_PLAIN_WIDTH = 120


class Bar:
    """The progress of one piece of work. Made by `Console.bar`."""

    def __init__(self, console: Console, label: str, total: float) -> None:
        self._console, self._label, self._total = console, label, total
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._done, self._note = 0.0, ""
        self._began = self._spoke = time.monotonic()
        self._first: tuple[float, float] | None = None

    def update(self, done: float, note: str = "") -> None:
        """Shows that ``done`` of the total is done, with a short note (losses, throughput)."""
        self._done, self._note = done, note or self._note
        self._first = self._first or (time.monotonic(), done)
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, note=self._note)
        elif not self._console.quiet and time.monotonic() - self._spoke >= _PLAIN_SECONDS:
            self._spoke = time.monotonic()
            self._console.say(
                f"{self._label}: {100 * done / max(self._total, 1e-9):3.0f} %  {self._note}  {self._left()}"
            )

    def _left(self) -> str:
        """The time left, from the speed since the first update: work may begin in the middle."""
        began, start = self._first or (self._began, 0.0)
        done = self._done - start
        return f"{duration((time.monotonic() - began) * (self._total - self._done) / done)} left" if done else ""

    def _finish(self) -> None:
        elapsed = time.monotonic() - self._began
        if not self._console.quiet and elapsed >= 1:
            self._console.say(f"{self._label}: done in {duration(elapsed)}  {self._note}".rstrip())


class Console:
    """Where messages and progress go.

    Args:
        quiet: show nothing but results and errors.
        file: the stream to write to; the standard output by default.
    """

    def __init__(self, quiet: bool = False, file: IO[str] | None = None) -> None:
        self.quiet = quiet
        self.rich = RichConsole(file=file or sys.stdout, highlight=False, markup=False, emoji=False)
        if not self.rich.is_terminal and "COLUMNS" not in os.environ:
            self.rich.width = _PLAIN_WIDTH

    def say(self, text: str = "") -> None:
        """Prints a line of progress; silent when quiet."""
        if not self.quiet:
            self.rich.print(text, soft_wrap=True)

    def show(self, renderable: object) -> None:
        """Prints a result (text, or anything that rich can draw), also when quiet."""
        self.rich.print(renderable, soft_wrap=isinstance(renderable, str))

    @contextlib.contextmanager
    def bar(self, label: str, total: float) -> Iterator[Bar]:
        """A progress bar over ``total`` units of work, ended when the block ends."""
        bar = Bar(self, label, total)
        if self.rich.is_terminal and not self.quiet:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TextColumn("{task.percentage:>3.0f} %"),
                TextColumn("{task.fields[note]}", markup=False),
                TimeRemainingColumn(compact=True),
            )
            with Progress(*columns, console=self.rich, transient=True) as progress:
                bar._progress, bar._task = progress, progress.add_task(label, total=total, note="")
                yield bar
        else:
            yield bar
        bar._finish()


def duration(seconds: float) -> str:
    """Seconds as a person says them: "8 s", "3 min 5 s", "2 h 10 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
