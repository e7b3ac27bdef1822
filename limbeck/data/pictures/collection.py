"""Pictures of one's own under a name, as the catalogue's entries are: a folder, a CSV, a Hugging Face data set."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from limbeck import files
from limbeck.console import Console, size
from limbeck.data.dataset import Dataset
from limbeck.data.fetch import cache_folder
from limbeck.data.pictures import folder, hub, table
from limbeck.data.pictures.listing import Listing, few, splits_of
from limbeck.data.pictures.streamed import Kept, Streamed
from limbeck.data.pictures.survey import Survey, survey
from limbeck.data.reading import Reading
from limbeck.errors import LimbeckError


def is_own(name: str) -> bool:
    """Whether a name is that of pictures of one's own: a path, a CSV, or hf/OWNER/NAME."""
    if name.startswith(hub.PREFIX) or name.endswith(".csv") or "/" in name:
        return True
    return os.path.exists(_path(name))  # noqa: PTH110 (false, too, where no file could have such a name)


def may_be_own(path: Path) -> bool:
    """Whether what lies there is a folder or a CSV."""
    return path.is_dir() or path.suffix.lower() == ".csv"


def title(name: str) -> str:
    """What reports and file names call pictures of one's own, there or not: the last part of their name, no slash."""
    if name.startswith(hub.PREFIX):
        return _plain(name.rpartition("/")[2])
    path = _path(name).absolute()
    path = path.resolve() if ".." in path.parts else path
    return _plain(path.stem if path.suffix == ".csv" else path.name)


