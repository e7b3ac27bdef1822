"""Networks judged on sets of pictures: the last stage of a run, and `limbeck evaluate`."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from limbeck import data, files, portraits, trained
from limbeck.console import Console
from limbeck.data import Dataset
from limbeck.errors import LimbeckError
from limbeck.evaluation import predict
from limbeck.evaluation.assessment import Answers, Assessment, Who, assess
from limbeck.evaluation.calibration import fit_temperature
from limbeck.evaluation.results import ONE_TEACHER, SCHEMA, key, named
from limbeck.recipes.recipe import Recipe
from limbeck.runs import RunFolder
from limbeck.trained import Trained, answers_file, keep_answers, kept_answers
from limbeck.training import Engine

Split = Literal["test", "train"]
Networks = Mapping[Who, nn.Module]
Sets = Mapping[tuple[str, str], Dataset]
"""Pictures by the name of their data set and the split."""


class Judged(NamedTuple):
    """One network, and the pictures that it is judged on."""

    role: str
    seed: int | None
    network: nn.Module
    dataset: str
    split: str
    pictures: Dataset


class Conclusion(NamedTuple):
    """What results.json and details.json hold; their keys: `limbeck.evaluation.results`."""

    results: dict[str, Any]
    details: dict[str, Any]


def conclude(
    recipe: Recipe,
    folder: RunFolder,
    networks: Networks,
    held_out: Dataset,
    tests: Sequence[str],
    engine: Engine,
    console: Console,
    brief: bool = False,
) -> Conclusion:
    """Judges every network of a run on the held-out split and, once, on the test sets.

    Answers are kept in the run, so that a test set is looked at once and never again.

    Args:
        recipe, folder, networks, held_out: the run.
        tests: the names of the test sets; a sweep looks at none.
        engine, console: device and precision, and where progress goes.
        brief: accuracy and nll are enough, as they are for a sweep; there are no details then.
    """
    sets, not_measured = _sets(tests, "test", engine, console)
    if len(held_out):
        sets = {(recipe.data.name, "holdout"): held_out, **sets}
    weights = trained.planned(recipe, folder).finished()
    digest = functools.cache(files.digest)  # of each file once, however many sets there are

    def answers(judged: Judged) -> Tensor:
        """Kept ones, if they are of these weights; else new ones, which are kept."""
        path = answers_file(folder.network(judged.role, judged.seed), judged.dataset, judged.split)
        of = digest(weights[judged.role, judged.seed])
        if kept := kept_answers(path, of):
            return kept[0]
        if judged.split == "test":
            folder.note_evaluation(judged.role, judged.seed, judged.dataset, judged.split)
        logits = predict(judged.network, judged.pictures, engine)
        keep_answers(path, logits, judged.pictures.labels, of)
        return logits

    whose = {"recipe": {"name": recipe.name, "digest": recipe.digest()}}
    drawn = portraits.of_run(recipe, folder, networks)
    found = assess(_asked(networks, sets, answers), brief=brief)
    return _concluded(found, drawn, networks, sets, not_measured, whose)


def evaluate(
    path: Path, names: Sequence[str] = (), split: Split = "test", *, engine: Engine, console: Console
) -> dict[str, Any]:
    """Judges what is already trained: all the networks of a run, or the one of a weights file.

    Looks at test sets are logged in the run.

    Args:
        path: a run's folder, or a weights.safetensors.
        names: data sets; by default those that the run names, or the one that the file's network was trained on.
        split: of each data set.
        engine: device and precision.
        console: where progress goes.

    Returns:
        the keys of results.json, ``recipe`` excepted, and as ``details`` those of details.json.

    Raises:
        LimbeckError: there is no network at ``path``, or a data set cannot be had or has other classes.
    """
    found = trained.of_run(path) if path.is_dir() else trained.of_file(path)
    names = tuple(names) or found.tests
    if not names:
        raise LimbeckError(f"{path} does not say what it was trained on. Type --data with the name of a data set.")
    sets, not_measured = _sets(names, split, engine, console)
    for classes in {saved.classes for saved in found.networks.values()}:
        for pictures in sets.values():
            trained.refuse_other_classes(path, classes, pictures)
    if not sets:
        raise LimbeckError("\n".join(absent["why"] for absent in not_measured))
    networks = {who: engine.place(saved.network) for who, saved in found.networks.items()}
    rows = {who: portraits.training_rows(found.folder, *who) for who in networks}
    drawn = [
        portraits.portrait(*who, saved.model.title(), saved.network, rows[who]) for who, saved in found.networks.items()
    ]

    def answers(judged: Judged) -> Tensor:
        if found.folder is not None:
            found.folder.note_evaluation(judged.role, judged.seed, judged.dataset, judged.split)
        return predict(judged.network, judged.pictures, engine)

    busy = f"another process is working in {path}. Wait until it has ended."
    with files.locked(path / "lock", busy) if found.folder is not None else contextlib.nullcontext():
        assessment = assess(_asked(networks, sets, answers), _temperatures(found))
    results, details = _concluded(assessment, drawn, networks, sets, not_measured)
    return {**results, "details": details}


def reassess(path: Path) -> Conclusion:
    """Works out again, from the answers that a run kept, what it concluded: no network and no picture is needed.

    Args:
        path: the run's folder.

    Returns:
        ``measurements``, ``summary`` and ``not_measured`` of results.json (but not the sets that could not be had), and
        all of details.json but ``recipe``.

    Raises:
        LimbeckError: it is no run's folder, or has no answers.
    """
    plan = trained.read_plan(path)
    stamps = {who: files.digest(file) for who, file in plan.finished().items() if file.exists()}

    def kept() -> Iterator[Answers]:
        for dataset, split in [(plan.data, "holdout"), *((name, "test") for name in plan.tests)]:
            for who in plan.everybody():
                file = answers_file(plan.folder.network(*who), dataset, split)
                if found := kept_answers(file, stamps.get(who)):
                    yield Answers(*who, dataset, split, *found)

    found = assess(kept())
    if not found.measurements:
        raise LimbeckError(
            f"{path} has no answers of its networks. Remove its results.json, if there is one, and type "
            f"`limbeck run {path}`: they are asked again."
        )
    judged = {m["dataset"]: None for m in found.measurements}
    names = {name: data.CATALOGUE[name].classes for name in judged if name in data.CATALOGUE}
    results = {"measurements": found.measurements, "summary": found.summary, "not_measured": found.not_measured}
    return Conclusion(results, _details(found, names))


def _temperatures(found: Trained) -> dict[Who, float | None]:
    """The temperature of each network whose answers on its run's held-out split are kept beside it."""
    temperatures = {}
    for who, home in found.homes.items():
        file = answers_file(home, found.data or "", "holdout")
        kept = kept_answers(file, files.digest(found.weights[who])) if file.exists() else None
        if kept and (kept[1] >= 0).any():
            temperatures[who] = fit_temperature(*kept)
    return temperatures


