"""The flagship's script does its stages in order, stops when its time is up, and says what is not measured."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from limbeck import recipes
from limbeck.console import Console
from limbeck.files import read_json
from limbeck.objectives import CrossEntropy, TfKD
from limbeck.recipes import Training


@pytest.fixture
def flagship(study: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.chdir(tmp_path)
    return study("flagship/run")


def test_the_order_of_worth(flagship: ModuleType) -> None:
    names = [stage.name for stage in flagship.stages(flagship.Setting(list=True))]
    assert names[:2] == ["flagship-first-seed", "flagship"]
    assert names[2:] == [
        *("control-label_smoothing", "control-tf_kd", "control-self_distillation", "step", "autopsy", "best")
    ]
    assert not Path("runs").exists()


def test_the_recipes_are_the_catalogues_own(flagship: ModuleType) -> None:
    list(flagship.stages(flagship.Setting()))
    written = {path.stem: recipes.find(str(path)) for path in Path("runs/flagship").glob("*.json")}
    cifar10 = recipes.cifar10()
    assert written["flagship"] == cifar10.with_(protocol=cifar10.protocol.with_(seeds=(0, 1, 2, 3, 4)))
    assert written["flagship-first-seed"] == cifar10.with_(protocol=cifar10.protocol.with_(seeds=(0,)))
    assert written["best"] == recipes.cifar10_best()
    for name, recipe in written.items():
        if name.startswith("control"):  # each beside the same student alone, at equal budget
            assert recipe.students()["alone"] == cifar10.students()["alone"]
            assert recipe.students()["distilled"].train == cifar10.train
    assert written["control-label_smoothing"].objective == CrossEntropy(label_smoothing=0.1)
    assert isinstance(written["control-tf_kd"].objective, TfKD)
    teacher = written["control-self_distillation"].teacher
    assert isinstance(teacher, Training)
    assert (teacher.student, teacher.train, teacher.objective) == (cifar10.student, cifar10.train, CrossEntropy())


def test_a_stage_that_ends_fails_or_takes_too_long(flagship: ModuleType) -> None:
    assert flagship.finished((sys.executable, "-c", "pass"), 60) is True
    assert flagship.finished((sys.executable, "-c", "raise SystemExit(2)"), 60) is False
    assert flagship.finished((sys.executable, "-c", "import time; time.sleep(60)"), 0.5) is None


def test_one_stage_from_end_to_end(flagship: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real run of the first stage on digits; there is no time for the others."""
    setting = flagship.Setting(data="digits", width=0.05, epochs=1, device="cpu", results=Path("results"))
    first = next(flagship.stages(setting))
    monkeypatch.setattr(flagship, "stages", lambda setting: iter([first, flagship.Stage("late", ("never", "run"))]))
    real = flagship.finished
    monkeypatch.setattr(flagship, "finished", lambda command, left: command == first.command and real(command, left))
    flagship.main(setting, Console(quiet=True, file=io.StringIO()))
    (written,) = Path("results").glob("*.json")
    stages = read_json(written)["stages"]
    assert stages["flagship-first-seed"]["state"] == "complete"
    assert stages["flagship-first-seed"]["results"]["summary"]["digits"]["accuracy"]["gain"]["n"] == 1
    assert stages["late"]["state"] == "not measured"
