"""The stages of a run, in order: data, teacher, students, judgement."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from limbeck import data, files, own, streams
from limbeck.console import Console
from limbeck.data import Dataset
from limbeck.distillation import figures, prepared
from limbeck.following import calling_others
from limbeck.judging import concluding, trained
from limbeck.models.composed import described, notes_of, shown_to
from limbeck.models.ensemble import Ensemble
from limbeck.models.folding import folded
from limbeck.models.model import Model
from limbeck.models.names import is_source
from limbeck.models.normalised import Normalised
from limbeck.models.sources import Source
from limbeck.models.weights import load_network, save_network
from limbeck.processes import ranks
from limbeck.recipes.recipe import Recipe, Teacher, Teachers, Training, Weights
from limbeck.rehearsal import refuse_absent_networks, rehearse
from limbeck.runs import RunFolder
from limbeck.teachers import Assignment, Kept
from limbeck.trackers import Tracking
from limbeck.training import Engine, fit
from limbeck.training.memory import Peak, enough_memory


def divided(recipe: Recipe, engine: Engine, console: Console) -> tuple[Dataset, Dataset]:
    """The pictures to train on and those that are held out, on the engine's device."""
    whole = data.load(recipe.data.name, "train", console, recipe.data)
    if recipe.data.has("val"):
        return whole.to(engine.device), data.load(recipe.data.name, "val", console, recipe.data).to(engine.device)
    kept, held = data.hold_out(whole, recipe.protocol.holdout)
    return whole.subset(kept).to(engine.device), whole.subset(held).to(engine.device)


