"""Corrupted and shifted pictures, on the screen."""

from __future__ import annotations

import io
from typing import Any

from limbeck import report
from limbeck.console import Console
from limbeck.evaluation.corruptions import KINDS, averaged

WHY = "the published line of cifar10_1 against cifar10 was fitted to networks with 82% to 97% on cifar10"


def shifted(role: str, seed: int | None, value: float, residual: float | None) -> dict[str, Any]:
    ends = [None, None] if residual is None else [residual - 0.025, residual + 0.03]
    return {
        **{"role": role, "seed": seed, "original": "cifar10", "shifted": "cifar10_1", "value": value},
        **{"low": value - 0.01, "high": value + 0.02, "expected": None if residual is None else value - residual},
        **{"residual": residual, "residual_low": ends[0], "residual_high": ends[1]},
        "why": WHY if residual is None else None,
    }


def test_a_line_of_each_role() -> None:
    entries = [shifted("teacher", None, 0.8, -0.01), shifted("alone", 0, 0.4, None)]
    entries += [
        shifted("distilled", 0, 0.84, 0.01),
        shifted("distilled", 1, 0.86, 0.03),
        shifted("distilled", 2, 0.7, None),
    ]
    assert report.shift_lines({"shift": entries}) == [
        "teacher on cifar10_1: 80.00 (79.00 to 82.00) %; effective robustness -1.00 (-3.50 to +2.00) points.",
        f"alone on cifar10_1: 40.00 (39.00 to 42.00) %; effective robustness is not known: {WHY}.",
        "distilled on cifar10_1: 80.00 (79.00 to 82.00) %, mean of 3 seeds; effective robustness +2.00 (-0.50 to "
        "+5.00) points (2 of 3 seeds).",
    ]
    assert report.shift_lines({}) == []


def test_corruptions_by_family() -> None:
    severities = {kind: [place / 10] * 5 for place, family in enumerate(KINDS, start=5) for kind in KINDS[family]}
    where = {"role": "distilled", "seed": 0, "dataset": "cifar10", "split": "test"}
    details = {"entries": [{**where, "corruptions": averaged(severities)._asdict()}, {**where, "seed": 1}]}
    results = {"measurements": [{**where, "metric": "accuracy", "value": 0.9, "n": 10_000}]}
    said = io.StringIO()
    console = Console(file=said)
    console.rich.width = 80
    for table in report.corruption_tables(results, details):
        console.show(table)
    lines = [" ".join(line.split()) for line in said.getvalue().splitlines()]
    assert lines[0] == "cifar10 test (10,000): accuracy in % on corrupted pictures, one seed"
    assert lines[1] == "as they are noise blur weather digital all"
    assert lines[3:] == ["distilled of seed 0 90.00 50.00 60.00 70.00 80.00 66.00"]
    assert max(map(len, said.getvalue().splitlines())) <= 80
