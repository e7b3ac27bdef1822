"""The second table of `limbeck evaluate`: what there is beside accuracy."""

from __future__ import annotations

import copy
import io
import re
from typing import Any

import pytest

from limbeck.console import Console
from limbeck.evaluation.assessment import SCALING
from limbeck.report import metrics_notes, metrics_tables

SHARES = ("accuracy", "top5_accuracy", "balanced_accuracy", "macro_f1", "ece", "ece_scaled")
NUMBERS = ("nll", "nll_scaled", "brier", "brier_scaled")
FIDELITY = ("agreement", "kl", "agreement_on_mistakes")


def estimate(mean: float, ci95: float | None = 0.0213) -> dict[str, Any]:
    return {"mean": mean, "ci95": ci95, "n": 3}


@pytest.fixture
def results() -> dict[str, Any]:
    students = {"alone": estimate(0.9512), "distilled": estimate(0.9634), "gain": estimate(0.0122)}
    summary: dict[str, Any] = {name: {"teacher": estimate(0.98123, None), **students} for name in (*SHARES, *NUMBERS)}
    summary |= dict.fromkeys(FIDELITY, students)
    return {
        "networks": [{"seed": None}, *({"seed": seed} for seed in range(3))],
        "measurements": [
            {"dataset": "digits", "split": "test", "metric": "accuracy", "n": 1360},
            {"dataset": "digits", "split": "test", "metric": "agreement_on_mistakes", "n": 7},
            {"dataset": "other", "split": "train", "metric": "accuracy", "n": 42},
        ],
        "summary": {"digits": summary},
        "not_measured": [],
    }


def shown(results: dict[str, Any], width: int = 80) -> list[str]:
    text = io.StringIO()
    console = Console(file=text)
    console.rich.width = width
    for table in metrics_tables(results):
        console.show(table)
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    assert max(map(len, lines), default=0) <= width
    return [line for line in lines if line.strip(" ─")]


def cells(line: str) -> list[str]:
    return re.split(r" {2,}", line.strip())


def test_every_figure_on_80_columns(results: dict[str, Any]) -> None:
    title, heading, *rows = shown(results)
    assert title == "digits test (1,360): other metrics, mean ± 95 % interval over 3 seeds"
    assert cells(heading) == ["teacher", "alone", "distilled", "gain"]
    share = ["98.12", "95.12 ± 2.13", "96.34 ± 2.13", "+1.22 ± 2.13"]
    number = ["0.981", "0.951 ± 0.021", "0.963 ± 0.021", "+0.012 ± 0.021"]
    assert [cells(row) for row in rows] == [
        ["top-5 accuracy, %", *share],
        ["balanced accuracy, %", *share],
        ["macro-F1, %", *share],
        ["NLL, nats", *number],
        ["NLL, scaled", *number],
        ["ECE, %", *share],
        ["ECE, scaled, %", *share],
        ["Brier, 0 to 2", *number],
        ["Brier, scaled", *number],
        ["agreement, %", *share[1:]],
        ["same mistakes, %", *share[1:]],
        ["KL, nats", *number[1:]],
    ]


def test_the_widest_figures_fit(results: dict[str, Any]) -> None:
    wide = {role: estimate(1.0, 0.9999) for role in ("alone", "distilled", "gain")}
    for metrics in results["summary"]["digits"].values():
        metrics |= {"teacher": estimate(1.0, None), **wide}
    said = shown(results)
    assert any("+100.00 ± 99.99" in line and line.count("100.00 ± 99.99") == 3 for line in said)


def test_one_network_on_its_own(results: dict[str, Any]) -> None:
    results["networks"] = [{"seed": None}]
    results["summary"]["digits"] = {name: {"network": estimate(0.5, None)} for name in ("accuracy", "nll", "ece")}
    results["not_measured"] = [{"what": SCALING, "why": "There are none."}, {"what": "far", "why": "no source"}]
    title, heading, *rows = shown(results)
    assert title.endswith("(1,360): other metrics, one network")
    assert cells(heading) == ["network"]
    assert [cells(row) for row in rows] == [["NLL, nats", "0.500"], ["ECE, %", "50.00"]]
    assert metrics_notes(results) == [
        "Less is better of NLL, ECE and Brier.",
        "Temperature scaling: not measured. There are none.",
    ]


def test_what_has_to_be_known_is_said_on_80_columns(results: dict[str, Any]) -> None:
    said = metrics_notes(results)
    assert [note.split()[0] for note in said] == ["Less", "Scaled:", "Agreement"]
    assert max(len(line) for note in said for line in note.splitlines()) <= 80


def test_each_set_has_its_own(results: dict[str, Any]) -> None:
    results["summary"]["other/train"] = copy.deepcopy(results["summary"]["digits"])
    titles = [line.partition(":")[0] for line in shown(results) if "other metrics" in line]
    assert titles == ["digits test (1,360)", "other train (42)"]


def test_results_of_accuracy_alone_have_no_other_table(results: dict[str, Any]) -> None:
    results["summary"]["digits"] = {"accuracy": results["summary"]["digits"]["accuracy"]}
    assert metrics_tables(results) == metrics_notes(results) == []
