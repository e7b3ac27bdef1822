"""The trials of a sweep, carried out one after another.

The keys of a sweep's results.json:

    schema      1
    status      "running" or "complete"
    recipe      name of the recipe, digest of the sweep
    axes        the options that are varied
    seeds       of every student
    held_out    pictures that judge
    search      how many trials were drawn for each side; null: the whole product
    trained     {role: different trainings so far}, each with all seeds
    ranking     the places of the trials, best first; those that failed are left out, and so are those of a search that
                are there for comparison (students alone)
    best        the first of them; null where all failed
    trials      [{recipe, varies, command, roles, trainings, accuracy, nll, seconds, peak_memory, failed}]

Of a trial: ``recipe`` is its digest, ``varies`` {option: value}, ``command`` what runs it for good (null where only
Python can), ``trainings`` {role: folder under trainings/}, ``accuracy`` and ``nll`` {role or "gain": as in a run's
summary} on the held-out split, ``seconds`` {role: of a training, the median over seeds}, ``peak_memory`` {role: bytes
beyond what was held before, the largest over seeds; null: not measured}, ``failed`` {role: {short, why, lasting}}.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from limbeck import files
from limbeck.console import Console
from limbeck.data import Dataset, title
from limbeck.errors import LimbeckError, TrainingError
from limbeck.evaluation.results import key
from limbeck.experiment import Experiment
from limbeck.folders import refuse_changed
from limbeck.judging import concluding
from limbeck.recipes import Training
from limbeck.runs import RunFolder
from limbeck.sweeps.axes import Plan, Trial
from limbeck.sweeps.shelf import Shelf
from limbeck.training import choose
from limbeck.workshop import divided

SCHEMA = 1
STUDENTS = ("alone", "distilled")
Networks = dict[tuple[str, int | None], nn.Module]
Failures = dict[str, dict[str, Any]]


class Work:
    """What a start of a sweep does; each trial makes a row of results.json.

    Args:
        plan, path, console: what is done where, and where progress goes.
        earlier: the results.json of an earlier start.
    """

    def __init__(self, plan: Plan, path: Path, earlier: Mapping[str, Any] | None, console: Console) -> None:
        self.plan, self.path, self.console = plan, path, console
        rows = [row for row in earlier["trials"] if _final(row)] if earlier else []
        self.complete = earlier is not None and earlier["status"] == "complete" and len(rows) == len(earlier["trials"])
        self.rows: list[dict[str, Any]] = []
        self.trials: list[Trial] = []
        self._earlier = {(row["recipe"], tuple(row["roles"])): row for row in rows}
        self._experiments: dict[str, Experiment] = {}
        self._pictures: dict[torch.device, tuple[Dataset, Dataset]] = {}
        self._failures: dict[Path, dict[str, Any]] = {}

    def prepare(self) -> None:
        """Rehearses every trial of the plan that is still to be done.

        Raises:
            LimbeckError: one of them cannot be carried out.
        """
        for trial in self.plan.trials:
            if (trial.recipe.digest(), STUDENTS) not in self._earlier:
                try:
                    self._experiments[trial.recipe.digest()] = self._experiment(trial)
                except LimbeckError as error:
                    raise LimbeckError(f"{error}\nThis is the trial {trial.title()}.") from error

    def begin(self, folder: RunFolder) -> None:
        """Says what is about to be done, and notes with what."""
        if self.complete:
            self.console.say(f"{self.path} is complete already; --fresh starts it over.")
        if not self._experiments:
            return
        experiment = next(iter(self._experiments.values()))
        experiment.introduce()
        refuse_changed(folder.path, experiment.pictures)
        for other in self._experiments.values():
            folder.check_given(other.recipe)
        folder.note_environment(experiment.engine, self.plan, experiment.pictures.notes)

    def carry_out(self, trial: Trial, roles: tuple[str, ...] = STUDENTS) -> dict[str, Any]:
        """Trains and judges one trial, unless an earlier start did.

        Args:
            trial: the recipe.
            roles: the students that are trained.

        Returns:
            its row.
        """
        digest = trial.recipe.digest()
        row = self._earlier.get((digest, roles))
        if row in self.rows:
            return row  # a search may draw the same again
        if row is None:
            of = f" of {len(self.plan.trials)}" if self.plan.search is None else f", {' and '.join(roles)}"
            self.console.say(f"trial {len(self.rows) + 1}{of}: {trial.title()}")
            row = self._row(trial, roles, self._experiments.get(digest) or self._experiment(trial))
            self._earlier[digest, roles] = row
        self.rows.append(row)
        self.trials.append(trial)
        if not self.complete:
            files.write_json(self.path / "results.json", self.results("running"))
        return row

    def results(self, status: str) -> dict[str, Any]:
        """The content of results.json."""
        recipe = self.plan.trials[0].recipe
        ranking = _ranking(self.rows)
        return {
            "schema": SCHEMA,
            "status": status,
            "recipe": {"name": recipe.name, "digest": self.plan.digest()},
            "axes": list(self.plan.axes()),
            "seeds": list(recipe.protocol.seeds),
            "held_out": recipe.held_out(),
            "search": self.plan.search,
            "trained": {role: len(_trainings(self.rows, role)) for role in STUDENTS},
            "ranking": ranking,
            "best": ranking[0] if ranking else None,
            "trials": self.rows,
        }

    def _experiment(self, trial: Trial) -> Experiment:
        """The trial, rehearsed; the pictures are the same for all of them."""
        engine = choose(trial.recipe.device)
        if engine.device not in self._pictures:
            self._pictures[engine.device] = divided(trial.recipe, engine, self.console)
        pictures = self._pictures[engine.device]
        return Experiment(trial.recipe, Shelf(self.path, trial.recipe), engine, self.console, pictures)

    def _row(self, trial: Trial, roles: tuple[str, ...], experiment: Experiment) -> dict[str, Any]:
        """Trains what a trial has, and judges it on the held-out pictures."""
        recipe, shelf = trial.recipe, Shelf(self.path, trial.recipe)
        shelf.check_given(recipe)
        experiment.engine = choose(recipe.device)  # once more for its threads, which are the whole process's
        networks, failed = self._trained(experiment, roles)
        engine, held_out = experiment.engine, experiment.held_out
        judged, _ = concluding.conclude(recipe, shelf, networks, held_out, (), engine, self.console, brief=True)
        figures = judged["summary"].get(key(title(recipe.data.name), "holdout"), {})
        portraits: dict[str, list[dict[str, Any]]] = {}
        for portrait in judged["networks"]:
            portraits.setdefault(portrait["role"], []).append(portrait)
        seconds, memory = (
            {role: [portrait[name] for portrait in some] for role, some in portraits.items()}
            for name in ("seconds", "peak_memory")
        )
        return {
            "recipe": recipe.digest(),
            "varies": dict(trial.varies),
            "command": self.plan.command(trial),
            "roles": list(roles),
            "trainings": shelf.trainings(),
            "accuracy": figures.get("accuracy", {}),
            "nll": figures.get("nll", {}),
            "seconds": {role: statistics.median(some) for role, some in seconds.items()},
            "peak_memory": {role: None if None in some else max(some) for role, some in memory.items()},
            "failed": failed,
        }

    def _trained(self, experiment: Experiment, roles: Sequence[str]) -> tuple[Networks, Failures]:
        """The networks of a trial by role and seed, and the roles that failed.

        A teacher or student that failed is not tried again by a trial that shares it. A role fails as a whole: the
        mean of the seeds that went well would flatter.
        """
        networks: Networks = {}
        failed: Failures = {}
        for role, seed, how in experiment.stages():
            wanted = role in roles or (role == "teacher" and "distilled" in roles)
            if not wanted or role in failed:
                continue
            if "teacher" in failed and isinstance(how, Training) and how.teacher:
                failed[role] = {**failed["teacher"], "short": f"teacher {failed['teacher']['short']}"}
                continue
            folder = experiment.folder.network(role, seed)
            failure = self._failure(folder)
            if failure is None:
                try:
                    networks[role, seed] = experiment.stage(role, seed, how, networks.get(("teacher", None)))
                except TrainingError as error:
                    failure = {"short": error.short, "why": str(error), "lasting": error.lasting}
                    self._failures[folder] = failure
                    if error.lasting:
                        files.write_json(folder / "failed.json", failure)
            if failure is not None:
                failed[role] = failure
                gc.collect()
                torch.cuda.empty_cache()
        return {who: network for who, network in networks.items() if who[0] not in failed}, failed

    def _failure(self, folder: Path) -> dict[str, Any] | None:
        """Why a training failed, in this start or an earlier one."""
        note = folder / "failed.json"
        if folder not in self._failures and note.exists():
            kinds = {"short": str, "why": str, "lasting": bool}
            self._failures[folder] = files.read_json(note, kinds, "Remove that file: it is trained once more.")
        return self._failures.get(folder)


def _final(row: Mapping[str, Any]) -> bool:
    """Whether another start would come to the same."""
    return all(failure["lasting"] for failure in row["failed"].values())


def _trainings(rows: Sequence[Mapping[str, Any]], role: str) -> set[str]:
    return {row["trainings"][role] for row in rows if role in row["roles"] and role in row["trainings"]}


def score(row: Mapping[str, Any]) -> tuple[float, float] | None:
    """What a trial is ranked by: accuracy, then nll, of its distilled student; where it has none, of the one alone."""
    role = "distilled" if "distilled" in row["trainings"] and "distilled" in row["roles"] else "alone"
    return (row["accuracy"][role]["mean"], -row["nll"][role]["mean"]) if role in row["accuracy"] else None


def _ranking(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    scores = {place: score(row) for place, row in enumerate(rows) if "distilled" in row["roles"]}
    scored = {place: value for place, value in scores.items() if value is not None}
    return sorted(scored, key=lambda place: scored[place], reverse=True)
