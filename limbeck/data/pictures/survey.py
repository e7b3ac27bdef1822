"""One look at every picture: is it whole, what is it, what does it come to. Kept, so that nobody looks twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from limbeck import files
from limbeck.console import Console
from limbeck.data.pictures.decoding import Broken, Decoded, decode
from limbeck.data.pictures.listing import Item, Listing, counted, few
from limbeck.data.reading import Reading
from limbeck.errors import LimbeckError

_AT_ONCE = 256
_SCHEMA = 1


class Seen(NamedTuple):
    """What one look at a picture told.

    Attributes:
        stamp: of its bytes, by `Listing.stamp`.
        digest: SHA-256 of its bytes, in hexadecimal.
        fault: what is wrong with it, worded to follow its name; empty where nothing is.
        extent: (width, height), as it is kept.
        sums: of each channel's values, as decoded.
        squares: of their squares.
    """

    stamp: str
    digest: str
    fault: str
    extent: tuple[int, int] = (0, 0)
    sums: tuple[int, ...] = (0, 0, 0)
    squares: tuple[int, ...] = (0, 0, 0)


@dataclass(frozen=True)
class Survey:
    """What is known of all the pictures of a listing.

    Attributes:
        listing, reading: which pictures, and how they were read.
        seen: by place.
        pixels: those of one split, where they were asked for: uint8 (N, side, side, 3), without the broken ones.
    """

    listing: Listing
    reading: Reading
    seen: Mapping[str, Seen]
    pixels: np.ndarray | None = None

    def whole(self, split: str) -> list[Item]:
        """The pictures of a split that are not broken."""
        return [item for item in self.listing.splits[split] if not self.seen[item.where].fault]

    def faults(self) -> list[str]:
        """A line for each broken file, in the order of their places."""
        places = sorted({item.where for items in self.listing.splits.values() for item in items})
        return [f"{where} {self.seen[where].fault}" for where in places if self.seen[where].fault]

    def twins(self) -> list[tuple[str, str]]:
        """Pairs of places in two splits that hold the same bytes."""
        first: dict[str, tuple[str, str]] = {}
        pairs = []
        for split, items in self.listing.splits.items():
            for item in items:
                found = self.seen[item.where]
                other, where = first.setdefault(found.digest, (split, item.where))
                if other != split and not found.fault:
                    pairs.append((where, item.where))
        return pairs

    def fingerprint(self) -> str:
        """Stands for the bytes, labels, order and splits of all the pictures, and for how they are read."""
        state = hashlib.sha256(repr((self.listing.classes, self.reading.side, self.reading.fit)).encode())
        for split, items in self.listing.splits.items():
            state.update(split.encode())
            for item in items:
                state.update(f"{self.seen[item.where].digest} {item.label}\n".encode())
        return state.hexdigest()

    def notes(self) -> tuple[str, ...]:
        """What is to be said of the pictures."""
        notes = [*self.listing.notes, *self.listing.notices()]
        if faults := self.faults():
            broken = {
                split: sum(bool(self.seen[item.where].fault) for item in items)
                for split, items in self.listing.splits.items()
            }
            places = ", ".join(f"{number:,} of {split}" for split, number in broken.items() if number)
            many = counted(len(faults), "broken file is", "broken files are")
            notes.append(f"{many} left out ({places}): {few(faults)}.")
        if twins := self.twins():
            many = counted(len(twins), "picture is", "pictures are")
            told = few([f"{other} is {where}" for where, other in twins], 3)
            notes.append(f"{many} in two splits: {told}. What is learned by heart there counts as right.")
        return tuple(notes)


def survey(
    listing: Listing,
    reading: Reading,
    index: Path,
    name: str,
    console: Console,
    keep: str | None = None,
    anew: bool = False,
) -> Survey:
    """Looks at every picture whose bytes may have changed since the last look, or whose pixels are wanted.

    Args:
        listing, reading: which pictures, and how they are read.
        index: the file that keeps what was seen; where it cannot be written, it is looked again next time.
        name: what the progress calls them.
        console: where progress goes.
        keep: the split whose pixels are wanted.
        anew: look at everything.
    """
    before = {} if anew else _read(index)
    kept = listing.splits[keep] if keep else ()
    places = list(dict.fromkeys(item.where for items in (kept, *listing.splits.values()) for item in items))
    stamps = {where: _stamp(listing, where) for where in places}
    seen = {where: before[where] for where in places if where in before and before[where].stamp == stamps[where]}
    wanted = {item.where for item in kept}
    # A picture that stands in a split twice takes two places there.
    todo = [*(item.where for item in kept), *(w for w in places if w not in wanted and w not in seen)]
    pixels = np.empty((len(kept), reading.side, reading.side, 3), np.uint8) if keep else None
    filled, news = 0, False
    try:
        with console.bar(f"{name}: looking at the pictures", len(todo)) as bar:
            for done, (where, found, decoded) in enumerate(_looked(listing, reading, todo, stamps)):
                news = news or seen.get(where) != found
                seen[where] = found
                if pixels is not None and done < len(kept) and decoded is not None:
                    pixels[filled] = decoded.pixels
                    filled += 1
                bar.update(done + 1, where)
    finally:
        if news:
            _write(index, seen)
    return Survey(listing, reading, seen, None if pixels is None else pixels[:filled])


def _looked(
    listing: Listing, reading: Reading, places: Sequence[str], stamps: Mapping[str, str]
) -> Iterator[tuple[str, Seen, Decoded | None]]:
    """What is seen at each place, in that order; so many at once as need little memory."""

    def look(where: str) -> tuple[str, Seen, Decoded | None]:
        try:
            content = listing.read(where)
        except OSError as error:
            return where, Seen(stamps[where], "", f"cannot be read ({error.strerror})"), None
        digest = hashlib.sha256(content).hexdigest()
        try:
            decoded = decode(content, reading.side, reading.fit)
        except Broken as broken:
            return where, Seen(stamps[where], digest, str(broken)), None
        values = decoded.pixels.reshape(-1, 3).astype(np.int64)
        sums, squares = tuple(values.sum(0).tolist()), tuple((values**2).sum(0).tolist())
        return where, Seen(stamps[where], digest, "", decoded.extent, sums, squares), decoded

    with ThreadPoolExecutor(reading.threads, "limbeck pictures") as pool:
        for start in range(0, len(places), _AT_ONCE):
            yield from pool.map(look, places[start : start + _AT_ONCE])


def _stamp(listing: Listing, where: str) -> str:
    try:
        return listing.stamp(where)
    except OSError as error:
        return f"none: {error.strerror}"


def _read(index: Path) -> dict[str, Seen]:
    """What earlier looks told; nothing where the file is not there or damaged."""
    try:
        content = files.read_json(index, {"schema": int, "seen": dict})
        if content["schema"] != _SCHEMA:
            return {}
        return {
            where: Seen(stamp, digest, fault, tuple(extent), tuple(sums), tuple(squares))
            for where, (stamp, digest, fault, extent, sums, squares) in content["seen"].items()
        }
    except (LimbeckError, ValueError, TypeError):
        return {}


def _write(index: Path, seen: Mapping[str, Seen]) -> None:
    try:
        files.write_json(index, {"schema": _SCHEMA, "seen": seen}, indent=None)
    except LimbeckError:
        return  # nothing is lost but the time to look again
