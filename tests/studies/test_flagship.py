"""The flagship's script does its stages in order, stops when its time is up, and says what is not measured."""

from __future__ import annotations

import dataclasses
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
from limbeck.recipes import Training, Weights


@pytest.fixture
def flagship(study: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.chdir(tmp_path)
    return study("flagship/run")


def test_the_order_of_worth(flagship: ModuleType) -> None:
    names = [stage.name for stage in flagship.stages(flagship.Setting(list=True))]
    assert names[:3] == ["flagship-first-seed", "flagship", "objective-standardised"]
    assert names[3:] == [
        *("step", "autopsy", "best", "control-label_smoothing", "control-tf_kd", "control-self_distillation", "no-relu")
    ]
    assert not Path("runs").exists()


def test_the_recipes_are_the_catalogues_own(flagship: ModuleType) -> None:
    list(flagship.stages(flagship.Setting()))
    written = {path.stem: recipes.find(str(path)) for path in Path("runs/flagship/cifar10").glob("*.json")}
    cifar10 = recipes.cifar10()
    assert written["flagship"] == cifar10.with_(protocol=cifar10.protocol.with_(seeds=(0, 1, 2, 3, 4)))
    assert written["flagship-first-seed"] == cifar10.with_(protocol=cifar10.protocol.with_(seeds=(0,)))
    assert written["best"] == recipes.cifar10_best()
    for name, recipe in written.items():
        if name.startswith(("control", "objective")):  # at equal budget; the student alone is the flagship's
            assert recipe.protocol == written["flagship"].protocol
            assert list(recipe.students()) == ["distilled"]
            assert (recipe.train, recipe.views, recipe.student) == (cifar10.train, cifar10.views, cifar10.student)
    assert written["control-label_smoothing"].objective == CrossEntropy(label_smoothing=0.1)
    assert isinstance(written["control-tf_kd"].objective, TfKD)
    teacher = written["control-self_distillation"].teacher
    assert isinstance(teacher, Training)
    assert (teacher.student, teacher.train, teacher.objective) == (cifar10.student, cifar10.train, CrossEntropy())
    assert written["control-self_distillation"].teacher_seed == 5
    bare, whole = written["no-relu"], written["flagship"]
    assert bare.student == whole.student.with_(name="nin_cifar_no_relu")
    assert bare.teacher == Weights(path="runs/flagship/cifar10/flagship/teacher/weights.safetensors")
    assert (bare.train, bare.objective, bare.protocol) == (whole.train, whole.objective, whole.protocol)


def test_another_pair_has_the_same_stages(flagship: ModuleType) -> None:
    list(flagship.stages(flagship.Setting(recipe="cifar10_cpu", seeds=(0, 1, 2))))
    written = {path.stem: recipes.find(str(path)) for path in Path("runs/flagship/cifar10_cpu").glob("*.json")}
    pair = recipes.cifar10_cpu()
    assert written["flagship"] == pair
    control = written["control-label_smoothing"]
    assert (control.student, control.train, control.protocol) == (pair.student, pair.train, pair.protocol)
    assert written["best"] == recipes.cifar10_best()


def test_the_size_of_a_trial_reaches_every_stage(flagship: ModuleType) -> None:
    setting = flagship.Setting(data="digits", width=0.25, epochs=2, seeds=(0, 1), device="cpu")
    for stage in flagship.stages(setting):
        if stage.run is None:
            said = " ".join(stage.command)
            assert "--data digits --width 0.25" in said
            assert "cpu" in stage.command
            continue
        recipe = recipes.find(f"{stage.run}.json")
        assert (recipe.data.name, recipe.device.name, recipe.train.epochs) == ("digits", "cpu", 2)
        assert recipe.student.width == 0.25
        if isinstance(recipe.teacher, Training):
            whole = recipes.cifar10_best().teacher.student.width if stage.name == "best" else 1
            assert (recipe.teacher.student.width, recipe.teacher.train.epochs) == (0.25 * whole, 2)


def test_how_a_stage_may_end(flagship: ModuleType) -> None:
    assert flagship.outcome((sys.executable, "-c", "pass"), 60) == "complete"
    assert flagship.outcome((sys.executable, "-c", "raise SystemExit(2)"), 60).startswith("failed")
    late = "trap '> asked-to-stop; exit' INT; while :; do sleep 0.1; done"  # a shell is ready at once, on any machine
    assert flagship.outcome(("sh", "-c", late), 3).startswith("not measured: stopped")
    assert Path("asked-to-stop").exists()


def test_controls_are_paired_with_the_flagships_student_alone(flagship: ModuleType) -> None:
    def told(role: str, **sets: dict[int, float]) -> dict[str, object]:
        same = {"metric": "accuracy", "split": "test", "role": role}
        rows = [
            {"dataset": dataset, "seed": seed, "value": value, **same}
            for dataset, values in sets.items()
            for seed, value in values.items()
        ]
        return {"results": {"measurements": rows}}

    stages = {
        "flagship": told("alone", cifar10={0: 0.5, 1: 0.7}, cifar10_1={0: 0.1, 1: 0.1}),
        "control-tf_kd": told("distilled", cifar10={1: 0.8, 0: 0.5, 2: 0.1}),
        "control-label_smoothing": told("distilled", cifar10={0: 0.5}, cifar10_1={0: 0.2}),
    }
    gains = flagship.compared(stages)
    assert list(gains) == ["control-tf_kd", "control-label_smoothing"]
    assert list(gains["control-tf_kd"]) == ["cifar10"]
    assert gains["control-tf_kd"]["cifar10"]["mean"] == pytest.approx(0.05)
    assert gains["control-tf_kd"]["cifar10"]["n"] == 2
    assert gains["control-label_smoothing"]["cifar10_1"]["mean"] == pytest.approx(0.1)


def test_one_stage_from_end_to_end(flagship: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real run of the first stage on digits; what was collected before is kept, and there is no time for more."""
    setting = flagship.Setting(data="digits", width=0.05, epochs=1, device="cpu", results=Path("results"))
    first = next(flagship.stages(setting))
    monkeypatch.setattr(flagship, "stages", lambda setting: iter([first]))
    quiet = Console(quiet=True, file=io.StringIO())
    assert flagship.main(setting, quiet) == 0
    (written,) = Path("results").glob("*.json")
    found = read_json(written)["stages"]["flagship-first-seed"]
    assert found["state"] == "complete"
    assert found["results"]["summary"]["digits"]["accuracy"]["gain"]["n"] == 1
    late = flagship.Stage("late", ("never", "run"))
    monkeypatch.setattr(flagship, "stages", lambda setting: iter([late]))
    assert flagship.main(dataclasses.replace(setting, minutes=0), quiet) == 0
    stages = read_json(written)["stages"]
    assert stages["flagship-first-seed"] == found
    assert stages["late"] == {"state": "not measured: there was no time for it"}
    monkeypatch.setattr(flagship, "stages", lambda setting: iter([dataclasses.replace(first, run=Path("elsewhere"))]))
    assert flagship.main(dataclasses.replace(setting, minutes=0), quiet) == 0
    assert read_json(written)["stages"]["flagship-first-seed"] == found  # as in a fresh checkout, without the runs
    failing = flagship.Stage("failing", (sys.executable, "-c", "raise SystemExit(1)"))
    monkeypatch.setattr(flagship, "stages", lambda setting: iter([failing]))
    assert flagship.main(setting, quiet) == 2
