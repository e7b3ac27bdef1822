"""What each mistake of the lab cost: its recipe, and the same with the mistakes mended, one at a time.

    python studies/lab3/autopsy.py                                   # full width, three seeds, alone and cumulative
    python studies/lab3/autopsy.py --width 0.5 --seeds 0 --only ladder --minutes 120      # for two CPU cores

Every training is a run of its own under --out, and is continued or reused when the script is started again. Of the
eight mistakes, the augmented test sets (6) cost an evaluation alone, and the slow loop (8) costs time; batches of 32,
which came with it, are mended here as the eighth.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from matplotlib.figure import Figure

from limbeck import data, files, recipes, start
from limbeck.console import Console, duration
from limbeck.data import Dataset
from limbeck.data.views import Views, make_views
from limbeck.environment import hardware, slug
from limbeck.errors import LimbeckError
from limbeck.evaluation import predict
from limbeck.evaluation.statistics import mean_with_interval
from limbeck.models.weights import load_network
from limbeck.objectives import KD
from limbeck.recipes import Recipe, Training, Weights
from limbeck.recipes.lab3 import DoubleSoftmax
from limbeck.runs import RunFolder
from limbeck.teachers import Stored
from limbeck.training import SGD, AdamW, Device, Schedule, choose

BATCH = 125


@dataclass(frozen=True)
class Setting:
    """Runs the lab's recipe, mends its mistakes, and writes one table and one picture."""

    width: float = 1.0
    """Width of both networks; 1 is the lab's pair."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of every student."""
    epochs: int = 10
    """Epochs of the lab's trainings, teacher and student."""
    longer: int = 30
    """Epochs where mistake 5 (schedule and length) is mended."""
    only: Literal["both", "ladder", "each"] = "both"
    """The cumulative ladder, each mistake mended alone, or both."""
    minutes: float | None = None
    """No trial begins after this many minutes; what is missing is said to be not measured."""
    data: str = "cifar10"
    """Data set, its own test set included."""
    device: Device = field(default_factory=lambda: recipes.lab3().device)
    """Where and how to compute; the lab's precision is fp32."""
    out: Path = Path("runs/lab3-autopsy")
    """Where the runs are kept."""
    results: Path = Path(__file__).parent / "results"
    """Where HARDWARE.json, HARDWARE.md and HARDWARE.svg are written."""


Mend = Callable[[Recipe, Setting], Recipe]


def one_softmax(recipe: Recipe, setting: Setting) -> Recipe:
    """Logits go into the loss, and softmax is applied once."""
    old = recipe.objective
    assert isinstance(old, DoubleSoftmax)
    return recipe.with_(
        objective=KD(temperature=old.temperature, weight=old.weight / old.temperature**2, labels=old.labels)
    )


def teacher_in_eval_mode(recipe: Recipe, setting: Setting) -> Recipe:
    """The teacher answers without dropout, and always the same."""
    return recipe.with_(logits=Stored())


def student_in_train_mode(recipe: Recipe, setting: Setting) -> Recipe:
    """The student has its dropout while it trains."""
    return recipe.with_(student=recipe.student.with_(dropout=None))


def squared_temperature_and_labels(recipe: Recipe, setting: Setting) -> Recipe:
    """The factor T², and a tenth of the loss from the labels."""
    old = recipe.objective
    assert isinstance(old, (DoubleSoftmax, KD))
    weight = 0.9 if isinstance(old, KD) else 0.9 * old.temperature**2
    return recipe.with_(objective=old.with_(weight=weight, labels=0.1))


def schedule_and_length(recipe: Recipe, setting: Setting) -> Recipe:
    """A training that suits each network: more epochs, warm-up and cosine, and what a higher rate needs to hold.

    The student: AdamW, weight decay .05, gradients clipped at 1 (under SGD its classes die). The teacher: SGD with
    Nesterov's momentum, weight decay 5e-4, gradients clipped at 2.
    """
    assert isinstance(recipe.teacher, Training)
    share = recipe.train.batch_size / BATCH  # rates were found at this batch size
    changes: dict[str, Any] = {"epochs": setting.longer, "schedule": Schedule(warmup=1)}
    student = recipe.train.with_(optimizer=AdamW(lr=2e-3 * share**0.5), clip=1.0, **changes)
    teacher = recipe.teacher.train.with_(optimizer=SGD(lr=0.05 * share), clip=2.0, **changes)
    return recipe.with_(train=student, teacher=recipe.teacher.with_(train=teacher))


def crop_and_flip(recipe: Recipe, setting: Setting) -> Recipe:
    """Crop and flip in place of AutoAugment's ImageNet policy."""
    assert isinstance(recipe.teacher, Training)
    return recipe.with_(views=Views(), teacher=recipe.teacher.with_(views=Views()))


