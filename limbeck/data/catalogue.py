"""The data sets that limbeck knows by name, and those of one's own. To add one, write its `Entry` in a file of its own
and name it here."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from limbeck import files
from limbeck.console import Console
from limbeck.data import cifar10, cifar10_1, cifar100, digits
from limbeck.data.dataset import Dataset
from limbeck.data.entry import Entry, Status
from limbeck.data.fetch import cache_folder
from limbeck.data.pictures import Collection, is_own, may_be_own
from limbeck.data.pictures import title as own_title
from limbeck.data.reading import Reading
from limbeck.errors import LimbeckError, unknown

CATALOGUE: dict[str, Entry] = {
    entry.name: entry for entry in (digits.ENTRY, cifar10.ENTRY, cifar10_1.ENTRY, cifar100.ENTRY)
}


def resolve(name: str, reading: Reading | None = None) -> Entry | Collection:
    """What a name stands for: a data set of the catalogue, else a folder, a CSV or hf/OWNER/NAME.

    Folders are listed for it, and no picture is opened. The catalogue's names go first: ./digits is a folder.

    Raises:
        LimbeckError: there is no such data set, or it has a single class; or the name is empty.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    if not name:
        raise LimbeckError(
            "no pictures are named, and this recipe has none of its own. Type --data.name FOLDER with a folder of "
            "pictures, a CSV or hf/OWNER/NAME; --data.name digits tries it out."
        )
    if is_own(name):
        return Collection(name, reading or Reading())
    then = "Type `limbeck data list` for what each is, or give a folder of pictures or a CSV."
    beside = files.near(Path(name), may_be_own)
    raise unknown("data set", name, CATALOGUE, then, [str(beside)] if beside else [])


def title(name: str) -> str:
    """What reports and file names call a data set."""
    return name if name in CATALOGUE else own_title(name)


def shared_title(names: Iterable[str]) -> str | None:
    """What two data sets would both be called, for whom there would then be one place; None where there are no such."""
    titles = [title(name) for name in dict.fromkeys(names)]
    return max(titles, key=titles.count) if len(set(titles)) < len(titles) else None


def load(
    name: str,
    split: Literal["train", "val", "test"],
    console: Console | None = None,
    reading: Reading | None = None,
) -> Dataset:
    """One split of a data set, on the CPU; fetched first where it is not in the cache.

    Every load compares the files of a data set of the catalogue with their published digests.

    Args:
        name: of the catalogue; a folder of pictures, a CSV or hf/OWNER/NAME.
        split: "val" is for those that have one.
        console: where progress goes.
        reading: how pictures of one's own are read.

    Raises:
        DataUnavailable: it is not here, and no source has it; the message says what was tried.
        LimbeckError: unknown name or split, a split that the data set does not have, or an altered or broken file.
    """
    found, console = resolve(name, reading), console or Console()
    if isinstance(found, Collection):
        pictures = found.load(split, console)
        for line in found.introduce(pictures, split):
            console.say(line)
        return pictures
    return found.load(split, cache_folder() / name, console)


def status(name: str) -> Status:
    """What is known of a data set of the catalogue without reading its pictures.

    Raises:
        LimbeckError: unknown name.
    """
    return _entry(name).status(cache_folder() / name)


def fetch(name: str, console: Console | None = None) -> Status:
    """Gets a data set into the cache, from the first source that works, and verifies it byte for byte.

    What is there and unaltered is kept; a second process waits for the first.

    Raises:
        DataUnavailable: no source has it; the message says what was tried, and which file to put where.
        LimbeckError: unknown name, or a cache that cannot be written to.
    """
    _entry(name).fetch(cache_folder() / name, console or Console())
    return status(name)


def verify(name: str, console: Console | None = None) -> tuple[str, ...]:
    """Compares what lies in the cache with what was published; of pictures of one's own, reads every file anew.

    Returns:
        One line for each fault, with what to type to mend it; empty where all is well.

    Raises:
        LimbeckError: unknown name.
    """
    found, console = resolve(name), console or Console()
    if isinstance(found, Collection):
        return found.faults(console)
    return found.verify(cache_folder() / name, console)


def _entry(name: str) -> Entry:
    found = resolve(name)
    if isinstance(found, Collection):
        raise LimbeckError(
            f"{name} is a data set of your own: there is nothing to fetch. Type `limbeck data list {name}`."
        )
    return found
