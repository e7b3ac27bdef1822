"""What a person sees while limbeck works: progress bars on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import IO, Any

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, JustifyMethod, RenderResult
from rich.measure import Measurement
from rich.progress import Progress, ProgressColumn, Task, TaskID, TimeRemainingColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

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
            with Progress(_Line(self.rich), console=self.rich, transient=True) as progress:
                bar._progress, bar._task = progress, progress.add_task(label, total=total, note="")
                yield bar
        else:
            yield bar
        bar._finish()


class _Line(ProgressColumn):
    """Label, bar, percent, time left and note on one line, which is never wider than the terminal."""

    def __init__(self, console: RichConsole) -> None:
        super().__init__()
        self._console, self._time_left = console, TimeRemainingColumn(compact=True)

    def render(self, task: Task) -> Table:
        """Percent and time left are always there; the rest as far as there is room for it."""
        share, left = f"{task.percentage:3.0f} %", f"{self._time_left(task)} left"
        room = self._console.width - len(share) - len(left) - 2
        label, width, note = _fitted(task.description, task.fields["note"], room)
        line = Table.grid(padding=(0, 1))
        cells = [Text(label), ProgressBar(task.total, task.completed, width) if width else None, share, left, note]
        line.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells if cell))
        return line


def _fitted(label: str, note: str, room: int) -> tuple[str, int, str]:
    """A label, the width of a bar and a note that take no more than ``room`` characters, the spaces between included.

    A note's figures stand two spaces apart. The first (the loss) and the last are the ones to keep.
    """
    short, figures = label.partition(" (")[0], note.split("  ")
    for name, width in ((label, 24), (label, 10), (short, 10)):
        if len(name) + 1 + width + 1 + len(note) <= room:
            return name, width, note
    while len(figures) > 1 and len(short) + 12 + len("  ".join(figures)) > room:
        del figures[1]
    for width, rest in ((10, "  ".join(figures)), (0, "  ".join(figures)), (10, ""), (0, "")):
        if len(short) + width + bool(width) + len(rest) + bool(rest) <= room:
            return short, width, rest
    return f"{short[: max(room - 1, 0)]}…", 0, ""


class FittingTable:
    """A table that leaves out columns, the least needed first, until the others have to split no word.

    Args:
        spare: the headings of columns that may be left out, in that order.
        style: as rich's ``Table`` takes it.
    """

    def __init__(self, *spare: str, **style: Any) -> None:
        self._spare, self._style = spare, style
        self._columns: list[tuple[str, JustifyMethod, bool]] = []
        self._rows: list[tuple[str, ...]] = []
        self._sections: set[int] = set()

    def add_column(self, heading: str, justify: JustifyMethod = "left", prose: bool = False) -> None:
        """Adds a column; only one that holds ``prose`` is wrapped, between its words."""
        self._columns.append((heading, justify, prose))

    def add_row(self, *cells: str) -> None:
        """Adds a row with a cell for each column."""
        self._rows.append(cells)

    def add_section(self) -> None:
        """Draws a line below the last row."""
        self._sections.add(len(self._rows))

    def __rich_console__(self, console: RichConsole, options: ConsoleOptions) -> RenderResult:
        left_out: set[str] = set()
        for heading in self._spare:
            narrowest = self._drawn(left_out, options.max_width, narrow=True)
            if Measurement.get(console, options.update(max_width=100_000), narrowest).maximum <= options.max_width:
                break
            left_out.add(heading)
        yield self._drawn(left_out, options.max_width)

    def _drawn(self, left_out: set[str], width: int, narrow: bool = False) -> Table:
        style = self._style | {"min_width": min(self._style.get("min_width", 0), 0 if narrow else width)}
        table = Table(**style)
        kept = [place for place, (heading, _, _) in enumerate(self._columns) if heading not in left_out]
        for place in kept:
            heading, justify, prose = self._columns[place]
            words = " ".join([heading, *(row[place] for row in self._rows)]).split()
            longest = max(map(len, words), default=0) if prose and narrow else None
            table.add_column(heading, justify=justify, no_wrap=not prose, overflow="fold", max_width=longest)
        for number, row in enumerate(self._rows):
            if number in self._sections:
                table.add_section()
            table.add_row(*(row[place] for place in kept))
        return table


def size(count: float) -> str:
    """Bytes as a person says them: "27.4 MB", "1.2 GB"."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{max(count / 1e6, 0.1):,.1f} MB"


def duration(seconds: float) -> str:
    """Seconds as a person says them: "8 s", "3 min 5 s", "2 h 10 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
