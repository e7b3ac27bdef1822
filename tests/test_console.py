"""What a person sees: on a terminal, in a file, and when quiet."""

from __future__ import annotations

import io
import re
from types import SimpleNamespace
from typing import Any

import pytest
from rich.table import Table

from limbeck.console import Console, FittingTable, duration


def drawn(terminal: io.StringIO) -> list[str]:
    """The lines that were drawn, without the codes that colour and move."""
    return re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue()))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """The time that the console sees."""

    def __init__(self) -> None:
        self.now = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("limbeck.console.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.04, "0.0 s"),
        (8.25, "8.2 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (185, "3 min 5 s"),
        (3599.4, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (7800, "2 h 10 min"),
        (90000, "25 h 0 min"),
    ],
)
def test_a_duration_as_a_person_says_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text


class TestLines:
    def test_say_is_silent_when_quiet_and_show_is_not(self, said: io.StringIO) -> None:
        console = Console(quiet=True, file=said)
        console.say("progress")
        console.show("result")
        assert said.getvalue() == "result\n"

    def test_both_speak_otherwise(self, said: io.StringIO) -> None:
        console = Console(file=said)
        console.say("progress")
        console.say()
        console.show("result")
        assert said.getvalue() == "progress\n\nresult\n"

    @pytest.mark.parametrize(
        "text", ["runs/[bold]x[/bold]", "[/] and [0, 1]", "a :smile: path", "x" * 400, "a b " * 99]
    )
    def test_text_is_printed_as_it_is(self, said: io.StringIO, text: str) -> None:
        console = Console(file=said)
        console.say(text)
        console.show(text)
        assert said.getvalue() == f"{text}\n{text}\n"

    def test_the_standard_output_is_the_default(self, capsys: pytest.CaptureFixture[str]) -> None:
        Console().show("result")
        assert capsys.readouterr().out == "result\n"


class TestTables:
    @pytest.fixture
    def table(self) -> Table:
        table = Table()
        for _ in range(8):
            table.add_column("a heading of some length", overflow="fold")
        table.add_row(*["0123456789" * 2] * 7, "")
        return table

    @pytest.mark.parametrize(("columns", "width"), [(None, 120), ("60", 60), ("200", 200)])
    def test_the_width_in_a_file(
        self,
        said: io.StringIO,
        table: Table,
        monkeypatch: pytest.MonkeyPatch,
        columns: str | None,
        width: int,
    ) -> None:
        if columns:
            monkeypatch.setenv("COLUMNS", columns)
        Console(file=said).show(table)
        longest = max(map(len, said.getvalue().splitlines()))
        assert width - 16 < longest <= width

    def test_nothing_is_cut_off(self, said: io.StringIO, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "60")
        Console(quiet=True, file=said).show(table)
        text = said.getvalue()
        assert "…" not in text
        assert text.count("9") == 14

    def test_brackets_in_a_cell_are_text(self, said: io.StringIO) -> None:
        table = Table("folder")
        table.add_row("runs/[bold]x")
        Console(file=said).show(table)
        assert "runs/[bold]x" in said.getvalue()


class TestFittingTable:
    def shown(self, width: int, **style: Any) -> list[str]:
        said = io.StringIO()
        console = Console(file=said)
        console.rich.width = width
        table = FittingTable("least", "less", **style)
        for heading in ("first", "less", "least"):
            table.add_column(heading)
        table.add_column("prose", prose=True)
        table.add_row("a thing", "b", "[c]", "some long-winded words of prose")
        table.add_section()
        table.add_row("", "", "d", "")
        console.show(table)
        assert max(map(len, said.getvalue().splitlines())) <= width
        return [word for word in re.split(r"[^\w\[\]-]+", said.getvalue()) if re.search(r"\w", word)]

    def test_all_of_it_where_there_is_room(self) -> None:
        everything = "first less least prose a thing b [c] some long-winded words of prose d"
        assert self.shown(80) == everything.split()
        assert sorted(self.shown(44)) == sorted(everything.split())

    def test_the_least_needed_is_left_out_first(self) -> None:
        assert {"less", "b"} <= set(self.shown(36))
        assert not {"least", "[c]", "d"} & set(self.shown(36))
        assert not {"less", "b", "least"} & set(self.shown(28))
        assert {"first", "thing", "long-winded"} <= set(self.shown(28))

    def test_it_is_never_wider_than_the_terminal(self) -> None:
        assert "first" in self.shown(40, min_width=70, title="a title that is longer than the table is wide, by far")


class TestPlainBar:
    def test_a_line_every_ten_seconds(self, said: io.StringIO, clock: Clock) -> None:
        with Console(file=said).bar("teacher", 200) as bar:
            for second in range(0, 26):
                clock.now = 1000 + second
                bar.update(4 * second, f"loss {second}.0")
        assert said.getvalue().splitlines() == [
            "teacher:  20 %  loss 10.0  40 s left",
            "teacher:  40 %  loss 20.0  30 s left",
            "teacher: done in 25 s  loss 25.0",
        ]

    def test_work_that_begins_in_the_middle(self, said: io.StringIO, clock: Clock) -> None:
        """A run that goes on at 90 of 100 and does one unit a second has ten seconds to go, not one."""
        with Console(file=said).bar("student", 120) as bar:
            for second in range(11):
                clock.now = 1000 + second
                bar.update(90 + second)
        assert said.getvalue().splitlines()[0] == "student:  83 %    20 s left"

    def test_no_time_is_told_before_anything_is_done(self, said: io.StringIO, clock: Clock) -> None:
        with Console(file=said).bar("student", 100) as bar:
            clock.now += 11
            bar.update(0, "waiting")
        assert said.getvalue().splitlines()[0].rstrip() == "student:   0 %  waiting"

    def test_the_last_note_stays(self, said: io.StringIO, clock: Clock) -> None:
        with Console(file=said).bar("student", 100) as bar:
            bar.update(1, "loss 2.0")
            clock.now += 11
            bar.update(50)
        assert "loss 2.0" in said.getvalue().splitlines()[0]

    def test_short_work_is_not_worth_a_line(self, said: io.StringIO, clock: Clock) -> None:
        with Console(file=said).bar("student", 10) as bar:
            clock.now += 0.9
            bar.update(10)
        assert said.getvalue() == ""

    def test_work_of_a_second_is(self, said: io.StringIO, clock: Clock) -> None:
        with Console(file=said).bar("student", 10):
            clock.now += 1
        assert said.getvalue() == "student: done in 1.0 s\n"

    def test_work_without_units(self, said: io.StringIO, clock: Clock) -> None:
        with Console(file=said).bar("nothing", 0) as bar:
            clock.now += 11
            bar.update(0)
        assert "nothing:   0 %" in said.getvalue()

    def test_quiet(self, said: io.StringIO, clock: Clock) -> None:
        with Console(quiet=True, file=said).bar("student", 100) as bar:
            clock.now += 60
            bar.update(50, "loss")
        assert said.getvalue() == ""

    def test_what_failed_is_not_called_done(self, said: io.StringIO, clock: Clock) -> None:
        def work() -> None:
            with Console(file=said).bar("student", 100):
                clock.now += 60
                raise KeyError

        with pytest.raises(KeyError):
            work()
        assert said.getvalue() == ""


class TestTerminalBar:
    def test_label_share_and_note(self) -> None:
        terminal = Terminal()
        with Console(file=terminal).bar("student [alone]", 200) as bar:
            bar.update(50, "loss 1.250 [kd]")
        shown = terminal.getvalue()
        assert "student [alone]" in shown
        assert " 25 %" in shown
        assert "loss 1.250 [kd]" in shown

    def test_the_last_line_says_how_long_it_took(self, clock: Clock) -> None:
        terminal = Terminal()
        with Console(file=terminal).bar("student", 200) as bar:
            bar.update(200, "loss 1.250")
            clock.now += 75
        assert terminal.getvalue().endswith("student: done in 1 min 15 s  loss 1.250\n")

    @pytest.mark.parametrize("label", ["teacher", "student distilled, seed 0 (nin_cifar x0.25)", "s" * 90])
    @pytest.mark.parametrize(
        "figures", ["loss 1.234", "loss 1.234  labels 0.123  kd 1.111  right 45.6 %  1,234 images/s"]
    )
    @pytest.mark.parametrize("columns", [30, 60, 80, 120])
    def test_percent_and_time_left_are_always_there(
        self, monkeypatch: pytest.MonkeyPatch, columns: int, figures: str, label: str
    ) -> None:
        monkeypatch.setenv("COLUMNS", str(columns))
        terminal = Terminal()
        with Console(file=terminal).bar(label, 200) as bar:
            bar.update(50, figures)
        line = next(line for line in drawn(terminal) if " 25 %" in line)
        assert re.search(r" 25 % (-:--:--|--:--|\d+:\d+) left", line)
        assert len(line.rstrip()) <= columns
        assert line.startswith(label[:10])

    @pytest.mark.parametrize(
        ("columns", "shown"),
        [
            (60, "student distilled, seed 0  25 % --:-- left loss 1.234"),
            (80, "student distilled, seed 0 ━━╸━━━━━━━  25 % --:-- left loss 1.234  1,234 images/s"),
            (
                120,
                "student distilled, seed 0 ━━╸━━━━━━━  25 % --:-- left loss 1.234  labels 0.123  kd 1.111  right 45.6 %"
                "  1,234 images/s",
            ),
        ],
    )
    def test_what_is_left_out_first(self, monkeypatch: pytest.MonkeyPatch, columns: int, shown: str) -> None:
        monkeypatch.setenv("COLUMNS", str(columns))
        terminal = Terminal()
        with Console(file=terminal).bar("student distilled, seed 0 (nin_cifar x0.25)", 200) as bar:
            bar.update(50, "loss 1.234  labels 0.123  kd 1.111  right 45.6 %  1,234 images/s")
        assert next(line for line in drawn(terminal) if " 25 %" in line).rstrip() == shown

    def test_quiet(self) -> None:
        terminal = Terminal()
        with Console(quiet=True, file=terminal).bar("student", 200) as bar:
            bar.update(50, "loss 1.250")
        assert terminal.getvalue() == ""
