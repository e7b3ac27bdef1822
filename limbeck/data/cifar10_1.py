"""CIFAR-10.1 v6: 2,000 new pictures, chosen as CIFAR-10's were, that no network was ever tuned on."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import numpy as np
import torch

from limbeck.console import Console
from limbeck.data.cifar_records import CLASSES
from limbeck.data.dataset import Dataset
from limbeck.data.entry import Entry, read_verified
from limbeck.data.fetch import KnownFile, cache_folder, download
from limbeck.data.sources import Delivery, Source, own_first

_VARIABLE = "LIMBECK_CIFAR10_1"
_URL = "https://raw.githubusercontent.com/modestyachts/CIFAR-10.1/master/datasets/"
_DATA = KnownFile("cifar10.1_v6_data.npy", "git", "24349cc5f3fb59648d75cd8015b5a184b1f5c250")
_LABELS = KnownFile("cifar10.1_v6_labels.npy", "git", "e713b09cecf2ecd933970001909fcdec7c907ab0", 8128)


def entry(data: KnownFile = _DATA, labels: KnownFile = _LABELS, url: str = _URL) -> Entry:
    """The catalogue's entry for CIFAR-10.1 v6 (Recht, Roelofs, Schmidt and Shankar, ICML 2019).

    Args:
        data, labels: the two published files, known by git's blob ids.
        url: the folder that they are published in, with a slash at the end.
    """
    return Entry(
        name="cifar10_1",
        description="CIFAR-10.1 v6: new pictures for CIFAR-10's classes, to test on (Recht et al. 2019)",
        classes=CLASSES,
        counts={"test": 2000},
        download=6_152_256,
        read=partial(_read, data, labels),
        files=(data, labels),
        sources=partial(_sources, data, labels, url),
        advice=partial(_advice, data, labels, url),
    )


def _read(data: KnownFile, labels: KnownFile, folder: Path, split: str) -> Dataset:
    images, targets = (_array(read_verified(folder, file, "cifar10_1")) for file in (data, labels))
    return Dataset("cifar10_1", CLASSES, images, targets.long())


def _array(content: bytes) -> torch.Tensor:
    return torch.from_numpy(np.load(io.BytesIO(content), allow_pickle=False))


def _advice(data: KnownFile, labels: KnownFile, url: str) -> str:
    return (
        f"Put {data.name} and {labels.name} (of {url}) into {cache_folder()}, or set {_VARIABLE} to the folder "
        "that has them; then type `limbeck data fetch cifar10_1`."
    )


def _sources(data: KnownFile, labels: KnownFile, url: str) -> tuple[Source, ...]:
    def holds(place: Path) -> bool:
        return (place / data.name).is_file()

    published = Source(url, partial(_download, url))
    return own_first("cifar10_1", _VARIABLE, ("datasets",), holds, _from_folder, published)


def _from_folder(place: Path, wanted: tuple[KnownFile, ...], folder: Path, console: Console) -> Delivery:
    yield from ((file, (place / file.name).read_bytes()) for file in wanted if (place / file.name).is_file())


def _download(url: str, wanted: tuple[KnownFile, ...], folder: Path, console: Console) -> Delivery:
    yield from ((file, download(url + file.name, file, folder, console).read_bytes()) for file in wanted)


ENTRY = entry()
