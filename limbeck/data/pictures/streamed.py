"""A data set whose pictures stay on the disk and are decoded when they are asked for."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor

from limbeck.data.dataset import Dataset, Triple, moments
from limbeck.data.pictures.decoding import Broken, decode
from limbeck.data.pictures.listing import Listing
from limbeck.data.reading import Reading
from limbeck.errors import LimbeckError

_A_TASK = 16  # pictures


@dataclass(frozen=True)
class Kept:
    """Pictures on the disk, and what is known of them.

    Attributes:
        where: of each its place.
        sums, squares: int64 (N, 3), of each channel's values and their squares.
        listing, reading: where the bytes come from, and how they are decoded.
    """

    where: tuple[str, ...]
    sums: np.ndarray
    squares: np.ndarray
    listing: Listing
    reading: Reading

    def decode_into(self, pixels: np.ndarray, places: np.ndarray) -> None:
        """Decodes the pictures at these places, in that order.

        Raises:
            LimbeckError: one is not as it was.
        """
        for row, place in enumerate(places):
            where = self.where[place]
            try:
                pixels[row] = decode(self.listing.read(where), self.reading.side, self.reading.fit).pixels
            except (OSError, Broken) as error:
                raise LimbeckError(
                    f"{where} cannot be read any more: {error}. Put it back and type the same command: it continues."
                ) from error


class Streamed(Dataset):
    """Pictures on the disk, with the interface and the bits of a `Dataset` that lies in memory.

    Args:
        name, classes, labels: as of a `Dataset`.
        kept: the pictures that this one, and those made of it, choose from.
        places: int64 (N,), which of them these are.
        digests: uint8 (N, 32), of their files.
    """

    digests: Tensor

    def __init__(
        self,
        name: str,
        classes: tuple[str, ...],
        labels: Tensor,
        kept: Kept,
        places: np.ndarray,
        digests: Tensor,
    ) -> None:
        self.name, self.classes, self.labels = name, classes, labels
        self.kept, self.places, self.digests = kept, places, digests

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.kept.reading.side, self.kept.reading.side, 3

    @property
    def device(self) -> torch.device:
        return self.labels.device

    def fetch(self, indices: Tensor) -> Tensor:
        return next(self.each([indices]))

    def each(self, chunks: Iterable[Tensor]) -> Iterator[Tensor]:
        waiting: deque[Callable[[], Tensor]] = deque()
        pool = ThreadPoolExecutor(self.kept.reading.threads, "limbeck pictures")
        try:
            for chunk in chunks:
                waiting.append(self._begun(chunk, pool))
                if len(waiting) > 1:
                    yield waiting.popleft()()
            while waiting:
                yield waiting.popleft()()
        finally:
            pool.shutdown(cancel_futures=True)

    def _begun(self, indices: Tensor, pool: ThreadPoolExecutor) -> Callable[[], Tensor]:
        """Has pictures decoded; what is returned waits for them."""
        places = self.places[indices.cpu().numpy()]
        pixels = np.empty((len(places), *self.image_shape), np.uint8)
        tasks: list[Future[None]] = [
            pool.submit(self.kept.decode_into, pixels[start : start + _A_TASK], places[start : start + _A_TASK])
            for start in range(0, len(places), _A_TASK)
        ]

        def done() -> Tensor:
            for task in tasks:
                task.result()
            return torch.from_numpy(pixels).to(self.device)

        return done

    def to(self, device: torch.device | str) -> Self:
        labels = self.labels.to(device)
        return self if labels is self.labels else self._chosen(self.places, labels, self.digests)

    def subset(self, indices: Tensor) -> Self:
        here = indices.cpu()
        return self._chosen(self.places[here.numpy()], self.labels[indices.to(self.device)], self.digests[here])

    def _chosen(self, places: np.ndarray, labels: Tensor, digests: Tensor) -> Self:
        made = type(self)(self.name, self.classes, labels, self.kept, places, digests)
        made.fit, made.source, made.notes = self.fit, self.source, self.notes
        return made

    @cached_property
    def _statistics(self) -> tuple[Triple, Triple]:
        if not len(self):
            raise LimbeckError(f"{self.name}: no pictures, so no mean and deviation. Give at least one.")
        pixels = len(self) * math.prod(self.image_shape[:2])
        sums, squares = (each[self.places].sum(0).tolist() for each in (self.kept.sums, self.kept.squares))
        return moments([pixels] * 3, sums, squares)
