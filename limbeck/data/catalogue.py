"""The data sets that limbeck knows by name. To add one, write its `Entry` in a file of its own and name it here."""

from __future__ import annotations

from typing import Literal

from limbeck.console import Console
from limbeck.data import cifar10, cifar10_1, cifar100, digits
from limbeck.data.dataset import Dataset
from limbeck.data.entry import Entry, Status
from limbeck.data.fetch import cache_folder
from limbeck.errors import unknown

CATALOGUE: dict[str, Entry] = {
    entry.name: entry for entry in (digits.ENTRY, cifar10.ENTRY, cifar10_1.ENTRY, cifar100.ENTRY)
}


def load(name: str, split: Literal["train", "test"], console: Console | None = None) -> Dataset:
    """One split of a data set of the catalogue, on the CPU; fetched first where it is not in the cache.

    Every load compares the files with their published digests.

    Raises:
        DataUnavailable: it is not here, and no source has it; the message says what was tried.
        LimbeckError: unknown name or split, a split that the data set does not have, or an altered file.
    """
    return _entry(name).load(split, cache_folder() / name, console or Console())


def status(name: str) -> Status:
    """What is known of a data set without reading its pictures.

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
    """Compares what lies in the cache with what was published.

    Returns:
        One line for each fault, with what to type to mend it; empty where all is well.

    Raises:
        LimbeckError: unknown name.
    """
    return _entry(name).verify(cache_folder() / name, console or Console())


def _entry(name: str) -> Entry:
    if name not in CATALOGUE:
        raise unknown("data set", name, CATALOGUE, "Type `limbeck data list` to see them.")
    return CATALOGUE[name]
