"""Corrupted copies of a set of pictures: each network is asked once about each, however often the work is cut short."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from limbeck import start
from limbeck.console import Console
from limbeck.data import Dataset, DataUnavailable
from limbeck.evaluation import predict
from limbeck.evaluation.corruptions import KINDS, corrupted_set
from limbeck.files import read_json
from limbeck.judging import concluding, evaluating, robustness
from limbeck.judging.robustness import Place, corruption_accuracies, kept_corruptions
from limbeck.recipes import Recipe
from limbeck.training import Device, Engine, choose

QUIET = Console(quiet=True, file=io.StringIO())
STOP = ("stop", 0)


class Bright(nn.Module):
    """Answers 1 where a picture is brighter than a threshold, else 0; and counts how often it is asked."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold, self.asked = threshold, 0

    def forward(self, images: Tensor) -> Tensor:
        self.asked += 1
        bright = (images.mean((1, 2, 3)) > self.threshold).float()
        return torch.stack([1 - bright, bright], 1)


@pytest.fixture
def some() -> Dataset:
    """Six pictures, the last of them without a label."""
    images = torch.randint(0, 256, (6, 8, 8, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    return Dataset("some", ("dark", "bright"), images, torch.tensor([0, 1, 0, 1, 1, -1]))


@pytest.fixture
def networks() -> dict[tuple[str, int | None], nn.Module]:
    return {("teacher", None): Bright(0.5), ("distilled", 0): Bright(0.55)}


@pytest.fixture
def places(tmp_path: Path) -> dict[tuple[str, int | None], Place]:
    return {
        ("teacher", None): Place(tmp_path / "t.json", "digest t"),
        ("distilled", 0): Place(tmp_path / "d.json", "digest d"),
    }


@pytest.fixture
def sets_made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The corrupted sets that are made during a test; where STOP is among them, the work ends before fog 3."""
    made: list[tuple[str, int]] = []

    def remembering(pictures: Dataset, kind: str, severity: int) -> Dataset:
        if (kind, severity) == ("fog", 3) and STOP in made:
            raise KeyboardInterrupt
        made.append((kind, severity))
        return corrupted_set(pictures, kind, severity)

    monkeypatch.setattr(robustness, "corrupted_set", remembering)
    return made


def test_accuracies_are_those_of_each_copy(some: Dataset, engine: Engine, networks: dict, sets_made: list) -> None:
    found = corruption_accuracies(networks, some, engine, QUIET)
    assert len(sets_made) == 75  # one for both networks
    for who, network in networks.items():
        for kind in ("fog", "contrast"):
            for severity in (1, 5):
                copy = corrupted_set(some, kind, severity)
                bright = copy.images[:5].double().mean((1, 2, 3)) / 255 > network.threshold
                right = (bright.long() == some.labels[:5]).double().mean().item()
                assert found[who].severities[kind][severity - 1] == pytest.approx(right)
    assert set(found["teacher", None].severities) == {kind for family in KINDS.values() for kind in family}


def test_what_was_asked_is_not_asked_again(
    some: Dataset, engine: Engine, networks: dict, places: dict, sets_made: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[object] = []
    monkeypatch.setattr(robustness, "predict", None)  # cut short before the first answer
    with pytest.raises(TypeError):
        corruption_accuracies(networks, some, engine, QUIET, places, looks.append)
    monkeypatch.setattr(robustness, "predict", predict)
    sets_made[:] = [STOP]
    with pytest.raises(KeyboardInterrupt):
        corruption_accuracies(networks, some, engine, QUIET, places, looks.append)
    before = sets_made[1:]
    assert kept_corruptions(places["teacher", None].path, None) is None  # not finished
    sets_made.clear()
    asked = {who: network.asked for who, network in networks.items()}
    found = corruption_accuracies(networks, some, engine, QUIET, places, looks.append)
    assert sets_made[0] == ("fog", 3)
    assert len(before) + len(sets_made) == 75
    assert {who: network.asked for who, network in networks.items()} == dict.fromkeys(networks, 75)
    assert asked == dict.fromkeys(networks, len(before))
    assert looks == list(networks)  # once for each, not for each copy or start
    assert found == corruption_accuracies(networks, some, engine, QUIET)
    for who, place in places.items():
        assert kept_corruptions(place.path, place.weights) == found[who]
        assert kept_corruptions(place.path, "another digest") is None


def test_figures_of_other_weights_pictures_precision_or_none_at_all_are_not_believed(
    some: Dataset, engine: Engine, networks: dict, places: dict, sets_made: list
) -> None:
    corruption_accuracies(networks, some, engine, QUIET, places)
    whole = places["teacher", None].path.read_text()
    teacher = {("teacher", None): networks["teacher", None]}

    def sets_needed(place: Place, engine: Engine = engine, some: Dataset = some) -> int:
        sets_made.clear()
        corruption_accuracies(teacher, some, engine, QUIET, {("teacher", None): place})
        return len(sets_made)

    place = places["teacher", None]
    assert sets_needed(place) == 0
    assert sets_needed(place._replace(weights="another")) == 75
    assert sets_needed(place) == 75
    assert sets_needed(place, choose(Device(name="cpu", precision="bf16", threads=1))) == 75
    assert sets_needed(place) == 75
    assert sets_needed(place, some=some.subset(torch.tensor([0, 1, 2]))) == 75
    for damaged in (whole[:-40], "[]", whole.replace("fog", "smog"), whole.replace("0.", "7.", 1)):
        place.path.write_text(damaged)
        assert sets_needed(place) == 75


def test_a_run_that_asks_for_it(
    tiny: Recipe, monkeypatch: pytest.MonkeyPatch, sets_made: list, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tiny.with_(protocol=tiny.protocol.with_(corruptions=True))  # of two seeds, one is asked
    assert recipe.digest() != tiny.digest()
    folder = start.run(recipe, Path("out"), console=QUIET).folder
    results, details = read_json(folder / "results.json"), read_json(folder / "details.json")
    measured = {(m["role"], m["seed"]): m for m in results["measurements"] if m["metric"] == "corruption_accuracy"}
    assert list(measured) == [("teacher", None), ("alone", 0), ("distilled", 0)]
    assert {m["n"] for m in measured.values()} == {40}
    for entry in details["entries"]:
        who = (entry["role"], entry["seed"])
        if who in measured and entry["split"] == "test":
            assert entry["corruptions"]["mean"] == measured[who]["value"]
            assert list(entry["corruptions"]) == ["severities", "kinds", "families", "mean"]
        else:
            assert entry["corruptions"] is None
    looks = [json.loads(line) for line in (folder / "evaluations.jsonl").read_text().splitlines()]
    assert [(look["role"], look["seed"]) for look in looks if look["split"] == "test, corrupted"] == list(measured)
    again = concluding.reassess(folder)
    assert again.results == {name: results[name] for name in again.results}
    assert {"recipe": details["recipe"], **again.details} == details
    sets_made.clear()
    once_more = evaluating.evaluate(folder, engine=engine, console=QUIET, corruptions=True)
    assert sets_made == []  # the run has them
    assert [m for m in once_more["measurements"] if m["metric"] == "corruption_accuracy"] == list(measured.values())
    copy = evaluating.evaluate(_copied(folder), engine=engine, console=QUIET, corruptions=True)
    assert len(sets_made) == 75
    assert copy["measurements"][-1]["value"] == measured["distilled", 0]["value"]


def _copied(folder: Path) -> Path:
    """A network of a run, alone in a folder of its own."""
    weights = Path("elsewhere/weights.safetensors")
    weights.parent.mkdir()
    weights.write_bytes((folder / "seed0" / "distilled" / "weights.safetensors").read_bytes())
    return weights


def test_a_recipe_that_does_not_ask_keeps_its_digest(tiny: Recipe) -> None:
    """Folders of runs from before there was this field are still found."""
    older = json.loads(tiny.model_dump_json())
    assert "corruptions" not in older["protocol"]
    assert Recipe(**older) == tiny
    assert Recipe(**older).digest() == tiny.digest()


@pytest.mark.parametrize("gone", [True, False])
def test_pictures_that_are_not_there_or_have_no_label(
    engine: Engine, networks: dict, some: Dataset, gone: bool
) -> None:
    unlabelled = Dataset("some", some.classes, some.images, torch.full((6,), -1))
    sets = {} if gone else {("some", "test"): unlabelled}
    found, absent = robustness.of_first_seed(networks, ("some", "test"), sets, engine, QUIET, {})
    assert found == {}
    why = "some cannot be had." if gone else "No picture of some has a label."
    assert absent == [{"what": "corruptions", "why": why}]


def test_the_first_test_set_may_not_be_had(tiny: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    load = concluding.data.load

    def offline(name: str, split: str, *more: Any) -> Dataset:
        if split == "test":
            raise DataUnavailable("few cannot be had. Tried: the network")
        return load(name, split, *more)

    monkeypatch.setattr(concluding.data, "load", offline)
    protocol = tiny.protocol.with_(corruptions=True, seeds=(0,))
    results = start.run(tiny.with_(protocol=protocol), Path("out"), console=QUIET).results
    assert {"what": "corruptions", "why": "few cannot be had."} in results["not_measured"]


def test_progress(some: Dataset, engine: Engine, networks: dict, fake_time: Callable[[float], None]) -> None:
    said = io.StringIO()
    fake_time(2.0)
    corruption_accuracies(networks, some, engine, Console(file=said))
    assert "some: corrupted pictures:  1" in said.getvalue()
    assert "jpeg_compression 5" in said.getvalue()


@pytest.fixture
def fake_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets the progress bar's clock go on by so many seconds each time it is looked at."""

    def going(by: float) -> None:
        now = 0.0

        def clock() -> float:
            nonlocal now
            now += by
            return now

        monkeypatch.setattr("limbeck.console.time.monotonic", clock)

    return going
