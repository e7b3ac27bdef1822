"""Where a data set can come from: what the user already has, looked for in the usual folders, and then the rest."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from limbeck.console import Console
from limbeck.data.fetch import DataUnavailable, KnownFile, cache_folder

Delivery = Generator[tuple[KnownFile, bytes], None, None]


class Source(NamedTuple):
    """One place that a data set can be had from.

    ``read(wanted, folder, console)`` gives wanted files and their content, each as soon as it has it; ``folder`` is
    for unfinished downloads. It raises `DataUnavailable` with the reason when it cannot, and need not check the result.
    """

    label: str
    read: Callable[[tuple[KnownFile, ...], Path, Console], Delivery]


def own_first(
    name: str,
    variable: str,
    inner: tuple[str, ...],
    holds: Callable[[Path], bool],
    read: Callable[[Path, tuple[KnownFile, ...], Path, Console], Delivery],
    *others: Source,
) -> tuple[Source, ...]:
    """The places where the user has the data set, then ``others``.

    Args:
        name: the data set; its own folder in the cache is not looked into.
        variable: an environment variable that names the place; where it is set, there are no others.
        inner: names of folders and files that the data set is published under.
        holds: whether an existing place looks like the data set.
        read: reads it from there.
    """
    named = os.environ.get(variable)
    usual = (cache_folder(), Path("data").absolute(), Path("~/data").expanduser())
    roots = (Path(named).expanduser().absolute(),) if named else tuple(dict.fromkeys(usual))
    found = [place for root in roots for place in _places(root, inner, cache_folder() / name) if holds(place)]
    own = [Source(str(place), partial(read, place)) for place in dict.fromkeys(found)]
    label = f"{variable}={named}" if named else "your folders"
    own = own or [Source(label, partial(_nothing, roots))]
    return (*own,) if named else (*own, *others)


def _nothing(roots: tuple[Path, ...], *_: object) -> Delivery:
    raise DataUnavailable(f"nothing of it in {', '.join(map(str, roots))}")


def _places(root: Path, inner: tuple[str, ...], without: Path) -> Iterator[Path]:
    """Existing paths where a published layout may begin: ``root``, its subfolders, and the ``inner`` names in each."""
    if root.is_file():
        yield root
        return
    try:
        below = sorted(path for path in root.iterdir() if path.is_dir())
    except OSError:  # not there, or not to be read
        return
    for folder in (root, *below):
        if folder != without:
            yield from (place for place in (folder, *(folder / name for name in inner)) if place.exists())
