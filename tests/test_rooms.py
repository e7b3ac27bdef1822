"""The house is as CONTRIBUTING.md draws it: every module has a room, and no room imports one of a line below."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "limbeck"
_PUBLIC = ("limbeck/__init__.py", "limbeck/__main__.py")  # the door


def lines() -> dict[str, int]:
    """The line that each room stands on, by the room's path: "data", "report/page", "cli"."""
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("| room |")[2].partition("\n\n")[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    return {name.rstrip("/"): line for line, row in enumerate(rows) for name in re.findall(r"`([\w/]+)`", row)}


def room_of(module: str, rooms: dict[str, int]) -> str | None:
    """The innermost room of a module, named as in "limbeck.report.page.facts"."""
    parts = module.split(".")[1:]
    paths = ("/".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((path for path in paths if path in rooms), None)


def imported(file: Path) -> Iterator[str]:
    """What a module imports of the package, wherever in the file; of `from a import b`, a.b."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_every_room_is_there_and_every_module_has_one() -> None:
    rooms = lines()
    assert len(rooms) > 20
    for room in rooms:
        assert (PACKAGE / room).is_dir() or (PACKAGE / f"{room}.py").is_file(), room
    modules = [file.relative_to(ROOT).as_posix() for file in PACKAGE.rglob("*.py")]
    homeless = [name for name in modules if name not in _PUBLIC and not room_of(name[:-3].replace("/", "."), rooms)]
    assert not homeless


def test_no_room_imports_one_of_a_line_below() -> None:
    rooms, wrong, seen = lines(), [], 0
    for file in sorted(PACKAGE.rglob("*.py")):
        name = file.relative_to(ROOT).as_posix()
        if name in _PUBLIC:
            continue
        home = room_of(name[:-3].replace("/", "."), rooms)
        for other in imported(file):
            room = room_of(other, rooms) if other.startswith("limbeck.") else None
            seen += room is not None
            if home and room and rooms[room] > rooms[home]:
                wrong.append(f"{name} ({home}) imports {other}")
    assert seen > 1000
    assert not wrong, "\n".join(wrong)
