"""A data set that lies in memory, and the split held out of it for selection."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.streams import derive

_CHUNK = 8192

Triple = tuple[float, float, float]


class Dataset:
    """Pictures and labels, resident on one device; `limbeck.data.pictures.Streamed` is one that stays on the disk.

    Args:
        name: what reports call it.
        classes: the names of the classes, in the order of the labels.
        images: uint8 (N, H, W, 3).
        labels: int64 (N,), each below ``len(classes)``; -1 for a picture without a label.

    Raises:
        LimbeckError: a wrong dtype or shape, or a label that names no class.

    Attributes:
        digests: uint8 (N, 32), the SHA-256 of each picture's file, where it was read from one; on the CPU.
        fit: of pictures of one's own, how each was brought to the size of all.
        source: of pictures of one's own, what stands for all their files, those of other splits included.
        notes: what a reader of results has to know of the pictures.
    """

    digests: Tensor | None = None
    fit = ""
    source = ""
    notes: tuple[str, ...] = ()

    def __init__(self, name: str, classes: tuple[str, ...], images: Tensor, labels: Tensor) -> None:
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[-1] != 3:
            raise LimbeckError(
                f"{name}: images must be uint8 (N, H, W, 3), not {_describe(images)}. "
                "Repeat a grey channel three times; put channels last with .permute(0, 2, 3, 1)."
            )
        if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
            raise LimbeckError(f"{name}: labels must be int64 ({len(images)},), one an image, not {_describe(labels)}.")
        least, most = (int(labels.min()), int(labels.max())) if len(labels) else (-1, -1)
        if least < -1 or most >= len(classes):
            raise LimbeckError(
                f"{name}: labels run from {least} to {most}, but there are {len(classes)} classes: "
                f"give 0 to {len(classes) - 1}, or -1 for a picture without a label."
            )
        self.name, self.classes = name, tuple(classes)
        self.images, self.labels = images.contiguous(), labels.to(images.device)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, {len(self):,} pictures of {self.image_shape}, {len(self.classes)} classes)"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, 3) of every picture."""
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    @property
    def device(self) -> torch.device:
        return self.images.device

    def fetch(self, indices: Tensor) -> Tensor:
        """The pictures at ``indices`` (int64, (B,)), in that order: uint8 (B, H, W, 3) on this data set's device."""
        return self.images.index_select(0, indices.to(self.device))

    def each(self, chunks: Iterable[Tensor]) -> Iterator[Tensor]:
        """What `fetch` gives for each chunk of indices; from a disk, the next one while this one is used."""
        return map(self.fetch, chunks)

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of shape, pixels, labels and classes, in hexadecimal: equal exactly where the data are equal.

        The digests of their files, and how they were brought to their size, stand for pixels that were read from such.
        """
        state = hashlib.sha256(repr(((len(self), *self.image_shape), self.classes)).encode() + self.fit.encode())
        state.update((self.images.cpu() if self.digests is None else self.digests).numpy().data)
        state.update(self.labels.cpu().numpy().astype("<i8").data)
        return state.hexdigest()

    def to(self, device: torch.device | str) -> Self:
        """This data set on ``device``; itself where it lies there already."""
        images = self.images.to(device)
        if images is self.images:
            return self
        moved = self._like(images, self.labels)
        moved.digests = self.digests
        if "fingerprint" in self.__dict__:
            moved.fingerprint = self.fingerprint
        return moved

    def subset(self, indices: Tensor) -> Self:
        """The data set of the pictures at ``indices`` (int64), in that order."""
        some = self._like(self.fetch(indices), self.labels[indices.to(self.device)])
        some.digests = None if self.digests is None else self.digests[indices.cpu()]
        return some

    def _like(self, images: Tensor, labels: Tensor) -> Self:
        """Other pictures of the same data set."""
        made = type(self)(self.name, self.classes, images, labels)
        made.fit, made.source, made.notes = self.fit, self.source, self.notes
        return made

    def statistics(self) -> tuple[Triple, Triple]:
        """Mean and standard deviation of each channel, of pixels in [0, 1], worked out in integers.

        Raises:
            LimbeckError: there are no pictures.
        """
        return self._statistics

    @cached_property
    def _statistics(self) -> tuple[Triple, Triple]:
        if not len(self):
            raise LimbeckError(f"{self.name}: no pictures, so no mean and deviation. Give at least one.")
        histogram = torch.zeros(3, 256, dtype=torch.int64)
        for chunk in torch.arange(len(self)).split(_CHUNK):
            pixels = self.fetch(chunk).flatten(0, 2)
            histogram += torch.stack([torch.bincount(channel, minlength=256) for channel in pixels.unbind(1)]).cpu()
        values = torch.arange(256)
        counts, sums = histogram.sum(1).tolist(), (histogram * values).sum(1).tolist()
        squares = (histogram * values.square()).sum(1).tolist()
        return moments(counts, sums, squares)


def moments(counts: list[int], sums: list[int], squares: list[int]) -> tuple[Triple, Triple]:
    """Mean and deviation of each channel in [0, 1], from integers: the number of values, their sum, their squares'."""
    mean = [total / (255 * n) for n, total in zip(counts, sums, strict=True)]
    deviation = [math.sqrt(n * s - t * t) / (255 * n) for n, t, s in zip(counts, sums, squares, strict=True)]
    return (mean[0], mean[1], mean[2]), (deviation[0], deviation[1], deviation[2])


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def hold_out(dataset: Dataset, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Divides a data set into the pictures kept for training and ``count`` pictures held out for selection.

    Every class is held out in proportion, as near as whole pictures allow; pictures without a label count as one more
    class. The division depends on the labels, ``count`` and ``seed`` alone, and is the same on every machine.

    Returns:
        (kept, held): indices, int64 on the CPU, each sorted.

    Raises:
        LimbeckError: ``count`` is negative, or leaves no picture to train on.
    """
    total = len(dataset)
    if not 0 <= count < total:
        raise LimbeckError(
            f"cannot hold {count:,} pictures out of the {total:,} of {dataset.name}: give 0 to {max(total - 1, 0):,}."
        )
    labels = dataset.labels.cpu().numpy()
    keys = np.random.Philox(derive(seed, "hold out")).random_raw(total)  # numpy promises this stream for good (NEP 19)
    strata = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    shares = quotas([len(stratum) for stratum in strata], count)
    held = np.zeros(total, bool)
    for stratum, quota in zip(strata, shares, strict=True):
        held[stratum[np.argsort(keys[stratum], kind="stable")[:quota]]] = True
    return torch.from_numpy(np.flatnonzero(~held)), torch.from_numpy(np.flatnonzero(held))


def quotas(sizes: list[int], count: int) -> list[int]:
    """``count`` shared out in proportion to ``sizes``, rounded by the largest remainder."""
    shares = [divmod(count * size, sum(sizes)) for size in sizes]
    largest = sorted(range(len(sizes)), key=lambda at: (-shares[at][1], at))[
        : count - sum(whole for whole, _ in shares)
    ]
    return [whole + (at in largest) for at, (whole, _) in enumerate(shares)]
