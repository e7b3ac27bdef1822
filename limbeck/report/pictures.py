"""Pictures of one's own, on the screen: what there is of which class, in which split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from limbeck.console import FittingTable
from limbeck.data.pictures.survey import Survey


def pictures_table(title: str, looked: Survey) -> FittingTable:
    """Whole pictures by class and split."""
    splits = tuple(looked.listing.splits)
    counts = {split: Counter(item.label for item in looked.whole(split)) for split in splits}
    table = FittingTable(title=title, title_justify="left")
    for heading in ("class", *splits):
        table.add_column(heading, "left" if heading == "class" else "right")
    for label, name in enumerate(looked.listing.classes):
        table.add_row(name, *(f"{counts[split][label]:,}" for split in splits))
    if any(counts[split][-1] for split in splits):
        table.add_row("(no label)", *(f"{counts[split][-1]:,}" for split in splits))
    table.add_section()
    table.add_row("in all", *(f"{counts[split].total():,}" for split in splits))
    return table


def pictures_notes(looked: Survey) -> list[str]:
    """What else there is to say of them, a line each."""
    extents = [looked.seen[item.where].extent for split in looked.listing.splits for item in looked.whole(split)]
    if not extents:
        return list(looked.notes())
    sides = [f"{_range([extent[side] for extent in extents])} pixels {way}" for side, way in ((0, "wide"), (1, "high"))]
    return [f"{sides[0]}, {sides[1]}.", *looked.notes()]


def _range(numbers: Sequence[int]) -> str:
    least, most = min(numbers), max(numbers)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"