def _sets(
    names: Sequence[str], split: Split, engine: Engine, console: Console
) -> tuple[dict[tuple[str, str], Dataset], list[dict[str, str]]]:
    """The sets that can be had, on the engine's device, and what is not measured because the others cannot."""
    sets: dict[tuple[str, str], Dataset] = {}
    not_measured = []
    for name in names:
        try:
            sets[name, split] = data.load(name, split, console).to(engine.device)
        except data.DataUnavailable as error:
            not_measured.append({"what": name, "why": str(error)})
    return sets, not_measured


def _asked(networks: Networks, sets: Sets, answers: Callable[[Judged], Tensor]) -> Iterator[Answers]:
    """What every network says of every set."""
    for (dataset, split), pictures in sets.items():
        for (role, seed), network in networks.items():
            logits = answers(Judged(role, seed, network, dataset, split, pictures))
            yield Answers(role, seed, dataset, split, logits, pictures.labels)


def _concluded(
    found: Assessment,
    drawn: Sequence[Mapping[str, Any]],
    networks: Networks,
    sets: Sets,
    not_measured: Sequence[Mapping[str, str]],
    whose: Mapping[str, Any] | None = None,
) -> Conclusion:
    """The keys of results.json and of details.json, ``recipe`` from ``whose``."""
    results = {
        "schema": SCHEMA,
        "status": "complete",
        **(whose or {}),
        "networks": drawn,
        "measurements": found.measurements,
        "summary": found.summary,
        "not_measured": [*not_measured, *found.not_measured],
        "notes": [*_notes(networks), *_guessing(found, sets)],
    }
    return Conclusion(results, _details(found, {name: each.classes for (name, _), each in sets.items()}, whose))


def _details(
    found: Assessment, classes: Mapping[str, Sequence[str]], whose: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    names = {dataset: list(some) for dataset, some in classes.items()}
    return {"schema": SCHEMA, **(whose or {}), "classes": names, "entries": found.details}


def _notes(networks: Networks) -> list[str]:
    """What a reader of the results has to know of the networks."""
    notes = [ONE_TEACHER] if ("teacher", None) in networks else []
    sizes = {role: f"{portraits.size(network):,}" for (role, _), network in networks.items()}
    alone, distilled = sizes.get("alone"), sizes.get("distilled")
    if alone and distilled and alone != distilled:
        notes.append(
            f"The distilled student has {distilled} parameters, the student alone {alone}: its method makes another "
            "network of it."
        )
    return notes


def _guessing(found: Assessment, sets: Sets) -> list[str]:
    """A sentence for each set of pictures by which networks cannot be told from guessing."""
    notes = []
    for (dataset, split), pictures in sets.items():
        classes = len(pictures.classes)
        who = [
            named(figure["role"], figure["seed"])
            for figure in found.measurements
            if (figure["dataset"], figure["split"], figure["metric"]) == (dataset, split, "accuracy")
            and figure["value"] < (1 + 3 * math.sqrt((classes - 1) / figure["n"])) / classes
        ]
        if who:
            notes.append(f"On {key(dataset, split)} this cannot be told from guessing: {', '.join(who)}.")
    return notes
