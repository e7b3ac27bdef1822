"""What the documents show works as it stands there, page by page and from top to bottom.

A page is tried as soon as it lies in docs/. Every line of a block ``sh`` is run; of one that begins with another
program than limbeck, the form alone is looked at. The blocks ``python`` of a page are run in one namespace; one with
the name of a file behind ``python`` is written to it. The commands of a block ``sh fails`` end with 1. What a page
takes for granted is in `given`.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from given import GIVEN, NAMES
from pages import PAGES, ROOT, blocks, commands, listed

from limbeck import options
from limbeck.cli import main
from limbeck.commands import COMMANDS

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_PLACEHOLDER = re.compile(r"\||\.\.\.|\b[A-Z]{3,}\b")
_HASHED = re.compile(r"(runs/[\w.]+-)[0-9a-f]{8}(?=/|$)")


class Names(dict[str, Any]):
    """A namespace that knows what is taken for granted."""

    def __missing__(self, name: str) -> Any:
        if name not in NAMES:
            raise KeyError(name)
        self[name] = NAMES[name]()
        return self[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_shows_works(page: Path, reader: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = Names() if page.stem == "README" else {}
    for block in blocks(page):
        where = f"{page.name}, line {block.line}"
        if block.language == "python" and block.title:
            Path(block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            provide(re.findall(r'"([^"\n]+)"', block.text))
            exec(compile(block.text, where, "exec"), names)
        elif block.language == "sh":
            for words in commands(block.text):
                run(words, 1 if block.title == "fails" else 0, where, capsys)
        else:
            assert block.language in ("text", "json") or block.title == "{toctree}", where


def test_the_commands_that_the_readme_lists_work(reader: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = listed(ROOT / "README.md")
    assert len(lines) > 20
    for words in lines:
        if _PLACEHOLDER.search(" ".join(words)):
            assert words[1] in COMMANDS, words
        elif "--export" in words:  # seconds, which docs/engineer.md takes already
            options.parse_run(words[2:], "")
        else:
            run(words, 0, "README.md", capsys)


def provide(words: list[str]) -> None:
    """Makes those of the reader's files that are named."""
    for word in words:
        for name in word.split("+"):
            place = Path(name.partition(":")[0])
            if str(place) in GIVEN and not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                GIVEN[str(place)](place)


def run(words: list[str], code: int, where: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs a command of limbeck; looks at the form of any other, and of those that are joined by &&."""
    if words[0] != "limbeck":
        for line in " ".join(words).split(" && "):
            program, *rest = line.split()
            program = program.rpartition("/")[2]
            assert program in OTHERS, f"{where}: {program} is not known here: add it to OTHERS"
            OTHERS[program](rest)
        return
    provide(words)
    words = [_HASHED.sub(lambda found: str(next(Path().glob(f"{found[1]}*"))), word) for word in words]
    ended = main(words[1:])
    said = capsys.readouterr()
    assert ended == code, f"{where}: {' '.join(words)}\n{said.out}{said.err}"
    assert "Traceback" not in said.err


def limbeck(words: list[str]) -> None:
    assert words[0] in COMMANDS, words


def pip(words: list[str]) -> None:
    """Installs this project, or packages that one of its extras has."""
    extras = PROJECT["optional-dependencies"]
    known = {re.split(r"[^\w-]", need)[0] for needs in extras.values() for need in needs}
    assert words[0] == "install", words
    for word in words[1:]:
        if found := re.fullmatch(r"(?:\.|limbeck)(?:\[([\w,]+)\])?", word):
            assert set(filter(None, (found[1] or "").split(","))) <= set(extras), words
        else:
            assert word in known or word in ("-q", "-e"), words


def python(words: list[str]) -> None:
    """A module, or a script of the repository."""
    if words[0] == "-m":
        assert words[1] in ("venv", "pip", "pytest", "limbeck"), words
        if words[1] in OTHERS:
            OTHERS[words[1]](words[2:])
    else:
        assert (ROOT / words[0]).is_file(), words


def torchrun(words: list[str]) -> None:
    """`limbeck run` on several devices; its recipe and its options are read."""
    at = words.index("limbeck")
    assert words[at - 1] in ("-m", "--no-python"), words
    assert words[at + 1] == "run", words
    options.parse_run(words[at + 2 :], "")


def docker(words: list[str]) -> None:
    """An image by the Dockerfile's own arguments; what runs in it is a command of limbeck's."""
    assert words[0] in ("build", "run"), words
    if words[0] == "build":
        declared = re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
        pairs = itertools.pairwise(words)
        assert {word.partition("=")[0] for before, word in pairs if before == "--build-arg"} <= set(declared), words
        assert words[-1] == ".", words
    else:
        (at,) = (place for place, word in enumerate(words) if re.fullmatch(r"limbeck(:\w+)?", word))
        limbeck(words[at + 1 :])


OTHERS: dict[str, Callable[[list[str]], None]] = {
    "limbeck": limbeck,
    "pip": pip,
    "python": python,
    "python3": python,
    "torchrun": torchrun,
    "docker": docker,
    "activate": lambda words: None,
}
