"""The stages of a run, in order: data, teacher, students, judgement."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from limbeck import data, files, judging, own, streams
from limbeck.console import Console
from limbeck.data.views import make_views
from limbeck.distillation import figures, prepared
from limbeck.errors import LimbeckError
from limbeck.evaluation import predict
from limbeck.models.composed import described
from limbeck.models.ensemble import Ensemble
from limbeck.models.model import Model
from limbeck.models.weights import load_network, save_network
from limbeck.objectives import Batch, Known, Mixed, rehearse, tapped
from limbeck.recipes.catalogue import find
from limbeck.recipes.recipe import Recipe, Teacher, Teachers, Training, Weights
from limbeck.runs import RunFolder, folder_of, open_run
from limbeck.training import Engine, Train, choose, fit

_REHEARSED = 8  # pictures
_OUT_OF_MEMORY = re.compile("can't allocate memory|not enough memory|out of memory|ALLOC_FAILED", re.IGNORECASE)


@dataclass(frozen=True)
class Result:
    """A finished run: its folder, and the content of its results.json (keys: `limbeck.evaluation.results`)."""

    folder: Path
    results: dict[str, Any]


def run(
    recipe: Recipe | str | Path,
    out: str | Path | None = None,
    fresh: bool = False,
    console: Console | None = None,
) -> Result:
    """Runs an experiment to its end, continuing where an earlier start of it stopped.

    Args:
        recipe: what to do; or a recipe's name or path, as `limbeck run` takes it.
        out: the run folder; by default runs/<name>-<digest of the recipe>.
        fresh: start over. What the folder has of an earlier run is removed as soon as this one is found able to begin.
        console: where progress goes; by default the standard output.

    Raises:
        LimbeckError: a mistake that the user can mend; what was reached until then is kept.
    """
    if isinstance(recipe, (str, Path)):
        recipe = find(str(recipe))
    if not isinstance(recipe, Recipe):
        called = " Call it: it is a function." if callable(recipe) else ""
        raise LimbeckError(f"run takes a Recipe, or the name or path of one, not {type(recipe).__name__}.{called}")
    console = console or Console()
    engine = choose(recipe.device)
    folder = folder_of(recipe, Path(out) if out else None)
    with files.mendable(folder.path):
        complete = folder.results.exists() and not fresh
    experiment = None if complete else Experiment(recipe, folder, engine, console)
    with open_run(recipe, folder.path, fresh) as folder:
        if experiment is None:
            folder.check_all()
            results = folder.read_results()
            console.say(f"{folder.path} is complete already; --fresh starts it over.")
            return Result(folder.path, results)
        folder.note_environment(engine, recipe)
        return Result(folder.path, experiment.run())


class Experiment:
    """One recipe being carried out in one folder.

    Made before the folder is, and before anything is trained: whatever can be found wrong is found wrong then.
    """

    def __init__(self, recipe: Recipe, folder: RunFolder, engine: Engine, console: Console) -> None:
        self.recipe, self.folder, self.engine, self.console = recipe, folder, engine, console
        whole = data.load(recipe.data.name, "train", console)
        kept, held = data.hold_out(whole, recipe.protocol.holdout)
        _refuse_large_batches(recipe, len(kept))
        self.pictures, self.held_out = (whole.subset(part).to(engine.device) for part in (kept, held))
        self.rehearse()

    def run(self) -> dict[str, Any]:
        """All the stages; returns what results.json holds."""
        recipe, folder = self.recipe, self.folder
        self.introduce()
        networks: dict[tuple[str, int | None], nn.Module] = {}
        students = recipe.students()
        if recipe.listened_to is not None:
            first = recipe.protocol.seeds[0]
            networks["teacher", None] = self.network(recipe.listened_to, folder.teacher, "teacher", first)
        teacher = networks.get(("teacher", None))
        for seed in recipe.protocol.seeds:
            for role, how in students.items():
                networks[role, seed] = self.network(
                    how,
                    folder.student(seed, role),
                    f"student {role}, seed {seed}",
                    seed,
                    teacher if how.teacher else None,
                )
        results = judging.conclude(recipe, folder, networks, self.held_out, self.engine, self.console)
        shutil.rmtree(folder.teacher / "logits", ignore_errors=True)
        files.write_json(folder.results, results)  # last: a run with results is never taken up again
        return results

    def rehearse(self) -> None:
        """Does once, with fresh networks and a few pictures, what could go wrong only after a teacher's training.

        Raises:
            LimbeckError: a teacher, an objective or what is of the user's own cannot do what the training will ask.
        """
        students = self.recipe.students().values()
        for how in (how for student in students for _, how in student.chain()):
            if isinstance(how, Weights):
                predict(self.engine.place(self.loaded(how.path)), self.pictures.subset(torch.arange(1)), self.engine)
            elif own.classes(how) or how.objective.needs_teacher:
                self._rehearse(how)

    def _rehearse(self, how: Training) -> None:
        index = torch.arange(min(_REHEARSED, how.train.batch_size), device=self.engine.device)
        memory = _enough_memory(f"a student's first pictures ({how.student.title()})", how.train)
        with own.blamed(how), memory, torch.random.fork_rng(devices=self.engine.generators()):
            views = make_views(self.pictures.fetch(index), index, how.views, self.recipe.protocol.view_seed, epoch=0)
            how.train.optimizer.build([nn.Parameter(torch.zeros(1))])
            images, labels = self.engine.pictures(views), self.pictures.labels
            known = self.known(how, images[0])
            now = torch.zeros((), device=self.engine.device)
            mixed = Mixed(labels[index.flip(0)], now + 0.5) if how.views.mix else None
            batch = Batch(index, images, labels[index], step=now, epoch=now, progress=now, mixed=mixed)
            networks = [known.student_network, *([known.teacher_network] if known.teacher_network else [])]
            with torch.no_grad(), self.engine.precision():
                said = [
                    tapped(network, taps, images)
                    for network, taps in zip(networks, how.objective.taps(known), strict=False)
                ]
        rehearse(how.objective, known, said[0], said[1] if len(said) > 1 else None, batch, self.engine.place)

    def known(self, how: Training, picture: Tensor) -> Known:
        """What an objective is told, of networks that are not trained yet."""
        teacher = self.stand_in(how.teacher, picture) if how.teacher else None
        student, labels = self.fresh(how.student), self.pictures.labels
        known = Known(student, teacher, picture, labels, how.train.batch_size, lambda: self.fresh(how.student))
        return known.of(self.engine.place(how.objective.student(known)))

    def stand_in(self, how: Teacher, picture: Tensor) -> nn.Module:
        """A network such as this teacher will be."""
        if isinstance(how, Weights):
            return self.engine.place(self.loaded(how.path))
        if isinstance(how, Teachers):
            return Ensemble([self.stand_in(member, picture) for member in how.members]).eval()
        return self.known(how, picture).student_network.eval()

    def fresh(self, model: Model) -> nn.Module:
        """A new network with weights from torch's random state, on the engine's device."""
        return self.engine.place(model.build(len(self.pictures.classes), self.pictures.statistics()))

    def introduce(self) -> None:
        """Says what is about to be done, with what, and why so."""
        recipe, say = self.recipe, self.console.say
        held = f", {len(self.held_out):,} held out" if len(self.held_out) else ""
        say(f"recipe {recipe.name} -> {self.folder.path}")
        say(f"  {recipe.data.name}: {len(self.pictures):,} training pictures{held}")
        for reason in self.engine.reasons:
            say(f"  {reason}")

    def network(self, how: Teacher, folder: Path, title: str, seed: int, teacher: nn.Module | None = None) -> nn.Module:
        """A trained network on the engine's device: trained now, unless its weights are there already."""
        if isinstance(how, Weights):
            network = self.engine.place(self.loaded(how.path))
            self.folder.check(how.path)
            return network
        weights = folder / "weights.safetensors"
        if not weights.exists():
            if isinstance(how, Teachers):
                made: nn.Module = self.together(how, folder, title, seed)
            else:
                answers = self.folder.teacher
                if teacher is None and how.teacher is not None:
                    answers = folder / "teacher"
                    teacher = self.network(how.teacher, answers, f"teacher of {title}", seed)
                made = self.trained(how, folder, title, seed, teacher, answers / "logits")
            model = described(made)
            assert model is not None
            save_network(weights, made, model, self.pictures.classes, self.recipe.data.name)
            self.folder.seal(weights)
        (folder / "checkpoint.pt").unlink(missing_ok=True)
        shutil.rmtree(folder / "teacher" / "logits", ignore_errors=True)
        network = self.engine.place(self.loaded(weights))
        self.folder.check(weights)
        return network

    def together(self, how: Teachers, folder: Path, title: str, seed: int) -> Ensemble:
        """Several teachers as one network, each trained from a seed of its own."""
        return Ensemble(
            [
                self.network(member, folder / str(number), f"{title} {number}", seed + number - 1)
                for number, member in enumerate(how.members, start=1)
            ]
        )

    def loaded(self, weights: Path) -> nn.Module:
        """The network of a weights file, if it speaks of the same classes as the data."""
        saved = load_network(weights)
        judging.refuse_other_classes(weights, saved.classes, self.pictures)
        return saved.network

    def trained(
        self, how: Training, folder: Path, title: str, seed: int, teacher: nn.Module | None, answers: Path
    ) -> nn.Module:
        """Trains one network, continuing from its checkpoint if there is one.

        ``answers`` is where the teacher's may be kept, for this training and others on the same views.
        """
        label = f"{title} ({how.student.title()})"
        with own.blamed(self.recipe), _enough_memory(label, how.train):
            with streams.seeded(seed, "weights"):
                network = self.fresh(how.student)
            job = prepared(
                network,
                teacher,
                how.objective,
                self.pictures,
                views=how.views,
                train=how.train,
                engine=self.engine,
                seed=seed,
                view_seed=self.recipe.protocol.view_seed,
                folder=files.make_folder(folder),
                identity=f"recipe {self.recipe.digest()}, {title}",
                labelling=self.recipe.logits,
                answers=answers,
                evaluate=lambda network: figures(network, self.held_out, self.engine),
                another=lambda: self.fresh(how.student),
            )
            with self.console.bar(label, job.steps_per_epoch * how.train.epochs) as bar:
                job.progress = bar.update
                return fit(job)


@contextlib.contextmanager
def _enough_memory(doing: str, train: Train) -> Iterator[None]:
    """Turns whatever torch raises when memory runs out into a `LimbeckError` that says what to lower."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        said = (str(error) or "MemoryError").splitlines()[0]
        if not isinstance(error, (torch.OutOfMemoryError, MemoryError)) and not _OUT_OF_MEMORY.search(said):
            raise
        raise LimbeckError(
            f"out of memory in {doing}: {said}\n"
            f"Lower its batch_size (now {train.batch_size}) or chunk (now {train.chunk}), raise accumulate (now "
            f"{train.accumulate}), or narrow the network: --train.batch-size and --student.width for the student, "
            "--teacher.train.batch-size and --teacher.student.width for the teacher."
        ) from error


def _refuse_large_batches(recipe: Recipe, pictures: int) -> None:
    """A batch larger than the training set is a mistake, not a wish."""
    for above, training in recipe.chain():
        if isinstance(training, Training) and training.train.batch_size > pictures:
            raise LimbeckError(
                f"{above}train.batch_size = {training.train.batch_size} is larger than the training set of {pictures} "
                f"pictures. Type --{above}train.batch-size {min(128, pictures)}, or hold out fewer with "
                "--protocol.holdout."
            )
