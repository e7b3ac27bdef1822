"""Pictures that lie in files: what is there, and its bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_KINDS = "jpg jpeg jpe jfif png bmp dib gif webp tif tiff ppm pgm pbm pnm jp2 avif ico tga"
SUFFIXES = frozenset(f".{kind}" for kind in _KINDS.split())
"""What a picture's name ends with."""


class Files:
    """What lies below a folder, by its path from there."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, where: str) -> bytes:
        """The content of a file."""
        return (self.root / where).read_bytes()

    def stamp(self, where: str) -> str:
        """Its size and the time of its last change."""
        found = (self.root / where).stat()
        return f"{found.st_size} {found.st_mtime_ns}"


def folders_in(path: Path) -> list[str]:
    """The names of the folders in one, sorted; hidden ones are left out."""
    return sorted(each.name for each in os.scandir(path) if each.is_dir() and not each.name.startswith("."))


def names_in(path: Path) -> list[str]:
    """The names of the files in a folder, sorted, links to nothing among them; hidden ones are left out."""
    return sorted(each.name for each in os.scandir(path) if _is_file(each) and not each.name.startswith("."))


def _is_file(each: os.DirEntry[str]) -> bool:
    """Whether it is a file, or a link that leads nowhere: who looks at that finds a file that cannot be read."""
    return each.is_file() or (each.is_symlink() and not os.path.exists(each.path))  # noqa: PTH110 (false, too, in circles)


def files_below(path: Path, seen: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """All files below a folder, links followed but not round in a circle; in the order of their names."""
    here = path.resolve()
    if here in seen:
        return
    yield from (path / name for name in names_in(path))
    for name in folders_in(path):
        yield from files_below(path / name, seen | {here})
