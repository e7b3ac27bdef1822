"""The autopsy mends what it says it mends, and writes what it measured."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from limbeck import data
from limbeck.console import Console
from limbeck.data.views import Views
from limbeck.files import read_json
from limbeck.objectives import KD
from limbeck.recipes import Recipe, Training, lab3
from limbeck.recipes.lab3 import DoubleSoftmax, InTrainMode
from limbeck.runs import differences
from limbeck.teachers import Stored
from limbeck.training import SGD, AdamW

QUIET = Console(quiet=True, file=io.StringIO())


@pytest.fixture
def autopsy(study: Callable[[str], ModuleType]) -> ModuleType:
    return study("lab3/autopsy")


def trials(autopsy: ModuleType, only: str = "both") -> dict[str, Recipe]:
    return {name: recipe for name, (_, recipe) in autopsy.trials(autopsy.Setting(only=only)).items()}


def test_it_begins_with_the_labs_recipe(autopsy: ModuleType) -> None:
    assert trials(autopsy)["lab"].with_(alone=lab3().alone, data=lab3().data) == lab3()


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("each-2", {"logits.name"}),
        ("each-3", {"student.dropout"}),
        ("each-4", {"objective.weight", "objective.labels"}),
        ("each-7", {"views", "teacher.views"}),
        (
            "each-8",
            {f"{where}.{what}" for where in ("train", "teacher.train") for what in ("batch_size", "optimizer.lr")},
        ),
        (
            "each-5",
            {
                f"{where}.{what}"
                for where in ("train", "teacher.train")
                for what in ("epochs", "optimizer", "schedule.decay", "schedule.warmup", "clip")
            },
        ),
        ("ladder-1", {"objective.name", "objective.weight"}),
    ],
)
def test_each_mend_changes_one_thing(autopsy: ModuleType, name: str, what: set[str]) -> None:
    made = trials(autopsy)
    before, after = (made[which].model_dump(mode="json") for which in ("lab", name))
    changed = {line.partition(":")[0] for line in differences(before, after)}
    assert changed
    assert all(any(path.startswith(part) for part in what) for path in changed), changed
    assert all(any(path.startswith(part) for path in changed) for part in what), changed


def test_the_ladder_ends_with_everything_mended(autopsy: ModuleType) -> None:
    made = trials(autopsy, "ladder")
    assert list(made) == ["lab", *(f"ladder-{number}" for number in (1, 2, 3, 4, 5, 7, 8))]
    last = made["ladder-8"]
    assert isinstance(last.teacher, Training)
    assert last.objective == KD(temperature=5, weight=0.9, labels=0.1)
    assert (last.logits, last.student.dropout) == (Stored(), None)
    assert (last.views, last.teacher.views) == (Views(), Views())
    assert (last.train.batch_size, last.train.epochs) == (125, 30)
    assert last.train.optimizer.lr == pytest.approx(2e-3)
    assert last.teacher.train.optimizer.lr == pytest.approx(0.05)
    assert isinstance(last.train.optimizer, AdamW)
    assert isinstance(last.teacher.train.optimizer, SGD)
    first = made["ladder-1"]
    assert first.objective == KD(temperature=5, weight=1 / 25, labels=0)
    assert isinstance(first.logits, InTrainMode)


def test_mending_the_labels_alone_keeps_the_double_softmax(autopsy: ModuleType) -> None:
    assert trials(autopsy, "each")["each-4"].objective == DoubleSoftmax(weight=22.5, labels=0.1)


def test_from_end_to_end(autopsy: ModuleType, tiny: Recipe, few: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autopsy, "BATCH", 60)  # there are 120 pictures
    options: dict[str, Any] = {"width": 0.0625, "seeds": (0,), "epochs": 1, "longer": 1, "data": few, "only": "ladder"}
    setting = autopsy.Setting(**options, device=tiny.device, out=Path("runs"), results=Path("results"))
    autopsy.main(setting, QUIET)
    (figures,) = Path("results").glob("*.json")
    rows = read_json(figures)["rows"]
    assert [row["name"] for row in rows] == list(trials(autopsy, "ladder"))
    assert all(0 <= row["student"]["mean"] <= 1 and 0 <= row["student_augmented"]["mean"] <= 1 for row in rows)
    teachers = {path.name for path in Path("runs").glob("teacher-*")}
    assert len(teachers) == 4  # the lab's, and those that mends 5, 7 and 8 change
    asked = {
        name: read_json(Path("runs") / name / "recipe.json")["teacher"]["path"] for name in trials(autopsy, "ladder")
    }
    assert len({asked[name] for name in ("lab", "ladder-1", "ladder-2", "ladder-3", "ladder-4")}) == 1
    assert len({asked[name] for name in ("ladder-4", "ladder-5", "ladder-7", "ladder-8")}) == 4
    before = read_json(figures)
    autopsy.main(
        autopsy.Setting(**{**options, "only": "each"}, device=tiny.device, out=Path("runs"), results=Path("results")),
        QUIET,
    )
    autopsy.main(setting, QUIET)  # what is there is used again, whatever ran in between
    assert read_json(figures) == before
    test = data.load(few, "test")
    assert (autopsy.as_the_lab_saw(test).images != test.images).any()
    text = figures.with_suffix(".md").read_text()
    assert text.count("\n| ") == 1 + len(rows)
    assert "not measured" not in text
    assert figures.with_suffix(".svg").read_text().startswith("<?xml")


def test_what_the_time_does_not_allow_is_not_measured(autopsy: ModuleType, tiny: Recipe, few: str) -> None:
    setting = autopsy.Setting(
        seeds=(0,), minutes=0, data=few, only="ladder", device=tiny.device, out=Path("runs"), results=Path("results")
    )
    autopsy.main(setting, QUIET)
    (page,) = Path("results").glob("*.md")
    assert page.read_text().count("not measured") == 8
    assert not Path("runs").exists()
