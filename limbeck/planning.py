"""What a run would take: its time and its disk, from measuring real steps on this device."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from limbeck import data
from limbeck.console import Console, FittingTable, duration, size
from limbeck.evaluation import predict
from limbeck.evaluation.corruptions import KINDS_AND_SEVERITIES, corrupted_set
from limbeck.experiment import Experiment
from limbeck.models.composed import described
from limbeck.models.ensemble import Ensemble
from limbeck.models.sources import Source
from limbeck.recipes.recipe import Recipe, Teacher, Teachers, Training, Weights
from limbeck.runs import RunFolder
from limbeck.teachers import Kept, Stored, Table
from limbeck.teachers.labelling import HALF
from limbeck.training import choose

_ENOUGH_SECONDS = 0.5
_HARMLESS_RATE = 1e-6
_CORRUPTED = 500  # pictures to be timed with
Speed = tuple[float, float]
"""Pictures a second once warm, and the seconds of the warm-up."""


@dataclass(frozen=True)
class Stage:
    """One row of a plan.

    Attributes:
        title, network: what is done with which network.
        pictures, epochs, times: how many pictures are shown, how often, and in how many trainings.
        speed: pictures a second, once warm.
        start: seconds that a training's warm-up takes.
    """

    title: str
    network: str
    pictures: int
    epochs: int
    times: int
    speed: float
    start: float = 0.0

    @property
    def seconds(self) -> float:
        return self.times * (self.start + self.pictures * self.epochs / self.speed)

    def cells(self) -> tuple[str, ...]:
        """As the table shows it."""
        work = [f"{self.pictures:,}", *(str(factor) for factor in (self.epochs, self.times) if factor != 1)]
        return self.title, self.network, " x ".join(work), f"{self.speed:,.0f}", duration(self.seconds)


def plan(recipe: Recipe, console: Console) -> FittingTable:
    """A table of the time and the disk that a run of ``recipe`` takes on this machine.

    Every kind of training is done for two short epochs in a temporary folder; the second one gives the speed, and what
    the first one took longer is its warm-up. The data set is fetched where it is not here yet. No test set is read.

    Raises:
        LimbeckError: whatever would keep the run from beginning.
    """
    console.say(f"recipe {recipe.name}: measuring two short epochs of each training")
    with tempfile.TemporaryDirectory(prefix="limbeck-") as folder:
        planner = _Planner(recipe, Path(folder), console)
        for notice in planner.experiment.notices:
            console.say(f"  {notice}")
        planner.work()
    title = f"{recipe.name}: what a run takes on this machine"
    table = FittingTable("images/s", "network", "pictures x epochs x seeds", title=title, title_justify="left")
    for heading in ("", "network", "pictures x epochs x seeds", "images/s", "time"):
        table.add_column(heading, "left" if heading in ("", "network") else "right")
    for stage in planner.stages:
        table.add_row(*stage.cells())
    table.add_section()
    seconds = duration(sum(stage.seconds for stage in planner.stages))
    table.add_row(f"in all, with up to {size(planner.disk())} of disk", "", "", "", seconds)
    return table


class _Planner:
    """Measures each kind of training that a recipe asks for, and adds up what it leaves on the disk."""

    def __init__(self, recipe: Recipe, folder: Path, console: Console) -> None:
        self.recipe, self.folder = recipe, folder
        self.stages: list[Stage] = []
        self.experiment = Experiment(recipe, RunFolder(folder), choose(recipe.device), console)
        if isinstance(recipe.logits, Kept):  # as answers are kept, but in the folder that is thrown away
            self.experiment.recipe = recipe.with_(logits=Stored())
        self.pictures, self.held_out = self.experiment.pictures, self.experiment.held_out
        self.experiment.held_out = self.held_out.subset(torch.arange(0))  # its time is measured apart
        names = recipe.data.test_sets()
        tested = [data.resolve(name, recipe.data.reading(name)).counts.get("test", 0) for name in names]
        self.judged_on, first = len(self.held_out) + sum(tested), tested[0]
        self.corrupted = len(KINDS_AND_SEVERITIES) * first if recipe.protocol.corruptions else 0
        self.kept = self.largest_checkpoint = 0

    def work(self) -> None:
        """Measures all the stages, in the order of a run."""
        recipe, seeds = self.recipe, len(self.recipe.protocol.seeds)
        students = recipe.students()
        listened_to = recipe.listened_to
        teacher = self.teacher(listened_to, "teacher", self.judged_on) if listened_to else None
        for role, how in students.items():
            self.training(how, f"student {role}", teacher if how.teacher else None, seeds, self.judged_on)
        if self.corrupted:
            self.stages.append(Stage("corrupted pictures, made", "", self.corrupted, 1, 1, self.corruption_speed()))

    def teacher(self, how: Teacher, title: str, judged_on: int) -> nn.Module:
        """Measures a teacher's own training, and its teacher's; returns a network that labels views."""
        if isinstance(how, Weights):
            return self.experiment.kept(how)
        if isinstance(how, Source):
            given = self.experiment.given(how)
            self.kept += _bytes(given)
            return given
        if isinstance(how, Teachers):
            members = enumerate(how.members, start=1)
            together = Ensemble([self.teacher(member, f"{title} {number}", judged_on) for number, member in members])
            self.kept += _bytes(together)
            return together
        above = self.teacher(how.teacher, f"teacher of {title}", 0) if how.teacher else None
        return self.training(how, title, above, 1, judged_on)

    def training(self, how: Training, title: str, teacher: nn.Module | None, seeds: int, judged_on: int) -> nn.Module:
        """Adds one kind of training, done for so many seeds, and its evaluations; returns a network of that kind."""
        network, first, later = self.measured(how, title, teacher)
        name, pictures, epochs = how.student.title(), len(self.pictures), how.train.epochs
        labelling = self.recipe.logits or Stored()
        if later and teacher is not None and isinstance(labelling, Kept):
            self.taught(how, title, teacher, seeds, labelling, first, later)
        else:
            self.stages.append(Stage(title, name, pictures, epochs, seeds, *first))
        judged = len(self.held_out) * epochs + judged_on
        speed = self.evaluation_speed(network)
        self.stages.append(Stage(f"{title}, evaluated", name, judged, 1, seeds, speed))
        if judged_on and self.corrupted:
            self.stages.append(Stage(f"{title}, corrupted pictures", name, self.corrupted, 1, 1, speed))
        classes = len(self.pictures.classes)
        weights = _bytes(network)
        self.kept += seeds * (weights + judged_on * (4 * classes + 8))
        return network

    def taught(
        self, how: Training, title: str, teacher: nn.Module, seeds: int, labelling: Kept, first: Speed, later: Speed
    ) -> None:
        """Adds a training with a teacher whose answers are kept: those that are there are not asked for again."""
        name, pictures = how.student.title(), len(self.pictures)
        there, needed = labelling.there(self.experiment.assignment(how, teacher), how.train.epochs)
        missing = needed - there
        self.kept += missing * pictures * len(self.pictures.classes) * HALF
        if isinstance(labelling, Table):
            if missing:
                model, speed = described(teacher), self.evaluation_speed(teacher)
                asked = f"{title}, teacher asked beforehand"
                self.stages.append(Stage(asked, model.title() if model else "", pictures, missing, 1, speed))
        else:
            if missing:
                self.stages.append(Stage(f"{title}, teacher asked", name, pictures, missing, 1, *first))
            if missing and there:
                self.stages.append(Stage(f"{title}, answers there", name, pictures, there, 1, *later))
            seeds -= missing > 0
        if seeds:
            self.stages.append(Stage(f"{title}, answers stored", name, pictures, how.train.epochs, seeds, *later))

    def measured(self, how: Training, title: str, teacher: nn.Module | None) -> tuple[nn.Module, Speed, Speed | None]:
        """Trains two short epochs, on more pictures where they were over too soon to be timed.

        Where the teacher's answers were kept, it does so once more.

        Returns:
            the network; (speed, start) as in `Stage` where the teacher is asked; the same with its answers kept.
        """
        train = how.train.with_(epochs=2, optimizer=how.train.optimizer.with_(lr=_HARMLESS_RATE))
        brief = how.with_(train=train)
        batches = 4 if self.experiment.engine.device.type == "cpu" else train.chunk
        while True:
            count = min(len(self.pictures), batches * train.batch_size)
            self.experiment.pictures = self.pictures.subset(torch.arange(count))
            with tempfile.TemporaryDirectory(dir=self.folder) as place:
                first, seconds = Path(place) / "first", []
                network = self.experiment.train(brief, first, title, 0, teacher)
                seconds.append(_epoch_seconds(first))
                self.largest_checkpoint = max(self.largest_checkpoint, (first / "checkpoint.pt").stat().st_size)
                if self.experiment.folder.answers.exists():
                    self.experiment.train(brief, Path(place) / "later", title, 0, teacher)
                    seconds.append(_epoch_seconds(Path(place) / "later"))
                    self.experiment.folder.forget_answers()
            if count == len(self.pictures) or seconds[-1][1] > _ENOUGH_SECONDS:
                break
            batches *= 4
        self.experiment.pictures = self.pictures
        measured = [(count / warm, max(0.0, cold - warm)) for cold, warm in seconds]
        return network, measured[0], measured[1] if len(measured) > 1 else None

    def evaluation_speed(self, network: nn.Module) -> float:
        """Pictures a second in eval mode, once warm."""
        some = self.pictures.subset(torch.arange(min(len(self.pictures), 1000)))
        predict(network, some, self.experiment.engine)
        began = time.perf_counter()
        predict(network, some, self.experiment.engine).sum().item()
        return len(some) / (time.perf_counter() - began)

    def corruption_speed(self) -> float:
        """Pictures a second that are corrupted, over all kinds, at the middle severity."""
        some = self.pictures.subset(torch.arange(min(len(self.pictures), _CORRUPTED)))
        kinds = [kind for kind, severity in KINDS_AND_SEVERITIES if severity == 3]
        began = time.perf_counter()
        for kind in kinds:
            corrupted_set(some, kind, 3).images.sum().item()
        return len(kinds) * len(some) / (time.perf_counter() - began)

    def disk(self) -> int:
        """Bytes at the most: what is kept, the stored answers, and the largest checkpoint beside its successor."""
        return self.kept + 2 * self.largest_checkpoint


def _bytes(network: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())


def _epoch_seconds(folder: Path) -> tuple[float, float]:
    first, second = (json.loads(line)["seconds"] for line in (folder / "metrics.jsonl").read_text().splitlines())
    return first, second
