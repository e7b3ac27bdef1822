"""The flagship results on CIFAR-10, in the order of their worth, within a budget of minutes.

    python studies/flagship/run.py --minutes 25

Stages: the flagship with one seed, then five, and with another objective; the step benchmark; the autopsy of the lab;
the best teacher; the controls at equal budget; the head without its ReLU. Each is a command of its own that continues
where it was stopped; what did not fit is done when this is started again. `results/RECIPE-HARDWARE.json` collects what
is finished, after every stage.
"""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tyro

from limbeck import files, recipes
from limbeck.console import Console, duration
from limbeck.data import CATALOGUE
from limbeck.environment import hardware, slug
from limbeck.errors import LimbeckError, unknown
from limbeck.evaluation.statistics import mean_with_interval
from limbeck.objectives import CrossEntropy, TfKD
from limbeck.recipes import Recipe, Training, Weights
from limbeck.training import Device, choose

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
GRACE_SECONDS = 20
STANDARDISED = recipes.cifar10_cpu().objective
"""The best objective of those tried at half width, on the held-out split."""
COMPLETE, FAILED = "complete", "failed: what it said is on the screen"
STOPPED, LATE = "not measured: stopped when the time was up", "not measured: there was no time for it"


@dataclass(frozen=True)
class Setting:
    """Does the flagship's trainings and benchmarks, most worthy first, and stops when its time is up."""

    minutes: float = 60.0
    """Wall-clock budget; the stage that is running when it ends is stopped, and continues next time."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Fixed beforehand; the first one is run alone first."""
    recipe: str = "cifar10"
    """The pair; `cifar10_cpu` for two cores."""
    data: str = "cifar10"
    """Data set; another one is for trying this script out."""
    width: float = 1.0
    """Width of all the networks; another one is for trying this script out."""
    epochs: int | None = None
    """Epochs of every training; none leaves each recipe's own. Another one is for trying this script out."""
    device: str = "auto"
    """Where to compute."""
    out: Path = Path("runs/flagship")
    """Where the runs are kept, in a folder for each recipe."""
    results: Path | None = None
    """Where RECIPE-HARDWARE.json is written; by default the study's own results, those of a trial beside its runs."""
    only: tuple[str, ...] = ()
    """Stages to do, by name; none: all of them."""
    list: bool = False
    """Only say what would be done."""

    @property
    def runs(self) -> Path:
        """Where those of the recipe are kept."""
        return self.out / self.recipe

    @property
    def trial(self) -> bool:
        """Whether something is smaller than in the recipes."""
        return (self.data, self.width, self.epochs) != ("cifar10", 1.0, None)


@dataclass(frozen=True)
class Stage:
    """One command, and the run that it leaves behind, where it leaves one."""

    name: str
    command: tuple[str, ...]
    run: Path | None = None


def controls(flagship: Recipe) -> dict[str, Recipe]:
    """What else a student might gain from at the same budget, so that "the teacher's worth" is not mere regularisation.

    Each is a recipe whose "distilled" student is the control; the student alone to compare it with is the flagship's,
    seed by seed. Self-distillation (Furlanello et al., ICML 2018): the teacher is a student alone, of another seed.
    """
    assert flagship.alone is not None
    untaught = partial(flagship.with_, teacher=None, alone=None)
    own = Training(views=flagship.views, student=flagship.student, train=flagship.train, objective=flagship.alone)
    return {
        "label_smoothing": untaught(objective=CrossEntropy(label_smoothing=0.1)),
        "tf_kd": untaught(objective=TfKD()),
        "self_distillation": flagship.with_(teacher=own, alone=None),
    }


def stages(setting: Setting) -> Iterator[Stage]:
    """All that is to be done, most worthy first."""
    recipe = sized(recipes.find(setting.recipe), setting)
    flagship = recipe.with_(protocol=recipe.protocol.with_(seeds=setting.seeds))
    first = recipe.with_(protocol=recipe.protocol.with_(seeds=setting.seeds[:1]))
    yield of_recipe("flagship-first-seed", first, setting)
    yield of_recipe("flagship", flagship, setting)
    if flagship.objective != STANDARDISED:
        yield of_recipe("objective-standardised", flagship.with_(objective=STANDARDISED, alone=None), setting)
    shared = ("--data", setting.data, "--width", str(setting.width))
    yield Stage("step", (sys.executable, str(ROOT / "benchmarks" / "step.py"), *shared, "--device", setting.device))
    epochs = ("--epochs", str(setting.epochs), "--longer", str(setting.epochs)) if setting.epochs is not None else ()
    places = ("--out", str(setting.runs / "autopsy"), "--device.name", setting.device)
    yield Stage("autopsy", (sys.executable, str(ROOT / "studies" / "lab3" / "autopsy.py"), *shared, *epochs, *places))
    yield of_recipe("best", sized(recipes.cifar10_best(), setting), setting)
    for name, control in controls(flagship).items():
        yield of_recipe(f"control-{name}", control, setting)
    if flagship.student.name == "nin_cifar":
        bare = flagship.student.with_(name="nin_cifar_no_relu")
        teacher = Weights(path=setting.runs / "flagship" / "teacher" / "weights.safetensors")
        yield of_recipe("no-relu", flagship.with_(student=bare, teacher=teacher), setting)


