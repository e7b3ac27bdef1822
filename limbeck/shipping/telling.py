"""What a student says of pictures: a table, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from limbeck.report.table import quiet_table

if TYPE_CHECKING:
    from limbeck.console import FittingTable
    from limbeck.shipping.predicting import Prediction


def table(predictions: Iterable[Prediction], classes: Sequence[str], top: int) -> FittingTable:
    """A row for each picture: its likeliest classes, the likeliest first, with their probabilities in %."""
    shown = quiet_table(f"the likeliest of {len(classes)} classes, probability in %")
    shown.add_column("picture")
    for _ in range(min(top, len(classes))):
        shown.add_column("")
        shown.add_column("", "right")
    for each in predictions:
        cells = [cell for name, share in _likeliest(each, classes, top) for cell in (name, f"{100 * share:.1f}")]
        unsaid = ["cannot be read"] + [""] * (2 * min(top, len(classes)) - 1)
        shown.add_row(each.name, *(unsaid if each.broken is not None else cells))
    return shown


def as_json(predictions: Iterable[Prediction], classes: Sequence[str]) -> str:
    """A list of {picture, answer, probabilities: {class: from 0 to 1}}, or of {picture, broken: why}."""
    rows = [
        {"picture": each.name, "broken": each.broken}
        if each.broken is not None
        else {
            "picture": each.name,
            "answer": _likeliest(each, classes, 1)[0][0],
            "probabilities": dict(zip(classes, each.probabilities, strict=True)),
        }
        for each in predictions
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False)


def as_csv(predictions: Iterable[Prediction], classes: Sequence[str]) -> str:
    """A line for each picture: its name, the answer, and the probability of each class; empty where it is broken."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["picture", "answer", *classes])
    for each in predictions:
        if each.broken is not None:
            writer.writerow([each.name, "", *("" for _ in classes)])
            continue
        answer = _likeliest(each, classes, 1)[0][0]
        writer.writerow([each.name, answer, *(f"{share:.6g}" for share in each.probabilities)])
    return text.getvalue().rstrip("\n")


def _likeliest(prediction: Prediction, classes: Sequence[str], top: int) -> list[tuple[str, float]]:
    shares = zip(classes, prediction.probabilities, strict=False)
    return sorted(shares, key=lambda named: -named[1])[:top]