class Experiment:
    """One recipe being carried out in one folder.

    Made before the folder is, and before anything is trained: whatever can be found wrong is found wrong then.

    Args:
        recipe, folder, engine, console: what is done, where, with what, and where progress goes.
        pictures: what `divided` gives, where somebody has it already.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: RunFolder,
        engine: Engine,
        console: Console,
        pictures: tuple[Dataset, Dataset] | None = None,
    ) -> None:
        self.recipe, self.folder, self.engine, self.console = recipe, folder, engine, console
        refuse_absent_networks(recipe)
        self.pictures, self.held_out = pictures or divided(recipe, engine, console)
        self.tracking: Tracking | None = None
        self.notices: dict[str, None] = {}  # what is to be said of the networks
        self._files: WeakKeyDictionary[nn.Module, Path] = WeakKeyDictionary()  # that networks were read from
        if ranks.first():
            rehearse(self)

    def run(self, tracking: Tracking | None = None) -> dict[str, Any]:
        """All the stages, told to ``tracking`` as they go; returns what results.json holds."""
        recipe, folder, self.tracking = self.recipe, self.folder, tracking
        networks: dict[tuple[str, int | None], nn.Module] = {}
        for role, seed, how in self.stages():
            networks[role, seed] = self.stage(role, seed, how, networks.get(("teacher", None)))
        tests = recipe.data.test_sets()
        results, details = concluding.conclude(
            recipe, folder, networks, self.held_out, tests, self.engine, self.console
        )
        folder.forget_answers()
        files.write_json(folder.details, details, indent=None)
        files.write_json(folder.results, results)  # last: a run with results is never taken up again
        return results

    def stages(self) -> Iterator[tuple[str, int | None, Teacher]]:
        """Role, seed and description of every network, in the order of their trainings; the teacher has no seed."""
        if self.recipe.listened_to is not None:
            yield "teacher", None, self.recipe.listened_to
        for seed in self.recipe.protocol.seeds:
            for role, how in self.recipe.students().items():
                yield role, seed, how

    def stage(self, role: str, seed: int | None, how: Teacher, teacher: nn.Module | None) -> nn.Module:
        """The network of one stage; ``teacher`` is the first stage's, where there is one."""
        taught = isinstance(how, Training) and how.teacher is not None
        return self.network(
            how,
            self.folder.network(role, seed),
            "teacher" if seed is None else f"student {role}, seed {seed}",
            self.recipe.protocol.seeds[0] if seed is None else seed,
            teacher if taught else None,
        )

    def fresh(self, model: Model) -> Normalised:
        """A new network with weights from torch's random state, or those it starts from, on the engine's device."""
        network = model.build(len(self.pictures.classes), self.pictures.statistics())
        self.engine.place(network)
        self._notice(network, *(shown_to(network) if is_source(model.name) else ()))
        return network

    def given(self, source: Source) -> Normalised:
        """A teacher that limbeck did not make, on the engine's device.

        Raises:
            LimbeckError: it does not answer with the classes of the data.
        """
        network = trained.given(source, self.pictures, self.engine)
        self._notice(network, *shown_to(network))
        return network

    def kept(self, teacher: Weights) -> nn.Module:
        """A teacher of a file that limbeck wrote, on the engine's device."""
        network, side = self.engine.place(self.loaded(teacher.path)), files.read_metadata(teacher.path).get("side")
        here = self.pictures.image_shape[0]
        others = f"{teacher.path} learned on pictures of {side} x {side}, and these are {here} x {here}"
        self._notice(network, *shown_to(network), *([others] if side not in (None, str(here)) else []))
        return network

    def _notice(self, network: nn.Module, *shown: str) -> None:
        self.notices |= dict.fromkeys([*shown, *notes_of(network)])

    def introduce(self) -> None:
        """Says what is about to be done, with what, and why so."""
        recipe, say = self.recipe, self.console.say
        held = f", {len(self.held_out):,} held out" if len(self.held_out) else ""
        without = int((self.pictures.labels < 0).sum())
        held = f", {without:,} of them without a label{held}" if without else held
        say(f"recipe {recipe.name} -> {self.folder.path}")
        say(f"  {recipe.data.name}: {len(self.pictures):,} training pictures{held}")
        if (count := ranks.size()) > 1:
            batch = recipe.train.batch_size
            say(f"  {count} processes, {-(-batch // count)} pictures of each batch of {batch} each")
        for reason in (*self.engine.reasons, *self.notices):
            say(f"  {reason}")

    def network(self, how: Teacher, folder: Path, title: str, seed: int, teacher: nn.Module | None = None) -> nn.Module:
        """A trained network on the engine's device: trained now, unless its weights are there already."""
        if isinstance(how, Weights):
            network = self.kept(how)
            self.folder.check(how.path)
            return network
        weights = folder / "weights.safetensors"
        if not weights.exists():
            if isinstance(how, Source):
                made: nn.Module = self.given(how)
            elif isinstance(how, Teachers):
                made = self.together(how, folder, title, seed)
            else:
                if teacher is None and how.teacher is not None:
                    home = self.folder.above(folder, how.teacher, seed)
                    teacher = self.network(how.teacher, home, f"teacher of {title}", seed)
                if how.student.weights is not None:
                    self.folder.check(how.student.weights)
                made = self.train(how, folder, title, seed, teacher)
            model = described(made)
            assert model is not None
            side, data_set = self.pictures.image_shape[0], self.recipe.data
            save_network(weights, made, model, self.pictures.classes, data_set.name, side=side, reading=data_set.said())
            self.folder.seal(weights)
        if self.tracking:
            self.tracking.trained(folder)
        (folder / "checkpoint.pt").unlink(missing_ok=True)
        network = self.engine.place(self.loaded(weights))
        self.folder.check(weights)
        return network

    def together(self, how: Teachers, folder: Path, title: str, seed: int) -> Ensemble:
        """Several teachers as one network, each trained from a seed of its own."""
        members = []
        for number, member in enumerate(how.members, start=1):
            own_seed = seed + number - 1
            home = self.folder.member(folder, number, member, own_seed)
            members.append(self.network(member, home, f"{title} {number}", own_seed))
        return Ensemble(members)

    def loaded(self, weights: Path) -> nn.Module:
        """The network of a weights file, if it speaks of the same classes as the data."""
        saved = load_network(weights, own.named(self.recipe))
        trained.refuse_other_classes(weights, saved.classes, self.pictures)
        self._files[saved.network] = weights
        return saved.network

    def assignment(self, how: Training, teacher: nn.Module, taps: tuple[str, ...] = ()) -> Assignment:
        """What the teacher of a training is to label."""
        view_seed, answers = self.recipe.protocol.view_seed, self.folder.answers
        return Assignment(teacher, self.engine, self.pictures, how.views, view_seed, answers, self.console, taps)

    def train(self, how: Training, folder: Path, title: str, seed: int, teacher: nn.Module | None) -> nn.Module:
        """Trains one network, continuing from its checkpoint if there is one."""
        label = f"{title} ({how.student.title()})"
        taught_by = self._files.get(teacher) if teacher else None
        everybody = calling_others(self.recipe, how, folder, title, seed, taught_by)
        with everybody, own.blamed(self.recipe), enough_memory(label, how.train, how.objective):
            peak = Peak(self.engine.device)
            with streams.seeded(seed, "weights"):
                network = self.fresh(how.student)
            notes = notes_of(network)
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
                identity=self.folder.identity(self.recipe, how, title),
                labelling=self.recipe.logits,
                answers=self.folder.answers,
                console=self.console,
                evaluate=lambda network: {**peak.figures(), **figures(network, self.held_out, self.engine)},
                another=lambda: self.fresh(how.student),
            )
            self._tell_of_answers(how, teacher, seed)
            if self.tracking:
                job.recorded = functools.partial(self.tracking.epochs, folder)
            with self.console.bar(label, job.steps_per_epoch * how.train.epochs) as bar:
                job.progress = bar.update
                made = folded(fit(job))
        made.notes = notes  # type: ignore[assignment]
        return made

    def _tell_of_answers(self, how: Training, teacher: nn.Module | None, seed: int) -> None:
        """Says which answers are there from other runs; those of later seeds are this run's own."""
        logits = self.recipe.logits
        if teacher is None or not isinstance(logits, Kept) or seed != self.recipe.protocol.seeds[0]:
            return
        there, needed = logits.there(self.assignment(how, teacher), how.train.epochs)
        if there:
            views = f"{there:,} of {needed:,} views of each picture"
            self.console.say(f"  the teacher's answers to {views} are in {logits.folder} already")
