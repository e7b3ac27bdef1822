"""The stages of a run, in order: data, teacher, students, judgement."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import nn

from limbeck import files, own, streams
from limbeck.console import Console
from limbeck.data import Dataset
from limbeck.distillation import figures, prepared
from limbeck.errors import TrainingError
from limbeck.following import Call, called_to, calling_others
from limbeck.judging import concluding
from limbeck.models.composed import described, notes_of
from limbeck.models.ensemble import Ensemble
from limbeck.models.folding import folded
from limbeck.models.sources import Source
from limbeck.models.weights import save_network
from limbeck.processes import ranks
from limbeck.recipes.recipe import Recipe, Teacher, Teachers, Training, Weights, seed_above
from limbeck.rehearsal import refuse_absent_networks, rehearse
from limbeck.runs import RunFolder
from limbeck.teachers import Kept
from limbeck.trackers import Tracking
from limbeck.training import Engine, fit
from limbeck.training.memory import Peak, enough_memory
from limbeck.workshop import Workshop, divided


class Experiment(Workshop):
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
        refuse_absent_networks(recipe)
        super().__init__(recipe, folder, engine, console, pictures or divided(recipe, engine, console))
        self.tracking: Tracking | None = None
        self._called_to: dict[Path, nn.Module] = {}
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
            self.recipe.teacher_seed if seed is None else seed,
            teacher if taught else None,
        )

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
                    above = seed_above(how, seed, seed)
                    home = self.folder.above(folder, how.teacher, above)
                    teacher = self.network(how.teacher, home, f"teacher of {title}", above)
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

    def train(self, how: Training, folder: Path, title: str, seed: int, teacher: nn.Module | None) -> nn.Module:
        """Trains one network, continuing from its checkpoint if there is one."""
        label = f"{title} ({how.student.title()})"
        taught_by = self.read_from.get(teacher) if teacher else None
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

    def take_part(self, call: Call) -> None:
        """Trains what another process has called this one to."""
        teacher = None
        if call.teacher is not None:
            if call.teacher not in self._called_to:  # one is kept, for the next seeds
                self._called_to = {call.teacher: self.engine.place(self.loaded(call.teacher))}
            teacher = self._called_to[call.teacher]
        try:
            self.train(called_to(self.recipe, call), call.folder, call.title, call.seed, teacher)
        except TrainingError as error:
            if not error.lasting:
                raise  # nobody else knows of it

    def _tell_of_answers(self, how: Training, teacher: nn.Module | None, seed: int) -> None:
        """Says which answers are there from other runs; those of later seeds are this run's own."""
        logits = self.recipe.logits
        if teacher is None or not isinstance(logits, Kept) or seed != self.recipe.protocol.seeds[0]:
            return
        there, needed = logits.there(self.assignment(how, teacher), how.train.epochs)
        if there:
            views = f"{there:,} of {needed:,} views of each picture"
            self.console.say(f"  the teacher's answers to {views} are in {logits.folder} already")
