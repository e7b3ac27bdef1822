"""A data set as the catalogue knows it: what it holds, where it comes from, and whether it is here and unaltered."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import filelock

from limbeck import files
from limbeck.console import Console
from limbeck.data.dataset import Dataset
from limbeck.data.fetch import DataUnavailable, KnownFile
from limbeck.data.sources import Source
from limbeck.errors import LimbeckError, unknown

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Status:
    """What is known of a data set without reading its pictures.

    Attributes:
        name, description: as in the catalogue.
        classes: their number.
        counts: the pictures in each split.
        download: bytes to download where it is not here yet.
        state: "ready", "incomplete" or "not fetched".
        folder: where its files lie; None where it needs none.
    """

    name: str
    description: str
    classes: int
    counts: Mapping[str, int]
    download: int
    state: str
    folder: Path | None


@dataclass(frozen=True)
class Entry:
    """One data set of the catalogue.

    Args:
        name: what a recipe calls it, and its folder in the cache.
        description: one line.
        classes: their names, in the order of the labels.
        counts: the pictures in each split that it has.
        download: bytes to download where it is not here yet.
        read: makes a split from the files in a folder; raises `LimbeckError` where one is altered.
        files: the files that it keeps in its folder; none where its pictures lie in a package.
        sources: where they come from, the first that works.
        advice: what to put where when no source works.
    """

    name: str
    description: str
    classes: tuple[str, ...]
    counts: Mapping[str, int]
    download: int
    read: Callable[[Path, str], Dataset]
    files: tuple[KnownFile, ...] = ()
    sources: Callable[[], tuple[Source, ...]] = tuple
    advice: Callable[[], str] = str

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that it has."""
        return tuple(self.counts)

    def load(self, split: str, folder: Path, console: Console) -> Dataset:
        """One split, fetched first when it is not in ``folder``; see `limbeck.data.load`."""
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        if split not in self.counts:
            has = " and ".join(self.counts)
            raise LimbeckError(f"{self.name} has no {split} split, only {has}. Choose another data set to {split} on.")
        if not all((folder / file.name).exists() for file in self.files):
            self.fetch(folder, console)
        return self.read(folder, split)

    def status(self, folder: Path) -> Status:
        """What `Status` says, from the names and sizes of the files alone."""
        sizes = {file: path.stat().st_size for file in self.files if (path := folder / file.name).exists()}
        whole = all(file in sizes and file.size in (None, sizes[file]) for file in self.files)
        state = "ready" if whole else "incomplete" if sizes else "not fetched"
        place = folder if self.files else None
        return Status(self.name, self.description, len(self.classes), self.counts, self.download, state, place)

    def verify(self, folder: Path, console: Console) -> tuple[str, ...]:
        """Reads everything again; says what is wrong and how to mend it, one line a file; empty where all is well."""
        remedy = f"Type `limbeck data fetch {self.name}`"
        if self.files and not any((folder / file.name).exists() for file in self.files):
            return (f"{self.name} is not fetched. {remedy} to fetch it.",)
        faults = self._faults(folder, console)
        if faults:
            return tuple(f"{folder / file.name} {fault}. {remedy} to replace it." for file, fault in faults.items())
        try:
            for split in self.counts:
                self.read(folder, split)
        except LimbeckError as error:
            return (str(error),)
        return ()

    def fetch(self, folder: Path, console: Console) -> None:
        """Gets what is missing or altered in ``folder``; see `limbeck.data.fetch`."""
        if not self.files:
            return
        with _alone(folder / "lock", self.name, console):
            wanted = list(self._faults(folder, console))
            if wanted:
                self._deliver(wanted, folder, console)
                shutil.rmtree(folder / "unfinished", ignore_errors=True)
                for left in folder.glob(".*.part"):  # by a process that was killed
                    left.unlink(missing_ok=True)

    def _faults(self, folder: Path, console: Console) -> dict[KnownFile, str]:
        """The files that are missing or altered, and what is wrong with each."""
        faults = {}
        with console.bar(f"verifying {self.name}", len(self.files)) as bar:
            for done, file in enumerate(self.files, start=1):
                if fault := file.fault_in(folder):
                    faults[file] = fault
                bar.update(done, file.name)
        return faults

    def _deliver(self, wanted: list[KnownFile], folder: Path, console: Console) -> None:
        """Writes the wanted files from the first source that works; raises with every reason when none does."""
        reasons = []
        for source in self.sources():
            try:
                with contextlib.closing(source.read(tuple(wanted), folder / "unfinished", console)) as delivery:
                    for file, content in delivery:
                        if fault := file.fault(content):
                            raise DataUnavailable(f"{file.name} {fault}")
                        files.write_bytes(folder / file.name, content)
                        wanted.remove(file)
                if not wanted:
                    console.say(f"{self.name}: from {source.label}, verified, in {folder}")
                    return
                raise DataUnavailable(f"it has no {', '.join(file.name for file in wanted)}")
            except DataUnavailable as error:
                console.say(f"{self.name}: not from {source.label}: {error}")
                reasons.append(f"  - {source.label}: {error}")
        raise DataUnavailable("\n".join([f"{self.name} cannot be had. Tried:", *reasons, self.advice()]))


@contextlib.contextmanager
def _alone(lock: Path, name: str, console: Console) -> Iterator[None]:
    """Holds the lock of a data set; says so when another process has it, and waits."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(files.locked(lock, refusal=f"another process is fetching {name}"))
        except LimbeckError as error:
            if not isinstance(error.__cause__, filelock.Timeout):
                raise
            console.say(f"{error}; waiting for it to end")
            stack.enter_context(files.locked(lock))
        yield


def read_verified(folder: Path, file: KnownFile, name: str) -> bytes:
    """The content of a data set's file.

    Raises:
        LimbeckError: it is missing, truncated or altered; the message says what to type.
    """
    content, fault = file.read(folder)
    if fault:
        raise LimbeckError(f"{folder / file.name} {fault}. Type `limbeck data fetch {name}` to replace it.")
    return content
