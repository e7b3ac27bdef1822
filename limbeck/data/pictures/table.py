"""A CSV with a line for each picture: its path, its label and, where it has such a column, its split."""

from __future__ import annotations

import csv
from pathlib import Path

from limbeck.data.pictures.files import Files
from limbeck.data.pictures.listing import SPLIT_OF, Item, Listing, shared_out
from limbeck.data.reading import Reading
from limbeck.errors import LimbeckError

_COLUMNS = ("path", "label", "split")
_FORM = "The first line is path,label or path,label,split; an empty label is none."

Rows = dict[str, list[tuple[str, str]]]
"""(path, label) by split."""


def rows(path: Path) -> Rows:
    """The lines of a CSV; no picture is looked at.

    Raises:
        LimbeckError: it cannot be read, or has other columns or splits.
    """
    given: Rows = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = csv.DictReader(stream, restval="", skipinitialspace=True)
            columns = [(name or "").strip().lower() for name in lines.fieldnames or ()]
            lines.fieldnames = columns
            if not {"path", "label"} <= set(columns) or not set(columns) <= set(_COLUMNS):
                raise LimbeckError(f"{path} has the columns {', '.join(columns) or '(none)'}. {_FORM}")
            for line in lines:
                if None in line:
                    raise LimbeckError(
                        f"{path}, line {lines.line_num}, has more values than there are columns. A path with a comma "
                        "stands in quotes."
                    )
                said = line.get("split", "").strip().lower()
                split = SPLIT_OF.get(said or "train")
                if split is None:
                    raise LimbeckError(
                        f"{path}, line {lines.line_num}: unknown split {said!r}. Known: {', '.join(SPLIT_OF)}."
                    )
                given.setdefault(split, []).append((line["path"].strip(), line["label"].strip()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LimbeckError(f"cannot read {path}: {error}. It must be a CSV in UTF-8. {_FORM}") from error
    if not any(label for lines_ in given.values() for _, label in lines_):
        raise LimbeckError(f"{path} names no class: it has no line with a label. {_FORM}")
    return given


def classes_of(given: Rows) -> tuple[str, ...]:
    """The labels, sorted."""
    return tuple(sorted({label for lines in given.values() for _, label in lines if label}))


def listing(path: Path, given: Rows, reading: Reading) -> Listing:
    """The pictures of a CSV, whose paths begin where the CSV lies."""
    classes = classes_of(given)
    label = {"": -1, **{name: number for number, name in enumerate(classes)}}
    splits = {split: [Item(where, label[name]) for where, name in lines] for split, lines in given.items()}
    shared, notes = shared_out(splits, reading)
    files = Files(path.parent)
    return Listing(classes, shared, files.read, files.stamp, tuple(notes))
