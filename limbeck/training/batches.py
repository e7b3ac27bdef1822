"""An epoch's pictures, cut into what is made, shown and learned from together."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from limbeck.objectives import Mixed, Outputs
from limbeck.training.team import Team


class Part(NamedTuple):
    """Pictures of a batch that go through a step together.

    Attributes:
        whole: their places in the chunk.
        own: the places of this process's among its own pictures of the chunk.
    """

    whole: slice
    own: slice


class Chunk(NamedTuple):
    """Pictures whose views are made together.

    Attributes:
        places: int64 (B,), in the training set.
        rows: which of them are this process's.
        own: int64 (b,), the places of those.
        batches: the parts of each batch.
    """

    places: Tensor
    rows: Tensor | slice
    own: Tensor
    batches: list[list[Part]]


class Given(NamedTuple):
    """A chunk's pictures and labels, and of this process's own the views and who says what the teacher says of some."""

    places: Tensor
    views: Tensor
    labels: Tensor
    taught: Callable[[slice], Outputs] | None


class Shown(NamedTuple):
    """What a step computes its loss from, of a part of a batch: the views are this process's own, all else is whole.

    ``labelled`` is as in `Batch`.
    """

    places: Tensor
    views: Tensor
    labels: Tensor
    taught: Outputs | None
    mixed: Mixed | None
    labelled: Tensor | None


def chunked(places: Tensor, batch_size: int, parts: int, team: Team) -> Chunk:
    """Pictures as a chunk of batches of that size, the last one smaller, each of at most ``parts`` parts."""
    starts = range(0, len(places), batch_size)
    batches = [cut(slice(start, min(start + batch_size, len(places))), parts) for start in starts]
    flat = list(itertools.chain.from_iterable(batches))
    rows, pieces = team.rows(flat), iter(team.pieces(flat))
    return Chunk(places, rows, places[rows], [[Part(part, next(pieces)) for part in some] for some in batches])


def cut(whole: slice, parts: int) -> list[slice]:
    """A slice as at most ``parts`` slices of nearly equal length."""
    size = -(-(whole.stop - whole.start) // parts)
    return [slice(start, min(start + size, whole.stop)) for start in range(whole.start, whole.stop, size)]


def batch_of(parts: Sequence[Part]) -> slice:
    """The batch that was cut into these."""
    return slice(parts[0].whole.start, parts[-1].whole.stop)


def shown(given: Given, part: Part, mixed: Mixed | None, batch: slice, team: Team) -> Shown:
    """What is shown of a part; ``mixed`` is of its batch."""
    where, own = part
    count = where.stop - where.start
    taught = team.whole(given.taught(own), count) if given.taught else None
    if mixed is not None:
        mixed = Mixed(mixed.labels[where.start - batch.start :][:count], mixed.share)
    # Who is mixed in is of the same batch, so that as many of those have a label.
    labelled = None if where == batch else (given.labels[batch] >= 0).float().mean()
    return Shown(given.places[where], given.views[own], given.labels[where], taught, mixed, labelled)
