"""What networks cost, on the screen."""

from __future__ import annotations

import io
from typing import Any

import pytest

from limbeck import report
from limbeck.console import Console
from limbeck.evaluation.cost import Cost

TEACHER = Cost(57_023_306, 240_150_000, 228_093_224, 12.345, 14.0, 2_345.6, 256, 400e6, 5)
STUDENT = Cost(966_986, 223_120_000, 3_868_000, 6.1, 123.4, 4_691.2, 256, None, 5)


def results(**roles: Cost) -> dict[str, Any]:
    rows = [{"role": role, "seed": None if role == "teacher" else 0, **cost._asdict()} for role, cost in roles.items()]
    return {"cost": {"device": "AMD EPYC 7B13, 2 cores", "precision": "bf16", "networks": rows}}


def drawn(tables: list[Any], width: int = 80) -> list[str]:
    said = io.StringIO()
    console = Console(file=said)
    console.rich.width = width
    for table in tables:
        console.show(table)
    return [line.rstrip() for line in said.getvalue().splitlines()]


def test_eighty_columns_hold_every_figure() -> None:
    lines = drawn(report.cost_tables(results(teacher=TEACHER, distilled=STUDENT)))
    assert max(map(len, lines)) <= 80
    assert lines[0] == "cost, measured in turn on AMD EPYC 7B13, 2 cores, bf16"
    teacher, student = (" ".join(line.split()) for line in lines[-2:])
    assert teacher == "teacher 57.0 M 240 M 228.1 MB 12.3 / 14.0 2,346 400.0 MB"
    assert student == "distilled 967 k 223 M 3.9 MB 6.10 / 123 4,691"


def test_nothing_is_shown_of_what_was_not_measured() -> None:
    for without in ({}, {"cost": None}):
        assert report.cost_tables(without) == report.cost_notes(without) == []
        assert report.cost_sentence(without) is None
    assert report.cost_sentence(results(distilled=STUDENT)) is None


def test_the_sentence() -> None:
    assert report.cost_sentence(results(teacher=TEACHER, distilled=STUDENT)) == (
        "The student is 59 times smaller than the teacher; on this device it is 2.0 times faster at batch 1 (6.10 "
        "against 12.3 ms) and 2.0 times faster in batches of 256."
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"latency_ms": 24.69}, "it is 2.0 times slower at batch 1"),
        ({"latency_ms": 12.0}, "it is as fast at batch 1"),
        ({"images_per_second": 1172.8}, "and 2.0 times slower in batches of 256."),
        ({"parameters": 57_023_306}, "The student is as large as the teacher;"),
        ({"parameters": 114_046_612}, "The student is 2.0 times larger than the teacher;"),
    ],
)
def test_the_sentence_is_honest(changes: dict[str, float], words: str) -> None:
    said = report.cost_sentence(results(teacher=TEACHER, distilled=STUDENT._replace(**changes)))
    assert said is not None
    assert words in said
