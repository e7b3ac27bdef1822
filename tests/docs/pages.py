"""The documents as the tests read them: blocks of code, command lines, links."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_BLOCK = re.compile(r"^```(\w*) ?([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^    (limbeck (?:\S+ ?)+)", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


class Block(NamedTuple):
    """Code of a page.

    Attributes:
        language: "sh", "python", ...
        title: what stands behind it: of Python, the file that the reader writes; of a command, that it fails.
        text: the code.
        line: where it begins.
    """

    language: str
    title: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """The code of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [Block(*found.groups(), text.count("\n", 0, found.start()) + 1) for found in _BLOCK.finditer(text)]


def commands(text: str) -> list[list[str]]:
    """The words of each command line; a line that ends with a backslash goes on."""
    lines = text.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def listed(page: Path) -> list[list[str]]:
    """The commands of limbeck that stand in indented lines, each before what it does."""
    return [shlex.split(found) for found in _INDENTED.findall(_without_blocks(page))]


def links(page: Path) -> list[str]:
    """What a page links to beside the web."""
    found = _LINK.findall(_without_blocks(page))
    return [link for link in found if not re.match(r"\w+:", link)]


def anchors(page: Path) -> set[str]:
    """The headings of a page as a link names them."""
    headings = _HEADING.findall(_without_blocks(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _without_blocks(page: Path) -> str:
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))
