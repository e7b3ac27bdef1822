"""From answers to all that is told of them: measurements, temperatures, details, and what is not measured."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from limbeck.evaluation.assessment import SCALING, Answers, Assessment, assess
from limbeck.evaluation.calibration import fit_temperature, nll, reliability
from limbeck.evaluation.metrics import accuracy

CLASSES, COUNT = 7, 60
EVERYBODY = [("teacher", None), ("alone", 0), ("distilled", 0), ("alone", 1), ("distilled", 1)]
CALIBRATION = ["nll", "ece", "brier"]
RAW = ["accuracy", "top5_accuracy", "balanced_accuracy", "macro_f1", *CALIBRATION]
SCALED = [f"{metric}_scaled" for metric in CALIBRATION]
FIDELITY = ["agreement", "kl", "agreement_on_mistakes"]


def labels_of(split: str) -> Tensor:
    return torch.randint(0, CLASSES, (COUNT,), generator=torch.Generator().manual_seed(len(split)))


def answers(role: str, seed: int | None, split: str, labels: Tensor | None = None) -> Answers:
    generator = torch.Generator().manual_seed(1000 * len(role) + 100 * len(split) + (seed or 0))
    truth = labels_of(split)
    logits = 2 * torch.randn(COUNT, CLASSES, generator=generator) + 3 * torch.nn.functional.one_hot(truth, CLASSES)
    return Answers(role, seed, "few", split, logits, truth if labels is None else labels)


def whole(*splits: str) -> list[Answers]:
    return [answers(*who, split) for split in splits for who in EVERYBODY]


def metrics_of(found: Assessment, role: str, seed: int | None, split: str) -> list[str]:
    return [m["metric"] for m in found.measurements if (m["role"], m["seed"], m["split"]) == (role, seed, split)]


def entry_of(found: Assessment, role: str, seed: int | None, split: str) -> dict[str, Any]:
    (entry,) = (e for e in found.details if (e["role"], e["seed"], e["split"]) == (role, seed, split))
    return entry


def test_what_is_measured_of_whom() -> None:
    found = assess(whole("holdout", "test"))
    assert metrics_of(found, "teacher", None, "holdout") == RAW
    assert metrics_of(found, "teacher", None, "test") == RAW + SCALED
    assert metrics_of(found, "distilled", 1, "holdout") == RAW + FIDELITY
    assert metrics_of(found, "distilled", 1, "test") == RAW + SCALED + FIDELITY
    assert found.not_measured == []
    assert list(found.summary) == ["few/holdout", "few"]
    assert list(found.summary["few"]["kl"]) == ["alone", "distilled", "gain"]
    assert json.loads(json.dumps(found, allow_nan=False)) == json.loads(json.dumps(list(found)))


def test_a_networks_temperature_is_fitted_on_the_held_out_split_and_applied_to_the_others() -> None:
    found = assess(whole("holdout", "test"))
    held, judged = answers("alone", 1, "holdout"), answers("alone", 1, "test")
    temperature = fit_temperature(held.logits, held.labels)
    assert temperature is not None
    assert temperature > 1.1
    for split in ("holdout", "test"):
        assert entry_of(found, "alone", 1, split)["temperature"] == temperature
    scaled = judged.logits.double() / temperature
    (value,) = (
        m["value"] for m in found.measurements if (m["role"], m["seed"], m["metric"]) == ("alone", 1, "nll_scaled")
    )
    assert value == nll(scaled, judged.labels)
    bins = entry_of(found, "alone", 1, "test")["reliability_scaled"]
    assert bins["counts"] == reliability(scaled, judged.labels).counts.tolist()
    assert bins != entry_of(found, "alone", 1, "test")["reliability"]
    assert entry_of(found, "alone", 1, "holdout")["reliability_scaled"] is None
    given = {who: entry_of(found, *who, "test")["temperature"] for who in EVERYBODY}
    assert assess(whole("test"), given).summary["few"] == found.summary["few"]


def test_details_are_of_the_same_pictures() -> None:
    found = assess(whole("test"))
    ours, theirs = answers("distilled", 0, "test"), answers("teacher", None, "test")
    entry = entry_of(found, "distilled", 0, "test")
    assert list(entry) == [
        *("role", "seed", "dataset", "split", "temperature", "class_accuracy", "confusion"),
        *("reliability", "reliability_scaled", "regressions", "gains", "corruptions"),
    ]
    lost, won = entry["regressions"], entry["gains"]
    difference = accuracy(ours.logits, ours.labels) - accuracy(theirs.logits, theirs.labels)
    assert (len(won["pictures"]) - len(lost["pictures"])) / COUNT == pytest.approx(difference)
    for changed, right in ((lost, theirs), (won, ours)):
        assert changed["pictures"]
        assert sum(changed["by_class"]) == len(changed["pictures"])
        for place in changed["pictures"]:
            assert int(right.logits[place].argmax()) == int(right.labels[place])
    assert sum(map(sum, entry["confusion"])) == sum(entry["reliability"]["counts"]) == COUNT
    teacher = entry_of(found, "teacher", None, "test")
    assert (teacher["regressions"], teacher["gains"]) == (None, None)


def test_places_are_among_all_pictures_also_where_some_have_no_label() -> None:
    hidden = torch.where(torch.arange(COUNT) < 20, -1, labels_of("test"))
    found = assess([answers(role, seed, "test", hidden) for role, seed in EVERYBODY])
    assert {m["n"] for m in found.measurements if m["metric"] != "agreement_on_mistakes"} == {40}
    both = (entry_of(each, "alone", 0, "test") for each in (assess(whole("test")), found))
    whole_set, part = (entry["regressions"]["pictures"] for entry in both)
    assert part == [place for place in whole_set if place >= 20]
    assert part != whole_set


def test_agreement_on_mistakes_counts_the_mistakes() -> None:
    found = assess(whole("test"))
    theirs = answers("teacher", None, "test")
    wrong = int((theirs.logits.argmax(1) != theirs.labels).sum())
    assert {m["n"] for m in found.measurements if m["metric"] == "agreement_on_mistakes"} == {wrong}
    assert wrong > 0


def test_a_class_without_pictures_and_an_empty_bin_are_null() -> None:
    given = Answers("network", None, "few", "test", torch.eye(3)[[0, 1]] * 9, torch.tensor([0, 1]))
    (entry,) = assess([given]).details
    assert entry["class_accuracy"] == [1.0, 1.0, None]
    assert entry["reliability"]["accuracy"] == [None] * 14 + [1.0]


def test_without_a_held_out_split_scaling_is_not_measured() -> None:
    found = assess(whole("test"))
    assert metrics_of(found, "distilled", 1, "test") == RAW + FIDELITY
    assert all(entry["temperature"] is entry["reliability_scaled"] is None for entry in found.details)
    everybody = "teacher, alone of seed 0, distilled of seed 0, alone of seed 1, distilled of seed 1"
    why = f"There are no answers on a held-out split to fit it on: {everybody}."
    assert found.not_measured == [{"what": SCALING, "why": why}]


def test_a_network_that_has_all_held_out_pictures_right_is_not_scaled() -> None:
    perfect = answers("alone", 0, "holdout")
    perfect = perfect._replace(logits=torch.nn.functional.one_hot(perfect.labels, CLASSES).float())
    found = assess([perfect, answers("alone", 1, "holdout"), answers("alone", 0, "test"), answers("alone", 1, "test")])
    why = "Every held-out picture is right, so that no temperature is the best: alone of seed 0."
    assert found.not_measured == [{"what": SCALING, "why": why}]
    assert found.summary["few"]["nll_scaled"]["alone"]["n"] == 1
    assert found.summary["few"]["nll"]["alone"]["n"] == 2


def test_a_set_without_labels_is_not_measured() -> None:
    unlabelled = [answers(*who, "test", torch.full((COUNT,), -1)) for who in EVERYBODY]
    found = assess([*whole("holdout"), *unlabelled])
    assert list(found.summary) == ["few/holdout"]
    assert found.not_measured == [{"what": "few", "why": "None of its pictures has a label."}]


def test_briefly_there_is_accuracy_and_nll_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    full = assess(whole("holdout"))
    monkeypatch.setattr("limbeck.evaluation.assessment.fit_temperature", None)  # is not even called
    brief = assess(whole("holdout"), brief=True)
    assert brief.measurements == [m for m in full.measurements if m["metric"] in ("accuracy", "nll")]
    assert (brief.details, brief.not_measured) == ([], [])
    assert {name: full.summary["few/holdout"][name] for name in ("accuracy", "nll")} == brief.summary["few/holdout"]


def test_the_teachers_of_different_sets_are_kept_apart() -> None:
    """Where the teacher's answers on a set are not there, those on the set before are not taken for them."""
    found = assess([answers("teacher", None, "holdout"), answers("alone", 0, "test")])
    assert "agreement" not in metrics_of(found, "alone", 0, "test")