def _path(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:  # there is no such user
        return Path(name)


def _plain(text: str) -> str:
    """Without what stands for something else in tables and file names."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-") or "pictures"


def _refuse_one(name: str, classes: tuple[str, ...]) -> None:
    """Refuses a single class: whatever is asked, there is one answer, and all figures would be perfect."""
    if len(classes) < 2:
        raise LimbeckError(
            f"{name} has a single class, {', '.join(classes)}, and a classifier tells two or more apart. Add pictures "
            "of another (in a folder of pictures, an empty folder is enough to name one), or give another data set; "
            "`limbeck data list` names those that limbeck knows."
        )


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LimbeckError(
            f"cannot read {error.filename}: {error.strerror}. Make it readable, or move it out of the pictures' folder."
        ) from error


@dataclass(frozen=True)
class Collection:
    """Pictures of one's own.

    Args:
        name: as it was typed.
        reading: how they become pictures of one size.

    Raises:
        LimbeckError: there is nothing of that name, or no two classes in it. No file is opened for that but a CSV; of
            what a package reads, the classes are counted when they are asked for.
    """

    name: str
    reading: Reading

    def __post_init__(self) -> None:
        if self._hub:
            hub.refuse_without_package(self.name)
        elif not os.path.exists(self.path):  # noqa: PTH110
            raise LimbeckError(
                f"there is no folder or CSV {self.name}.{files.meant(self.path, may_be_own)} Check the path, or type "
                "`limbeck data list` for the data sets that limbeck knows."
            )
        elif self.path.is_file() and self.path.suffix.lower() != ".csv":
            raise LimbeckError(
                f"{self.name} is a file, but no CSV. Give a folder of pictures, or a CSV of their paths."
            )
        if not self.packaged:
            _refuse_one(self.name, self.classes)

    @property
    def path(self) -> Path:
        """Where they are."""
        return _path(self.name)

    @property
    def title(self) -> str:
        return title(self.name)

    @property
    def _hub(self) -> bool:
        return self.name.startswith(hub.PREFIX)

    @cached_property
    def _layout(self) -> folder.Layout:
        with _readable():
            return folder.layout(self.path)

    @cached_property
    def _rows(self) -> table.Rows:
        return table.rows(self.path)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the labels."""
        if self.packaged:
            return self.listing.classes
        return table.classes_of(self._rows) if self.path.is_file() else folder.classes_of(self._layout)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that there are, those included that are taken from the training pictures."""
        if self.packaged:
            return tuple(self.listing.splits)
        return splits_of(tuple(self._rows if self.path.is_file() else self._layout), self.reading)

    @property
    def packaged(self) -> bool:
        """Whether a package has to be asked for anything about it."""
        return self._hub or hub.is_saved(self.path)

    @cached_property
    def listing(self) -> Listing:
        """All the pictures, none of which is opened."""
        if self.packaged:
            found = hub.listing(self.name, None if self._hub else self.path, self.reading)
            _refuse_one(self.name, found.classes)
            return found
        if self.path.is_file():
            return table.listing(self.path, self._rows, self.reading)
        with _readable():
            return folder.listing(self.path, self._layout, self.reading)

    @property
    def counts(self) -> dict[str, int]:
        """The pictures in each split, broken ones included."""
        return {split: len(items) for split, items in self.listing.splits.items()}

    def survey(self, console: Console, keep: str | None = None, anew: bool = False) -> Survey:
        """A look at every picture of all the splits, as `limbeck.data.pictures.survey` has it."""
        return survey(self.listing, self.reading, self._index(), self.title, console, keep, anew)

    def _index(self) -> Path:
        """The file that keeps what was seen."""
        place = self.name if self._hub else str(self.path.resolve())
        key = hashlib.sha256(f"{place}\0{self.reading.side} {self.reading.fit}".encode()).hexdigest()[:16]
        return cache_folder() / "seen" / f"{key}.json"

    def load(self, split: str, console: Console) -> Dataset:
        """One split, in memory where it fits there.

        All the splits are looked at, so that what is wrong with any of them is known before anything is trained.

        Raises:
            LimbeckError: there is no such split, nothing in it, or a broken file, and those are refused.
        """
        if split not in self.splits:
            raise LimbeckError(f"{self.name} has no {split} split, only {' and '.join(self.splits)}.")
        resident = self.reading.fits(len(self.listing.splits[split]))
        looked = self.survey(console, keep=split if resident else None)
        if (faults := looked.faults()) and self.reading.broken == "refuse":
            raise LimbeckError(
                f"{self.name}: {len(faults):,} of {len(looked.seen):,} files are no whole pictures: {few(faults)}. "
                "Mend or remove them, or type --data.broken skip to leave them out (for `limbeck evaluate`, --broken "
                f"skip); `limbeck data verify {self.name}` names them all."
            )
        items = looked.whole(split)
        if not items and split != "val":  # where no picture has a label, none is held out
            raise LimbeckError(f"{self.name}: there are no pictures in its {split} split. Put some there.")
        labels = torch.tensor([item.label for item in items], dtype=torch.int64)
        seen = [looked.seen[item.where] for item in items]
        digests = torch.from_numpy(
            np.array([list(bytes.fromhex(each.digest)) for each in seen], np.uint8).reshape(-1, 32)
        )
        made: Dataset
        if looked.pixels is not None:
            made = Dataset(self.title, looked.listing.classes, torch.from_numpy(looked.pixels), labels)
            made.digests = digests
        else:
            sums, squares = (
                np.array([getattr(each, name) for each in seen]).reshape(-1, 3) for name in ("sums", "squares")
            )
            kept = Kept(tuple(item.where for item in items), sums, squares, looked.listing, self.reading)
            made = Streamed(self.title, looked.listing.classes, labels, kept, np.arange(len(items)), digests)
        made.fit, made.source, made.notes = self.reading.fit, looked.fingerprint(), looked.notes()
        return made

    def faults(self, console: Console) -> tuple[str, ...]:
        """Reads every file anew; a line for each that is broken, and for each picture that is in two splits."""
        looked = self.survey(console, anew=True)
        twins = [f"{other} is {where}, in another split" for where, other in looked.twins()]
        return (*looked.faults(), *twins)

    def introduce(self, pictures: Dataset, split: str) -> list[str]:
        """What a person is told before the pictures of a split are used; all of it with the first split that is."""
        side, amount = self.reading.side, size(len(pictures) * self.reading.side**2 * 3)
        how = {"crop": "the centre of each", "pad": "each whole, on grey", "stretch": "each stretched"}[
            self.reading.fit
        ]
        kept = f"in memory: {amount} are within"
        if isinstance(pictures, Streamed):
            kept = f"decoded anew each time by {self.reading.threads} threads: {amount} are more than"
        if split != self.splits[0]:
            return []
        return [
            f"{self.title}: {how} at {side} x {side} pixels, {kept} --data.memory {self.reading.memory:g} (GiB)",
            *(f"{self.title}: {note}" for note in pictures.notes),
        ]