def larger_batches(recipe: Recipe, setting: Setting) -> Recipe:
    """Batches of 125, at rates to match: times the ratio for SGD, times its root for AdamW."""
    assert isinstance(recipe.teacher, Training)

    def larger(how: Training) -> Any:
        old, ratio = how.train, BATCH / how.train.batch_size
        lr = old.optimizer.lr * (ratio if isinstance(old.optimizer, SGD) else ratio**0.5)
        return old.with_(batch_size=BATCH, optimizer=old.optimizer.with_(lr=lr))

    return recipe.with_(train=larger(recipe), teacher=recipe.teacher.with_(train=larger(recipe.teacher)))


MENDS: dict[str, tuple[str, Mend]] = {
    "1": ("softmax once", one_softmax),
    "2": ("teacher in eval mode", teacher_in_eval_mode),
    "3": ("student's dropout on", student_in_train_mode),
    "4": ("T² and labels", squared_temperature_and_labels),
    "5": ("optimizer, rate, schedule, length", schedule_and_length),
    "7": ("crop and flip", crop_and_flip),
    "8": ("batch 125", larger_batches),
}


def lab(setting: Setting) -> Recipe:
    """The lab's recipe at the setting's size; no student alone: this study is about the distilled one."""
    recipe = recipes.lab3()
    assert isinstance(recipe.teacher, Training)
    teacher = recipe.teacher
    return recipe.with_(
        data=recipe.data.with_(name=setting.data, tests=()),
        student=recipe.student.with_(width=setting.width),
        train=recipe.train.with_(epochs=setting.epochs),
        teacher=teacher.with_(
            student=teacher.student.with_(width=setting.width), train=teacher.train.with_(epochs=setting.epochs)
        ),
        alone=None,
        protocol=recipe.protocol.with_(seeds=setting.seeds),
        device=setting.device,
    )


def trials(setting: Setting) -> dict[str, tuple[str, Recipe]]:
    """What is trained: name -> (title, recipe), the lab itself first."""
    recipe = start = lab(setting)
    ladder, each = {}, {}
    for number, (title, mend) in MENDS.items():
        recipe = mend(recipe, setting)
        ladder[f"ladder-{number}"] = (f"+ {number}. {title}", recipe)
        each[f"each-{number}"] = (f"only {number}. {title}", mend(start, setting))
    del each["each-1"]  # the ladder's first step
    wanted = {"ladder": ladder, "each": {"ladder-1": ladder["ladder-1"], **each}, "both": {**ladder, **each}}
    return {"lab": ("the lab", start), **wanted[setting.only]}


def main(setting: Setting, console: Console) -> None:
    """Trains, judges, and writes the table and the picture after every training."""
    began, rows = time.monotonic(), list[dict[str, Any]]()
    engine = choose(setting.device)
    test = data.load(setting.data, "test", console).to(engine.device)
    augmented = as_the_lab_saw(test)
    for name, (title, recipe) in trials(setting).items():
        row: dict[str, Any] = {"name": name, "title": title}
        rows.append(row)
        if setting.minutes is not None and time.monotonic() - began > 60 * setting.minutes:
            continue
        assert recipe.teacher is not None
        shared = recipe.with_(teacher=taught(recipe, setting, console))
        result = start.run(shared, setting.out / name, console=console)
        row |= judged(result, recipe, augmented, engine, setting)
        write(rows, setting, hardware(engine.device))
        console.say(
            f"{title}: student {100 * row['student']['mean']:.2f} %, after {duration(time.monotonic() - began)}"
        )
    write(rows, setting, hardware(engine.device))
    console.show((setting.results / f"{slug(hardware(engine.device))}.md").read_text())


def taught(recipe: Recipe, setting: Setting, console: Console) -> Weights:
    """The trial's teacher, trained in a run of its own that all trials with the same teacher share."""
    teacher = recipe.teacher
    assert isinstance(teacher, Training)
    alone = recipe.with_(
        name="teacher",
        views=teacher.views,
        teacher=None,
        student=teacher.student,
        train=teacher.train,
        objective=teacher.objective,
        alone=teacher.objective,
        logits=Stored(),
        protocol=recipe.protocol.with_(seeds=recipe.protocol.seeds[:1]),
    )
    folder = start.run(alone, setting.out / f"teacher-{alone.digest()}", console=console).folder
    return Weights(path=folder / f"seed{recipe.protocol.seeds[0]}" / "alone" / "weights.safetensors")


