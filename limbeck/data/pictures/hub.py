"""Data sets of the Hugging Face hub, and those that `save_to_disk` wrote, by the package `datasets`."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from limbeck.data.fetch import DataUnavailable
from limbeck.data.pictures.listing import SPLIT_OF, Item, Listing, shared_out
from limbeck.data.reading import Reading
from limbeck.errors import LimbeckError

PREFIX = "hf/"
_MARKS = ("dataset_dict.json", "state.json")


def is_saved(path: Path) -> bool:
    """Whether `save_to_disk` wrote this folder."""
    return any((path / mark).is_file() for mark in _MARKS)


def refuse_without_package(name: str) -> None:
    """Raises a `LimbeckError` where the package is not installed."""
    if importlib.util.find_spec("datasets") is None:
        raise LimbeckError(f"{name} needs the package datasets, which is not installed. Type: pip install datasets")


def listing(name: str, path: Path | None, reading: Reading) -> Listing:
    """The pictures of a data set; those of the hub are fetched into its own cache.

    Args:
        name: "hf/OWNER/NAME" or "hf/OWNER/NAME:CONFIGURATION", or what was typed for ``path``.
        path: a folder that `save_to_disk` wrote; none: the hub.

    Raises:
        DataUnavailable: the hub does not have it, or cannot be asked.
        LimbeckError: it has no pictures, no labels, or several of them and none is named.
    """
    refuse_without_package(name)
    tables = {split: table for split, table in _tables(name, path).items() if len(table)}
    first = next(iter(tables.values()), None)
    if first is None:
        raise LimbeckError(f"{name} has no rows in a split named {', '.join(SPLIT_OF)}.")
    image = _column(name, first, "Image", reading.image, "image")
    label = _column(name, first, "ClassLabel", reading.label, "label")
    classes, number = _classes(tables, label)
    given = {
        split: [Item(f"{split}/{row}", number(said)) for row, said in enumerate(table[label])]
        for split, table in tables.items()
    }
    shared, notes = shared_out(given, reading)
    rows = _Rows(tables, image)
    return Listing(classes, shared, rows.read, rows.stamp, tuple(notes))


class _Rows:
    """Pictures by split and row, their bytes as they are kept."""

    def __init__(self, tables: Mapping[str, Any], image: str) -> None:
        import datasets

        self._image = image
        self._tables = {
            split: table.select_columns([image]).cast_column(image, datasets.Image(decode=False))
            for split, table in tables.items()
        }
        self._state = {split: str(table._fingerprint) for split, table in tables.items()}

    def read(self, where: str) -> bytes:
        split, _, row = where.partition("/")
        kept = self._tables[split][int(row)][self._image] or {}
        if kept.get("bytes") is None and kept.get("path"):
            return Path(kept["path"]).read_bytes()
        return bytes(kept.get("bytes") or b"")

    def stamp(self, where: str) -> str:
        return self._state[where.partition("/")[0]]


def _tables(name: str, path: Path | None) -> dict[str, Any]:
    """The rows of each split."""
    import datasets

    with _quiet(datasets):
        if path is not None:
            try:
                found = datasets.load_from_disk(str(path))
            except Exception as error:  # whatever a damaged folder makes the package raise
                raise LimbeckError(f"{path} cannot be read as a saved Hugging Face data set: {error}") from error
        else:
            repository, _, configuration = name.removeprefix(PREFIX).partition(":")
            try:
                found = datasets.load_dataset(repository, configuration or None)
            except Exception as error:  # of the network, of the hub, of its files
                raise DataUnavailable(
                    f"{name} cannot be had from the Hugging Face hub: {error}. Check its name (hf/OWNER/NAME, or "
                    "hf/OWNER/NAME:CONFIGURATION), or give a folder that its save_to_disk wrote."
                ) from error
    splits = found if isinstance(found, dict) else {"train": found}
    return {SPLIT_OF[split.lower()]: table for split, table in splits.items() if split.lower() in SPLIT_OF}


@contextlib.contextmanager
def _quiet(datasets: Any) -> Iterator[None]:
    """Without the package's own bars while it opens files."""
    shown = datasets.utils.logging.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


def _column(name: str, table: Any, kind: str, wanted: str | None, option: str) -> str:
    """The column that was named; else the only one of that kind, or the one that bears the option's name."""
    features = table.features
    if wanted is not None:
        if wanted not in features:
            raise LimbeckError(
                f"{name} has no column {wanted!r}. It has: {', '.join(features)}. Type --data.{option} with one."
            )
        return wanted
    found = [column for column, feature in features.items() if type(feature).__name__ == kind]
    if len(found) != 1 and option in features:
        return option
    if len(found) != 1:
        several = f"has several columns of {option}s: {', '.join(found)}" if found else f"has no column of {option}s"
        raise LimbeckError(f"{name} {several}. Its columns: {', '.join(features)}. Type --data.{option} with one.")
    return found[0]


def _classes(tables: Mapping[str, Any], label: str) -> tuple[tuple[str, ...], Any]:
    """The names of the classes, and what gives a value of the column its label."""
    names = getattr(next(iter(tables.values())).features[label], "names", None)
    if names:
        return tuple(names), lambda said: -1 if said is None else int(said)
    values = {said for table in tables.values() for said in table.unique(label) if said not in (None, "")}
    classes = tuple(str(value) for value in sorted(values))
    at = {value: number for number, value in enumerate(sorted(values))}
    return classes, lambda said: at.get(said, -1)
