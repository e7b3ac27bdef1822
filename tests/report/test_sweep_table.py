"""The end of a sweep on the screen and as a page: every figure, the order, and what is left out where it is narrow."""

from __future__ import annotations

import io
from typing import Any

import pytest

from limbeck.console import Console
from limbeck.report import all_failed, sweep_markdown, sweep_notes, sweep_table


def estimate(mean: float, ci95: float | None = None) -> dict[str, Any]:
    return {"mean": mean, "ci95": ci95, "n": 3}


def row(varies: dict[str, str], command: str | None, **accuracy: Any) -> dict[str, Any]:
    return {
        "varies": varies,
        "command": command,
        "accuracy": accuracy,
        "seconds": {role: 75.0 for role in accuracy if role != "gain"},
        "peak_memory": {role: 27_400_000 for role in accuracy if role != "gain"},
        "failed": {},
    }


@pytest.fixture
def results() -> dict[str, Any]:
    kd = row(
        {"--objective": "kd", "--train.optimizer.lr": "1e-3"},
        "limbeck run digits --objective kd",
        alone=estimate(0.9, 0.01),
        distilled=estimate(0.91, 0.02),
        gain=estimate(0.01, 0.015),
    )
    control = row({"--objective": "cross_entropy"}, None, alone=estimate(0.9, 0.01))
    failed = row({"--objective": "dkd", "--train.optimizer.lr": "9"}, None)
    failed["failed"] = {"distilled": {"short": "diverged in epoch 2", "why": "no number.\nLower it.", "lasting": True}}
    return {
        "recipe": {"name": "digits", "digest": "0123abcd"},
        "axes": ["--objective", "--train.optimizer.lr", "--teacher.train.optimizer.lr"],
        "seeds": [0, 1, 2],
        "held_out": 1287,
        "search": None,
        "trained": {"alone": 1, "distilled": 2},
        "trials": [failed, control, kd],
        "ranking": [2, 1],
        "best": 2,
    }


def test_every_figure_best_first(results: dict[str, Any]) -> None:
    title, _, headings, _, *lines = sweep_markdown(results).splitlines()
    assert title == "digits: held-out accuracy in %, mean ± 95 % interval over 3 seeds"
    assert headings == (
        "| objective | train.optimizer.lr | teacher.train.optimizer.lr | alone | distilled | gain | time | memory |"
    )
    assert lines[:3] == [
        "| kd | 1e-3 |  | 90.00 ± 1.00 | 91.00 ± 2.00 | +1.00 ± 1.50 | 1 min 15 s | 27.4 MB |",
        "| cross_entropy |  |  | 90.00 ± 1.00 |  |  | 1 min 15 s | 27.4 MB |",
        "| dkd | 9 |  |  | diverged in epoch 2 |  |  |  |",
    ]


def test_the_notes(results: dict[str, Any]) -> None:
    said = sweep_notes(results).splitlines()
    assert said[0] == (
        "3 trials, judged on 1,287 held-out pictures; different trainings: 1 alone, 2 distilled, each with 3 seeds."
    )
    assert said[1].startswith("Distilled had 2 trainings to choose from, alone 1: the best of many is flattered.")
    assert said[3] == "objective dkd, train.optimizer.lr 9: distilled failed: no number."
    assert said[-1] == "limbeck run digits --objective kd"
    results["trained"]["alone"] = 2
    results["trials"][2]["command"] = None
    said = sweep_notes(results).splitlines()
    assert "flattered" not in said[1]
    assert said[-1] == "limbeck.run(sweep.best)"


def test_where_all_failed(results: dict[str, Any]) -> None:
    results |= {"trials": results["trials"][:1], "ranking": [], "best": None}
    assert all_failed(results) == "all 1 trials failed. The first: no number.\nLower it."
    assert "This runs the best" not in sweep_markdown(results)


@pytest.mark.parametrize(("columns", "last"), [(70, "gain"), (80, "time"), (120, "memory")])
def test_columns_are_left_out_where_the_terminal_is_narrow(results: dict[str, Any], columns: int, last: str) -> None:
    results["axes"] = results["axes"][:2]
    text = io.StringIO()
    console = Console(file=text)
    console.rich.width = columns
    console.show(sweep_table(results))
    lines = [line.split() for line in text.getvalue().splitlines()]
    (headings,) = [line for line in lines if line[:1] == ["objective"]]
    assert headings[:2] == ["objective", "lr"]
    assert headings[-1] == last