def as_the_lab_saw(test: Dataset) -> Dataset:
    """The test pictures as the lab's loader gave them: AutoAugment's ImageNet policy on every one (mistake 6)."""
    index = torch.arange(len(test), device=test.device)
    views = make_views(test.fetch(index), index, recipes.lab3().views, view_seed=0, epoch=0)
    return Dataset(f"{test.name} augmented", test.classes, views.permute(0, 2, 3, 1), test.labels)


def judged(result: start.Result, recipe: Recipe, augmented: Dataset, engine: Any, setting: Setting) -> dict[str, Any]:
    """The figures of one trial: accuracies on the test set, on the augmented one, and how the training ended."""
    summary = result.results["summary"][setting.data]["accuracy"]
    on_augmented, losses, seconds = [], [], []
    for seed in recipe.protocol.seeds:
        folder = result.folder / f"seed{seed}" / "distilled"
        RunFolder(result.folder).note_evaluation("distilled", seed, f"{setting.data} augmented", "test")
        network = engine.place(load_network(folder / "weights.safetensors").network)
        logits = predict(network, augmented, engine)
        on_augmented.append(float((logits.argmax(1) == augmented.labels).double().mean()))
        epochs = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        losses.append(epochs[-1]["loss"])
        seconds.append(sum(epoch["seconds"] for epoch in epochs))
    return {
        "teacher": summary["teacher"]["mean"],
        "student": summary["distilled"],
        "student_augmented": mean_with_interval(on_augmented),
        "last_loss": sum(losses) / len(losses),
        "seconds": sum(seconds) / len(seconds),
        "digest": recipe.digest(),
    }


def write(rows: list[dict[str, Any]], setting: Setting, machine: str) -> None:
    """The table, the picture and their figures."""
    start = setting.results / slug(machine)
    about = {
        "hardware": machine,
        "torch": torch.__version__,
        "width": setting.width,
        "seeds": list(setting.seeds),
        "epochs": [setting.epochs, setting.longer],
        "data": setting.data,
        "rows": rows,
    }
    files.write_json(start.with_suffix(".json"), about)
    files.write_bytes(start.with_suffix(".md"), table(rows, about).encode())
    picture(rows, start.with_suffix(".svg"), setting)


def table(rows: list[dict[str, Any]], about: dict[str, Any]) -> str:
    """The table as Markdown."""
    seeds = "one seed" if len(about["seeds"]) == 1 else f"{len(about['seeds'])} seeds"
    lines = [
        f"{about['data']}, both networks at width {about['width']:g}, {seeds}; {about['hardware']}, torch "
        f"{about['torch']}. Accuracy in % on the test pictures, and on the same pictures augmented as the lab did.",
        "",
        "| mended | teacher | student | change | on augmented pictures | last loss | student's training, seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    before = None
    for row in rows:
        if "student" not in row:
            lines.append(f"| {row['title']} | not measured | | | | | |")
            continue
        base = rows[0]["student"]["mean"] if row["name"].startswith("each") else before
        change = "" if base is None else f"{100 * (row['student']['mean'] - base):+.2f}"
        before = row["student"]["mean"]
        lines.append(
            f"| {row['title']} | {100 * row['teacher']:.2f} | {percent(row['student'])} | {change} | "
            f"{percent(row['student_augmented'])} | {row['last_loss']:.4f} | {row['seconds']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def percent(estimate: dict[str, Any]) -> str:
    """A mean with its interval, in %."""
    spread = "" if estimate["ci95"] is None else f" ± {100 * estimate['ci95']:.2f}"
    return f"{100 * estimate['mean']:.2f}{spread}"


def picture(rows: list[dict[str, Any]], path: Path, setting: Setting) -> None:
    """Accuracy by trial, the teacher's beside the student's."""
    done = [row for row in rows if "student" in row]
    figure = Figure(figsize=(8, 0.5 * len(done) + 1.6), layout="constrained")
    axes = figure.subplots()
    places = range(len(done))
    students = [100 * row["student"]["mean"] for row in done]
    spreads = [100 * (row["student"]["ci95"] or 0) for row in done]
    axes.barh(places, students, xerr=spreads if any(spreads) else None, color="#0072b2", label="student")
    for place, value in zip(places, students, strict=True):
        axes.annotate(f"{value:.1f}", (0, place), (4, 0), textcoords="offset points", va="center", color="white")
    axes.plot([100 * row["teacher"] for row in done], places, "D", color="#d55e00", label="its teacher")
    axes.axvline(10, color="#767676", linewidth=1, linestyle=":", label="guessing")
    axes.set_yticks(places, [row["title"] for row in done])
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel=f"accuracy on {setting.data} test, %")
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    with files.replacing(path) as stream:
        figure.savefig(stream, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    try:
        main(tyro.cli(Setting), Console())
    except LimbeckError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
