"""The table and the sentence at the end of a run."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest

from limbeck.console import Console, FittingTable
from limbeck.data import Status
from limbeck.evaluation.assessment import SCALING
from limbeck.evaluation.results import ONE_TEACHER
from limbeck.report import data_table, remarks, result_table, verdict


def shown(table: FittingTable, width: int = 240) -> list[list[str]]:
    """The cells of what is drawn, line by line; a line that is not of the table is one cell."""
    text = io.StringIO()
    console = Console(file=text)
    console.rich.width = width
    console.show(table)
    assert max(map(len, text.getvalue().splitlines())) <= width
    lines = [line for line in text.getvalue().splitlines() if set(line) - set("┏┳┓┡╇┩├┼┤└┴┘━─ ")]
    if "│" not in text.getvalue():
        return [re.split(r" {2,}", line.strip()) for line in lines]
    return [[cell.strip() for cell in line.strip().strip("│┃").replace("┃", "│").split("│")] for line in lines]


def estimate(mean: float, ci95: float | None = None, n: int = 1, **more: Any) -> dict[str, Any]:
    return {"mean": mean, "ci95": ci95, "n": n, **more}


def network(role: str, seed: int | None, model: str, parameters: int, seconds: float) -> dict[str, Any]:
    return {"role": role, "seed": seed, "model": model, "parameters": parameters, "seconds": seconds}


@pytest.fixture
def results() -> dict[str, Any]:
    def accuracy(gain: dict[str, Any]) -> dict[str, Any]:
        return {
            "teacher": estimate(0.985),
            "alone": estimate(0.95, 0.0125, 3),
            "distilled": estimate(0.962, 0.005, 3),
            "gain": {**gain, "method": "paired"},
        }

    return {
        "recipe": {"name": "digits", "digest": "0123abcd"},
        "networks": [
            network("teacher", None, "alexnet_cifar x0.125", 899_714, 75),
            *(network("alone", seed, "nin_cifar x0.125", 15_500, 10 + seed) for seed in range(3)),
            *(network("distilled", seed, "nin_cifar x0.125", 15_500, 20 + seed) for seed in range(3)),
        ],
        "measurements": [
            {"dataset": "digits", "split": "holdout", "metric": "accuracy", "n": 287},
            {"dataset": "digits", "split": "test", "metric": "accuracy", "n": 1360},
            {"dataset": "digits", "split": "test", "metric": "agreement_on_mistakes", "n": 12},
        ],
        "summary": {
            "digits/holdout": {"accuracy": accuracy(estimate(0.013, 0.02, 3, sample_ci95=0.011))},
            "digits": {"accuracy": accuracy(estimate(0.012, 0.004, 3, sample_ci95=0.01))},
        },
        "not_measured": [],
    }


class TestResultTable:
    def test_every_figure(self, results: dict[str, Any]) -> None:
        assert shown(result_table(results)) == [
            ["digits: accuracy in %, mean ± 95 % interval over 3 seeds"],
            ["digits", "digits"],
            ["held out", "test"],
            ["network", "weights", "(287)", "(1,360)", "trained in"],
            ["teacher", "alexnet_cifar x0.125", "900 k", "98.50", "98.50", "1 min 15 s"],
            ["alone", "nin_cifar x0.125", "16 k", "95.00 ± 1.25", "95.00 ± 1.25", "11 s"],
            ["distilled", "nin_cifar x0.125", "16 k", "96.20 ± 0.50", "96.20 ± 0.50", "21 s"],
            ["gain", "paired", "+1.30 ± 2.00", "+1.20 ± 0.40"],
        ]

    @pytest.mark.parametrize(
        ("number", "said"), [(57_023_306, "57.0 M"), (966_986, "967 k"), (999_600, "1.0 M"), (12, "12")]
    )
    def test_the_size_of_a_network(self, results: dict[str, Any], number: int, said: str) -> None:
        results["networks"][0]["parameters"] = number
        assert shown(result_table(results))[4][2] == said

    def test_it_fits_a_terminal(self, results: dict[str, Any]) -> None:
        text = io.StringIO()
        console = Console(file=text)
        console.rich.width = 80
        console.show(result_table(results))
        for said in ("nin_cifar x0.125", "900 k", "+1.30 ± 2.00", "1 min 15 s"):
            assert said in text.getvalue()

    def test_a_loss_has_its_sign_and_one_seed_no_interval(self, results: dict[str, Any]) -> None:
        results["summary"]["digits"]["accuracy"]["gain"] = estimate(-0.021, sample_ci95=0.01)
        assert shown(result_table(results))[-1][-1] == "-2.10"

    def test_a_teacher_that_was_not_trained_here_has_no_time(self, results: dict[str, Any]) -> None:
        results["networks"][0]["seconds"] = 0
        assert shown(result_table(results))[4] == ["teacher", "alexnet_cifar x0.125", "900 k", "98.50", "98.50"]

    def test_without_a_teacher_there_is_no_gain(self, results: dict[str, Any]) -> None:
        results["networks"] = [network for network in results["networks"] if network["role"] == "alone"]
        for metrics in results["summary"].values():
            metrics["accuracy"] = {"alone": metrics["accuracy"]["alone"]}
        rows = shown(result_table(results))[4:]
        assert [row[0] for row in rows] == ["alone"]

    def test_a_set_on_which_a_network_was_not_measured_is_left_empty(self, results: dict[str, Any]) -> None:
        del results["summary"]["digits"]["accuracy"]["teacher"]
        del results["summary"]["digits"]["accuracy"]["gain"]
        rows = shown(result_table(results))
        assert rows[4][3:] == ["98.50", "1 min 15 s"]
        assert rows[-1][2:] == ["+1.30 ± 2.00"]

    def test_what_was_not_measured_is_said(self, results: dict[str, Any]) -> None:
        results["not_measured"] = [{"what": "cifar10_1", "why": "no source"}, {"what": "other", "why": "no source"}]
        results["not_measured"].append({"what": SCALING, "why": "no held-out split"})  # is said with the other metrics
        assert shown(result_table(results))[-1] == ["cifar10_1: not measured. other: not measured."]

    @pytest.mark.parametrize(
        ("width", "name", "headings"),
        [
            (60, "digits", ["(287)", "(1,360)"]),
            (80, "digits", ["network", "(287)", "(1,360)"]),
            (90, "digits", ["network", "weights", "(287)", "(1,360)"]),
            (120, "digits", ["network", "weights", "(287)", "(1,360)", "trained in"]),
            (60, "a-name-that-is-longer-than-the-screen-is-wide", ["(287)", "(1,360)"]),
        ],
    )
    def test_columns_are_left_out_where_there_is_no_room_for_whole_words(
        self, results: dict[str, Any], width: int, name: str, headings: list[str]
    ) -> None:
        results["recipe"]["name"] = name
        results["networks"][0]["model"] = "alexnet_cifar_without_relu x0.125"
        rows = shown(result_table(results), width)
        assert headings in rows
        wanted = ["96.20 ± 0.50", "96.20 ± 0.50"]
        assert [cell for cell in next(row for row in rows if row[0] == "distilled") if "±" in cell] == wanted


class TestVerdict:
    def gain(self, results: dict[str, Any], mean: float, ci95: float | None, sample: float) -> str:
        results["summary"]["digits"]["accuracy"]["gain"] = estimate(mean, ci95, 3, sample_ci95=sample)
        return verdict(results)

    def test_a_gain_that_is_told_from_0(self, results: dict[str, Any]) -> None:
        assert self.gain(results, 0.012, 0.004, 0.0105) == (
            "On digits the teacher was worth +1.20 points of accuracy ± 0.40 "
            "(95 %, 3 seeds; ± 1.05 from the test pictures, ± 1.12 together)."
        )

    @pytest.mark.parametrize(
        ("mean", "ci95", "sample"),
        [(0.012, 0.013, 0.001), (0.012, 0.001, 0.013), (-0.012, 0.013, 0.001), (0.0, 0.0, 0.0)],
    )
    def test_a_gain_that_is_not(self, results: dict[str, Any], mean: float, ci95: float, sample: float) -> None:
        assert self.gain(results, mean, ci95, sample).endswith(" together). That cannot be told from 0.")

    def test_a_loss_that_is(self, results: dict[str, Any]) -> None:
        said = self.gain(results, -0.012, 0.004, 0.004)
        assert "was worth -1.20 points of accuracy ± 0.40" in said
        assert said.endswith("together).")

    def test_one_seed(self, results: dict[str, Any]) -> None:
        said = self.gain(results, 0.012, None, 0.0105)
        assert said.endswith(
            "+1.20 points of accuracy (one seed, another may say otherwise; ± 1.05 from the test pictures)."
        )
        assert self.gain(results, -0.01, None, 0.0105).endswith("pictures). That cannot be told from 0.")

    def test_the_held_out_split_is_not_what_counts(self, results: dict[str, Any]) -> None:
        assert "+1.20" in verdict(results)
        assert "+1.30" not in verdict(results)

    def test_one_student(self, results: dict[str, Any]) -> None:
        for metrics in results["summary"].values():
            del metrics["accuracy"]["gain"]
        assert verdict(results) == "There is no gain to report: only one of the two students was trained."

    def test_no_test_set(self, results: dict[str, Any]) -> None:
        del results["summary"]["digits"]
        assert verdict(results) == "There is no gain to report: no test set could be measured."


def test_the_data_sets() -> None:
    statuses = [
        Status("digits", "hand-written", 10, {"train": 1437, "test": 360}, 0, "ready", None),
        Status(
            "cifar10", "ten kinds", 10, {"train": 50_000, "test": 10_000}, 170_498_071, "not fetched", Path("cache/x")
        ),
    ]
    assert shown(data_table(statuses)) == [
        ["data set", "what it is", "classes", "pictures", "download", "state", "folder"],
        ["digits", "hand-written", "10", "1,437 train", "none", "ready", ""],
        ["", "", "", "360 test", "", "", ""],
        ["cifar10", "ten kinds", "10", "50,000 train", "170 MB", "not fetched", "cache/x"],
        ["", "", "", "10,000 test", "", "", ""],
    ]


@pytest.mark.parametrize(
    ("width", "headings"),
    [
        (60, ["data set", "pictures", "download", "state"]),
        (80, ["data set", "what it is", "pictures", "download", "state"]),
        (120, ["data set", "what it is", "classes", "pictures", "download", "state", "folder"]),
    ],
)
def test_the_data_sets_on_any_terminal_split_no_word(width: int, headings: list[str]) -> None:
    described = "hand-written pictures of ten kinds of scikit-learn animals, which nobody has ever seen"
    counts = {"train": 50_000, "test": 10_000}
    table = data_table([Status("cifar10_1", described, 10, counts, 1, "not fetched", Path("cache/limbeck/cifar10_1"))])
    lines = shown(table, width)
    assert lines[0] == headings
    words = {word for line in lines for cell in line for word in cell.split()}
    assert {"cifar10_1", "50,000", "train", "fetched"} <= words
    assert ("hand-written" in words) == ("what it is" in headings)
    assert ("cache/limbeck/cifar10_1" in words) == ("folder" in headings)


def test_remarks_are_what_does_not_hold_of_every_run() -> None:
    assert remarks({"notes": [ONE_TEACHER, "alone is right on 10.00 % of few."]}) == [
        "alone is right on 10.00 % of few."
    ]
