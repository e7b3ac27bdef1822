"""The flagship results on CIFAR-10, in the order of their worth, within a budget of minutes.

    python studies/flagship/run.py --minutes 25

Stages: the flagship with one seed, then five; the controls at equal budget; the step benchmark; the autopsy of the lab;
the best teacher. Each is a command of its own that continues where it was stopped; what did not fit is done when this
is started again. `results/HARDWARE.json` collects what is finished, after every stage.
"""

from __future__ import annotations

import os
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

import torch
import tyro

from limbeck import files, recipes
from limbeck.console import Console, duration
from limbeck.data import CATALOGUE
from limbeck.errors import LimbeckError
from limbeck.objectives import CrossEntropy, TfKD
from limbeck.recipes import Recipe, Training
from limbeck.runs import processor

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
GRACE_SECONDS = 20


@dataclass(frozen=True)
class Setting:
    """Does the flagship's trainings and benchmarks, most worthy first, and stops when its time is up."""

    minutes: float = 60.0
    """Wall-clock budget; the stage that is running when it ends is stopped, and continues next time."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Fixed beforehand; the first one is run alone first."""
    data: str = "cifar10"
    """Data set; another one is for trying this script out."""
    width: float = 1.0
    """Width of all the networks; another one is for trying this script out."""
    epochs: int | None = None
    """Epochs of every training; none leaves each recipe's own. Another one is for trying this script out."""
    device: str = "auto"
    """Where to compute."""
    out: Path = Path("runs/flagship")
    """Where the runs are kept."""
    results: Path = HERE / "results"
    """Where HARDWARE.json is written."""
    list: bool = False
    """Only say what would be done."""


@dataclass(frozen=True)
class Stage:
    """One command, and the run that it leaves behind, where it leaves one."""

    name: str
    command: tuple[str, ...]
    run: Path | None = None


def controls(flagship: Recipe, setting: Setting) -> dict[str, Recipe]:
    """What else a student might gain from at the same budget, so that "the teacher's worth" is not mere regularisation.

    Each is a recipe whose "distilled" student is the control, and whose student alone is the flagship's.
    """
    protocol = flagship.protocol.with_(seeds=setting.seeds)
    untaught = partial(flagship.with_, teacher=None, protocol=protocol)
    assert flagship.alone is not None
    own = Training(
        views=flagship.views, student=flagship.student, train=flagship.train, objective=flagship.alone
    )  # self-distillation: a born-again student, taught by its like (Furlanello et al., ICML 2018)
    return {
        "label_smoothing": untaught(objective=CrossEntropy(label_smoothing=0.1)),
        "tf_kd": untaught(objective=TfKD(form="paper", weight=0.5, labels=0.5)),
        "self_distillation": flagship.with_(teacher=own, protocol=protocol),
    }


def stages(setting: Setting) -> Iterator[Stage]:
    """All that is to be done, most worthy first."""
    flagship = sized(recipes.cifar10(), setting)
    first = flagship.with_(protocol=flagship.protocol.with_(seeds=setting.seeds[:1]))
    yield of_recipe("flagship-first-seed", first, setting)
    yield of_recipe("flagship", flagship.with_(protocol=flagship.protocol.with_(seeds=setting.seeds)), setting)
    for name, recipe in controls(flagship, setting).items():
        yield of_recipe(f"control-{name}", recipe, setting)
    yield Stage("step", (sys.executable, str(ROOT / "benchmarks" / "step.py")))
    autopsy = (sys.executable, str(ROOT / "studies" / "lab3" / "autopsy.py"))
    yield Stage("autopsy", (*autopsy, "--out", str(setting.out / "autopsy"), "--device.name", setting.device))
    yield of_recipe("best", sized(recipes.cifar10_best(), setting), setting)


def sized(recipe: Recipe, setting: Setting) -> Recipe:
    """The recipe at the size of a trial, where one is asked for."""
    if setting.width != 1:
        recipe = recipe.with_(student=recipe.student.with_(width=setting.width))
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
    file, out = setting.out / f"{name}.json", setting.out / name
    if not setting.list:
        files.write_bytes(file, recipe.model_dump_json(indent=2).encode())
    return Stage(name, (sys.executable, "-m", "limbeck", "run", str(file), "--out", str(out)), out)


def main(setting: Setting, console: Console) -> None:
    """Does the stages one after another until the time is up."""
    ends = time.monotonic() + 60 * setting.minutes
    told: dict[str, Any] = {}
    for stage in stages(setting):
        left = ends - time.monotonic()
        console.say(f"{stage.name}: {shlex.join(stage.command)}")
        if setting.list:
            continue
        began = time.monotonic()
        ended = left > GRACE_SECONDS and finished(stage.command, left - GRACE_SECONDS)
        told[stage.name] = {"state": state(ended), "seconds": time.monotonic() - began}
        results = stage.run / "results.json" if stage.run else None
        if results is not None and results.exists():
            environment = files.read_json(results.with_name("environment.json"))["starts"][-1]
            told[stage.name] |= {"results": files.read_json(results), "environment": environment}
        files.write_json(setting.results / f"{slug(hardware())}.json", {"hardware": hardware(), "stages": told})
        console.say(f"{stage.name}: {told[stage.name]['state']}, {duration(ends - time.monotonic())} left")


def finished(command: tuple[str, ...], seconds: float) -> bool | None:
    """Runs a command for so long at the most. None: it had to be stopped, which is safe, for it continues next time."""
    with subprocess.Popen(command) as process:
        try:
            return process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(GRACE_SECONDS / 2)
            except subprocess.TimeoutExpired:
                process.kill()
            return None


def state(ended: bool | None) -> str:
    """How a stage stands."""
    return {True: "complete", False: "not measured", None: "stopped when the time was up"}[ended]


def hardware() -> str:
    """What this machine computes with."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"{processor()}, {os.cpu_count()} cores"


def slug(text: str) -> str:
    """The hardware's name as a file name."""
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


if __name__ == "__main__":
    try:
        main(tyro.cli(Setting), Console())
    except LimbeckError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
