"""From answers to measurements, and from measurements to what results.json says."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from limbeck.evaluation import mean_with_interval
from limbeck.evaluation.results import PAIRED, Measurement, key, measure, summarise

LN3 = math.log(3)
ALONE = {0: 0.90, 1: 0.92, 2: 0.94}
DISTILLED = {0: 0.91, 1: 0.93, 2: 0.98}


def measurement(role: str, seed: int | None, value: float, metric: str = "accuracy", **changes: str) -> Measurement:
    where = {"dataset": "digits", "split": "test", **changes}
    return Measurement(
        role=role, seed=seed, dataset=where["dataset"], split=where["split"], metric=metric, value=value, n=4
    )


def right(
    role: str, seed: int, *answers: int, dataset: str = "digits"
) -> dict[tuple[str, str, int | None], np.ndarray]:
    return {(dataset, role, seed): np.array(answers)}


ANSWERS = {
    **right("alone", 0, 1, 1, 0, 0),
    **right("alone", 1, 1, 1, 0, 0),
    **right("alone", 2, 1, 1, 0, 0),
    **right("distilled", 0, 1, 1, 1, 0),
    **right("distilled", 1, 1, 0, 1, 0),
    **right("distilled", 2, 1, 1, 1, 1),
}
STUDENTS = [
    *(measurement("alone", seed, value) for seed, value in ALONE.items()),
    *(measurement("distilled", seed, value) for seed, value in DISTILLED.items()),
]


class TestMeasure:
    def test_by_hand(self) -> None:
        """Right, right, wrong; -ln of 3/4, 1/2 and 1/4. Classes: 1 of 1, 1 of 2; F1 2/3 each. Brier: 1/8, 1/2, 9/8."""
        logits = torch.tensor([[LN3, 0.0], [0.0, 1e-6], [LN3, 0.0]])
        found = measure(logits, torch.tensor([0, 1, 1]), role="alone", seed=2, dataset="digits", split="holdout")
        expected = {"role": "alone", "seed": 2, "dataset": "digits", "split": "holdout", "n": 3}
        values = {
            "accuracy": 2 / 3,
            "balanced_accuracy": 3 / 4,
            "macro_f1": 2 / 3,
            "nll": (0.2876821 + 0.6931472 + 1.3862944) / 3,
            "ece": (0.5 + 2 * 0.25) / 3,
            "brier": 1.75 / 3,
        }
        assert found == [
            {**expected, "metric": metric, "value": pytest.approx(value, abs=1e-6)} for metric, value in values.items()
        ]

    @pytest.mark.parametrize(("classes", "there"), [(5, False), (6, True)])
    def test_top_5_is_told_where_there_are_more_than_five_classes(self, classes: int, there: bool) -> None:
        found = measure(torch.eye(classes), torch.arange(classes), role="", seed=None, dataset="", split="")
        assert ("top5_accuracy" in [m["metric"] for m in found]) is there

    def test_it_is_computed_in_double_precision(self) -> None:
        logits, where = torch.full((100_000, 2), 0.0).half(), {"dataset": "", "split": ""}
        nll = measure(logits, torch.zeros(100_000, dtype=torch.int64), role="", seed=None, **where, brief=True)[1]
        assert nll["value"] == pytest.approx(math.log(2), rel=1e-12)

    def test_plain_numbers_that_json_knows(self) -> None:
        logits, where = torch.eye(3), {"dataset": "digits", "split": "test"}
        found = measure(logits, torch.arange(3), role="alone", seed=0, **where, teacher=-logits, temperature=2.0)
        assert json.loads(json.dumps(found)) == found
        assert {type(m["value"]) for m in found} == {float}
        assert {type(m["n"]) for m in found} == {int}


@pytest.mark.parametrize(("split", "name"), [("test", "digits"), ("holdout", "digits/holdout")])
def test_the_name_in_the_summary(split: str, name: str) -> None:
    assert key("digits", split) == name


class TestSummarise:
    def test_means_and_intervals_of_each_role(self) -> None:
        summary = summarise([measurement("teacher", None, 0.97), *STUDENTS], ANSWERS)
        roles = summary["digits"]["accuracy"]
        assert list(roles) == ["teacher", "alone", "distilled", "gain"]
        assert roles["teacher"] == {"mean": 0.97, "ci95": None, "n": 1}
        assert roles["alone"] == mean_with_interval(list(ALONE.values()))
        assert roles["distilled"] == mean_with_interval(list(DISTILLED.values()))

    def test_the_gain_is_that_of_pairs(self) -> None:
        """Differences .01, .01, .04: mean .02, deviation sqrt .0003, half-width 4.30265 * .01 = .0430265."""
        gain = summarise(STUDENTS, ANSWERS)["digits"]["accuracy"]["gain"]
        assert gain["mean"] == pytest.approx(0.02)
        assert gain["ci95"] == pytest.approx(0.0430265, rel=1e-5)
        assert gain["n"] == 3
        assert gain["method"] == PAIRED  # type: ignore[typeddict-item]

    def test_pairs_are_made_by_seed_and_not_by_place(self) -> None:
        there = summarise(STUDENTS, ANSWERS)["digits"]["accuracy"]["gain"]
        back = summarise(STUDENTS[::-1], ANSWERS)["digits"]["accuracy"]["gain"]
        mixed = summarise([*STUDENTS[:3], *STUDENTS[:2:-1]], ANSWERS)["digits"]["accuracy"]["gain"]
        assert back["ci95"] == pytest.approx(there["ci95"])
        assert mixed["ci95"] == pytest.approx(there["ci95"])

    def test_what_the_sample_adds(self) -> None:
        """Gains by picture, averaged over seeds: 0, -1/3, 1, 1/3: mean .25, variance .2430556; 1.96 sqrt(that / 4)."""
        gain = summarise(STUDENTS, ANSWERS)["digits"]["accuracy"]["gain"]
        assert gain["sample_ci95"] == pytest.approx(0.483143, abs=1e-5)  # type: ignore[typeddict-item]

    def test_only_accuracy_has_it(self) -> None:
        likelihoods = [measurement(role, 0, value, "nll") for role, value in (("alone", 0.5), ("distilled", 0.25))]
        summary = summarise(likelihoods, ANSWERS)
        assert summary["digits"]["nll"]["gain"] == {"mean": -0.25, "ci95": None, "n": 1, "method": PAIRED}

    @pytest.mark.parametrize("role", ["alone", "distilled"])
    def test_no_gain_without_both_students(self, role: str) -> None:
        summary = summarise([measurement("teacher", None, 0.97), measurement(role, 0, 0.9)], ANSWERS)
        assert set(summary["digits"]["accuracy"]) == {"teacher", role}

    def test_a_seed_without_its_pair_does_not_count(self) -> None:
        gain = summarise(STUDENTS[:4], ANSWERS)["digits"]["accuracy"]["gain"]
        assert (gain["n"], gain["ci95"]) == (1, None)
        assert gain["mean"] == pytest.approx(0.01)

    def test_every_set_has_its_own(self) -> None:
        held_out = [
            measurement(role, 0, value, split="holdout") for role, value in (("alone", 0.5), ("distilled", 0.75))
        ]
        other = [measurement("alone", 0, 0.25, dataset="cifar10")]
        answers = {
            **ANSWERS,
            **right("alone", 0, 0, 1, dataset="digits/holdout"),
            **right("distilled", 0, 1, 1, dataset="digits/holdout"),
        }
        summary = summarise([*held_out, *STUDENTS, *other], answers)
        assert list(summary) == ["digits/holdout", "digits", "cifar10"]
        assert summary["digits/holdout"]["accuracy"]["gain"]["mean"] == 0.25
        assert summary["cifar10"]["accuracy"]["alone"]["mean"] == 0.25

    def test_json_knows_all_of_it(self) -> None:
        summary = summarise(STUDENTS, ANSWERS)
        assert json.loads(json.dumps(summary, allow_nan=False)) == summary
