"""Which pictures there are: by split, each with its label, before any is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from limbeck.data.dataset import quotas
from limbeck.data.reading import Reading
from limbeck.streams import derive

SPLITS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""The splits, and what they may be called where pictures are kept."""
SPLIT_OF = {name: split for split, names in SPLITS.items() for name in names}
UNLABELLED = ("unlabelled", "unlabeled")


class Item(NamedTuple):
    """One picture: where it is kept, and its label; -1 for none."""

    where: str
    label: int


@dataclass(frozen=True)
class Listing:
    """The pictures of one data set.

    Attributes:
        classes: their names, in the order of the labels.
        splits: "train", "val" and "test", as far as there are such.
        read: gives the bytes of what lies at a place; raises `OSError` where there is nothing.
        stamp: something that changes when those bytes do, without reading them; raises `OSError`, too.
        notes: what a reader of results has to know.
    """

    classes: tuple[str, ...]
    splits: Mapping[str, tuple[Item, ...]]
    read: Callable[[str], bytes] = field(compare=False)
    stamp: Callable[[str], str] = field(compare=False)
    notes: tuple[str, ...] = ()

    def notices(self) -> list[str]:
        """Classes that nothing is learned of."""
        labels = {item.label for item in self.splits.get("train", ())}
        missing = [name for label, name in enumerate(self.classes) if label not in labels]
        if not missing or not labels - {-1}:
            return []
        return [f"{len(missing)} of {len(self.classes)} classes have no training picture: {few(missing)}."]


def splits_of(given: Sequence[str], reading: Reading) -> tuple[str, ...]:
    """The splits that there are once `shared_out` is done with those that are given."""
    if "train" not in given:
        return tuple(given)
    if "test" not in given and reading.test_share == 1:
        return (*(name for name in given if name != "train"), "test")
    shares = {"val": reading.val_share, "test": reading.test_share}
    return tuple(name for name in SPLITS if name in given or shares.get(name))


def shared_out(given: Mapping[str, Sequence[Item]], reading: Reading) -> tuple[dict[str, tuple[Item, ...]], list[str]]:
    """The splits, those that are missing taken from the training pictures, and what is to be said of that.

    Every class gives in proportion, as near as whole pictures allow. Which pictures of a class are taken depends on
    where each is kept and on nothing else, so that hardly any changes its split when pictures are added. Pictures
    without a label are never taken.
    """
    splits = {name: tuple(items) for name, items in given.items()}
    wanted = splits_of(tuple(given), reading)
    notes = []
    if "train" in splits and "train" not in wanted:
        splits["test"] = splits.pop("train")
        notes.append(f"There is no test split: all {len(splits['test']):,} pictures are judged on.")
    labelled = sum(item.label >= 0 for item in splits.get("train", ()))
    for name, share, used in (
        ("test", reading.test_share, "kept for the test"),
        ("val", reading.val_share, "held out for selection"),
    ):
        if name in wanted and name not in splits:
            splits[name], splits["train"] = _taken(splits["train"], round(labelled * share))
            notes.append(
                f"There is no {name} split: {len(splits[name]):,} of {labelled:,} labelled pictures "
                f"({100 * share:g} % of each class) are {used}."
            )
    return {name: splits[name] for name in SPLITS if name in splits}, notes


def _taken(items: tuple[Item, ...], count: int) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """(so many labelled ones, all others), each in the order that they had."""
    strata: dict[int, list[int]] = {}
    for place, item in enumerate(items):
        if item.label >= 0:
            strata.setdefault(item.label, []).append(place)
    taken: set[int] = set()
    for stratum, quota in zip(strata.values(), quotas([len(some) for some in strata.values()], count), strict=True):
        taken |= set(sorted(stratum, key=lambda place: derive("split", items[place].where))[:quota])
    return tuple(items[at] for at in sorted(taken)), tuple(item for at, item in enumerate(items) if at not in taken)


def counted(number: int, one: str, more: str) -> str:
    """ "1 file is", "2,000 files are"."""
    return f"{number:,} {one if number == 1 else more}"


def few(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f", and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
