"""A search: what is drawn, that both sides get as much, and that a stopped one draws the same again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limbeck.cli import main
from limbeck.errors import LimbeckError
from limbeck.recipes import Recipe
from limbeck.sweeps import parse
from limbeck.training import Job

RANGES = ["--train.optimizer.lr", "1e-3..1e-1", "--train.epochs", "1..2"]
WORDS = ["sweep", "brief", "--search", "4", *RANGES, "--objective", "kd,dkd", "--objective.alpha", ".5..2"]


@pytest.fixture
def optuna() -> Any:
    return pytest.importorskip("optuna", reason="the extra [search] is not installed")


def found(out: str = "out") -> dict[str, Any]:
    results: dict[str, Any] = json.loads(Path(out, "results.json").read_text())
    return results


def test_both_sides_draw_as_often_each_from_what_concerns_it(
    optuna: Any, brief: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*WORDS, "--out", "out", "--quiet"]) == 0
    results = found()
    rows = {role: [row for row in results["trials"] if row["roles"] == [role]] for role in ("alone", "distilled")}
    assert [len(some) for some in rows.values()] == [4, 4]
    assert results["trained"] == {"alone": 4, "distilled": 4}
    for row in rows["alone"]:
        assert row["varies"].keys() == {"--train.optimizer.lr", "--train.epochs"}
        assert row["accuracy"].keys() == {"alone"}
    for row in rows["distilled"]:
        assert ("--objective.alpha" in row["varies"]) == (row["varies"]["--objective"] == "dkd")
        assert 1e-3 <= float(row["varies"]["--train.optimizer.lr"]) <= 1e-1
        assert row["varies"]["--train.epochs"] in ("1", "2")
        assert row["accuracy"].keys() == {"teacher", "distilled"}
    assert results["trials"][results["best"]]["roles"] == ["distilled"]
    said = capsys.readouterr().out.splitlines()
    assert said[-4].startswith("The best of up to 4 trials drawn for each: distilled ")
    assert said[-1].startswith("limbeck run brief --train.optimizer.lr 0.")
    assert "--search" not in said[-1]


def test_a_search_that_was_stopped_draws_the_same_again(
    optuna: Any, brief: Recipe, trained: list[Job], stopped: Any
) -> None:
    assert main([*WORDS, "--out", "whole", "--quiet"]) == 0
    trained.clear()
    with stopped(3, KeyboardInterrupt):
        assert main([*WORDS, "--out", "out", "--quiet"]) == 130
    kept = found()["trials"]
    trained.clear()
    assert main([*WORDS, "--out", "out", "--quiet"]) == 0
    assert found()["trials"][: len(kept)] == kept
    assert 0 < len(kept) < 8
    for name in ("varies", "accuracy", "command"):
        assert [row[name] for row in found()["trials"]] == [row[name] for row in found("whole")["trials"]]
    trained.clear()
    assert main([*WORDS, "--out", "out", "--quiet"]) == 0
    assert trained == []


def test_the_ends_are_tried_before_anything_is_trained(optuna: Any, refusal: Callable[..., str]) -> None:
    said = refusal("--search", "3", "--train.batch-size", "32..89")
    assert "train.batch_size = 89 is larger than the training set of 88 pictures." in said
    assert refusal("--search", "3", "--train.epochs", ".5..2").startswith(
        "error: --train.epochs .5: must be a valid int"
    )
    assert refusal("--search", "3", "--train.epochs", "3..2") == (
        "error: --train.epochs 3..2 is an empty range. Type the lower end first: 2..3\n"
    )


def test_without_the_package(brief: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limbeck.sweeps.axes.find_spec", lambda name: None)
    with pytest.raises(LimbeckError, match=r"^--search needs Optuna, .* Type: pip install optuna$"):
        parse(["brief", "--search", "3", *RANGES], "")
