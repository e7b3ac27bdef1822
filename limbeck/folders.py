"""The folders that limbeck keeps its work in: others are refused, and what killed processes left is removed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from limbeck import files
from limbeck.data import Dataset
from limbeck.errors import LimbeckError

_PICTURES = "pictures.json"
UNFINISHED = ".*.part"  # what a process that was killed was writing
UNFINISHED_FOLDER = ".unfinished-"  # and what a folder's name began with that it was filling


def busy(path: Path) -> str:
    """What is said to a second process in the same folder."""
    return f"another process is working in {path}. Wait until it has ended, or type --out FOLDER to work elsewhere."


def names(path: Path) -> set[str]:
    """What is in a folder; nothing where it is not there."""
    with files.mendable(path, "read"):
        return {item.name for item in path.iterdir()} if path.is_dir() else set()


def refuse_foreign(path: Path, kind: str, marker: str, parts: Sequence[str] = ()) -> None:
    """Refuses a folder that holds something, but not the file by which limbeck's are known.

    Args:
        path: the folder.
        kind: what should be in it: "run".
        marker: the name of that file.
        parts: what a process that was killed may have left without it, beside the folder that it was filling.
    """
    there = names(path)
    filled = {name for name in there if name.startswith(UNFINISHED_FOLDER)}
    foreign = sorted(name for name in there - filled if name != "lock" and not fnmatch(name, UNFINISHED))
    left = bool(filled) and set(foreign) <= set(parts)
    if foreign and marker not in there and not left:
        raise LimbeckError(
            f"{path} is not the folder of a {kind}: it has {', '.join(foreign[:3])} but no {marker}. "
            "Type --out with the name of a new folder."
        )


def clear(path: Path, contents: Sequence[str] = ()) -> None:
    """Removes what killed processes were writing, and then, in this order, what has one of these names."""
    with files.mendable(path, "clear"):
        for left in path.rglob(UNFINISHED):
            left.unlink()
        for item in [item for pattern in contents for item in sorted(path.glob(pattern))]:
            if item.is_dir() and not item.is_symlink():
                shutil.rmtree(item)
            else:
                item.unlink()


def changed(folder: Path, pictures: Dataset) -> bool:
    """Whether pictures of one's own are noted in a folder, but as others than they are now."""
    return _noted(folder).get(pictures.name, pictures.source) != pictures.source


def noted_change(folder: Path, pictures: Dataset) -> list[str]:
    """What is to be said of figures of pictures that have `changed`."""
    since = f"{pictures.name} was changed since {folder} was started: this is of the pictures as they are now."
    return [since] if changed(folder, pictures) else []


def refuse_changed(folder: Path, pictures: Dataset) -> None:
    """Notes in pictures.json what pictures of one's own were when they were first used in a folder.

    Raises:
        LimbeckError: they were others then.
    """
    noted = _noted(folder)
    if not pictures.source or noted.get(pictures.name) == pictures.source:
        return
    if pictures.name in noted:
        raise LimbeckError(
            f"the pictures of {pictures.name} were changed since {folder} was started: files were added, removed or "
            "altered, or have other labels. Put them back as they were; or type --fresh to start over, or --out with "
            "the name of a new folder."
        )
    files.write_json(folder / _PICTURES, {**noted, pictures.name: pictures.source})


def _noted(folder: Path) -> dict[str, str]:
    path = folder / _PICTURES
    return files.read_json(path, {}, "Type --fresh to start over.") if path.exists() else {}