def sized(recipe: Recipe, setting: Setting) -> Recipe:
    """The recipe at the size of a trial, where one is asked for."""
    if setting.width != 1:
        recipe = recipe.with_(student=recipe.student.with_(width=setting.width * recipe.student.width))
    if setting.epochs is not None:
        recipe = recipe.with_(train=recipe.train.with_(epochs=setting.epochs))
    if setting.data != recipe.data.name:
        fifth = CATALOGUE[setting.data].counts["train"] // 5
        recipe = recipe.with_(
            data=recipe.data.with_(name=setting.data, tests=()), protocol=recipe.protocol.with_(holdout=fifth)
        )
    recipe = recipe.with_(device=recipe.device.with_(name=setting.device))
    if isinstance(teacher := recipe.teacher, Training):
        narrow = teacher.student.with_(width=setting.width * teacher.student.width)
        short = teacher.train.with_(epochs=setting.epochs or teacher.train.epochs)
        recipe = recipe.with_(teacher=teacher.with_(student=narrow, train=short))
    return recipe


def of_recipe(name: str, recipe: Recipe, setting: Setting) -> Stage:
    """The stage that runs a recipe, written to a file for the command line to read."""
    file, out = setting.runs / f"{name}.json", setting.runs / name
    if not setting.list:
        files.write_bytes(file, recipe.model_dump_json(indent=2).encode())
    return Stage(name, (sys.executable, "-m", "limbeck", "run", str(file), "--out", str(out)), out)


def main(setting: Setting, console: Console) -> int:
    """Does the stages one after another until the time is up; returns the exit code, 2 where a stage failed.

    Raises:
        LimbeckError: there is no stage of a name that is asked for.
    """
    todo = {stage.name: stage for stage in stages(setting)}
    for name in set(setting.only) - set(todo):
        raise unknown("stage", name, todo)
    ends = time.monotonic() + 60 * setting.minutes
    machine = hardware(choose(Device(name=setting.device)).device)
    results = setting.results or (setting.runs if setting.trial else HERE / "results")
    written = results / f"{setting.recipe}-{slug(machine)}.json"
    told: dict[str, Any] = files.read_json(written)["stages"] if written.exists() else {}
    failed = False
    for stage in (todo[name] for name in todo if name in (setting.only or todo)):
        left = ends - time.monotonic()
        console.say(f"{stage.name}: {shlex.join(stage.command)}")
        if setting.list or (stage.run is None and told.get(stage.name, {}).get("state") == COMPLETE):
            continue
        state = LATE if left < GRACE_SECONDS else outcome(stage.command, left - GRACE_SECONDS)
        failed |= state == FAILED
        found = collected(stage)
        if found or "results" not in told.get(stage.name, {}):  # what was measured elsewhere stays
            told[stage.name] = {"state": state, **found}
        files.write_json(written, {"hardware": machine, "stages": told, "controls": compared(told)})
        console.say(f"{stage.name}: {state}, {duration(max(0.0, ends - time.monotonic()))} left")
    return 2 if failed else 0


def collected(stage: Stage) -> dict[str, Any]:
    """A finished run's results and the environment of its last start, without what has paths of this machine."""
    results = stage.run / "results.json" if stage.run else None
    if results is None or not results.exists():
        return {}
    environment = files.read_json(results.with_name("environment.json"))["starts"][-1]
    del environment["command"]
    found = files.read_json(results)
    for absent in found["not_measured"]:
        absent["why"] = absent["why"].partition(" Tried:")[0]
    return {"results": found, "environment": environment}


def compared(told: dict[str, Any]) -> dict[str, Any]:
    """What each control, or other objective, is worth on each data set, over the flagship's student alone, by seed."""

    def accuracies(name: str, role: str) -> dict[tuple[str, int], float]:
        measurements = told.get(name, {}).get("results", {}).get("measurements", [])
        wanted = ("accuracy", "test", role)
        rows = [m for m in measurements if (m["metric"], m["split"], m["role"]) == wanted]
        return {(m["dataset"], m["seed"]): m["value"] for m in rows}

    alone = accuracies("flagship", "alone")
    gains: dict[str, Any] = {}
    for name in told:
        control = accuracies(name, "distilled") if name.startswith(("control-", "objective-")) else {}
        differences: dict[str, list[float]] = {}
        for dataset, seed in sorted(control.keys() & alone.keys()):
            differences.setdefault(dataset, []).append(control[dataset, seed] - alone[dataset, seed])
        if differences:
            gains[name] = {dataset: mean_with_interval(each) for dataset, each in differences.items()}
    return gains


def outcome(command: tuple[str, ...], seconds: float) -> str:
    """Runs a command for so long at the most, then stops it: it continues next time."""
    with subprocess.Popen(command) as process:
        try:
            return COMPLETE if process.wait(seconds) == 0 else FAILED
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(GRACE_SECONDS / 2)
            except subprocess.TimeoutExpired:
                process.kill()
            return STOPPED


if __name__ == "__main__":
    try:
        sys.exit(main(tyro.cli(Setting), Console()))
    except LimbeckError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
