"""Networks judged on sets of pictures: the last stage of a run, and the same worked out again."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from limbeck import data, files
from limbeck.console import Console
from limbeck.data import Dataset, Reading
from limbeck.errors import LimbeckError
from limbeck.evaluation import predict
from limbeck.evaluation.assessment import Answers, Assessment, Corrupted, Who, assess, of_one_seed
from limbeck.evaluation.results import SCHEMA, named
from limbeck.evaluation.shift import shifts
from limbeck.folders import refuse_changed
from limbeck.judging import costing, portraits, robustness, trained
from limbeck.judging.trained import answers_file, keep_answers, kept_answers
from limbeck.recipes.recipe import Recipe
from limbeck.runs import RunFolder
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
    sets, not_measured = load_sets(tests, "test", engine, console, recipe.data.reading)
    for pictures in sets.values():
        refuse_changed(folder.path, pictures)
    if len(held_out):
        sets = {(data.title(recipe.data.name), "holdout"): held_out, **sets}
    weights = trained.planned(recipe, folder).finished()
    digest = functools.cache(files.digest)  # of each file once, however many sets there are

    def looked(who: Who, dataset: str, split: str) -> None:
        folder.note_evaluation(*who, dataset, split)

    def answers(judged: Judged) -> Tensor:
        """Kept ones, if they are of these weights; else new ones, which are kept."""
        path = answers_file(folder.network(judged.role, judged.seed), judged.dataset, judged.split)
        of = digest(weights[judged.role, judged.seed])
        if kept := kept_answers(path, of):
            return kept[0]
        if judged.split == "test":
            looked((judged.role, judged.seed), judged.dataset, judged.split)
        logits = predict(judged.network, judged.pictures, engine)
        keep_answers(path, logits, judged.pictures.labels, of)
        return logits

    whose = {"recipe": {"name": recipe.name, "digest": recipe.digest()}}
    drawn = portraits.of_run(recipe, folder, networks)
    corrupted: Corrupted = {}
    if recipe.protocol.corruptions and not brief:
        kept = {who: (folder.network(*who), digest(weights[who])) for who in of_one_seed(networks)}
        first = (data.title(tests[0]), "test")
        corrupted, absent = robustness.of_first_seed(networks, first, sets, engine, console, kept, looked)
        not_measured += absent
    found = assess(asked(networks, sets, answers), corrupted=corrupted, brief=brief)
    cost, absent = (None, []) if brief else costing.cost_of(networks, held_out.image_shape, engine, costing.AT_THE_END)
    return concluded(found, drawn, networks, sets, [*not_measured, *absent], cost, whose)


def reassess(path: Path) -> Conclusion:
    """Works out again, from the answers that a run kept, what it concluded: no network and no picture is needed.

    Args:
        path: the run's folder.

    Returns:
        ``measurements``, ``summary``, ``cost``, ``shift`` and ``not_measured`` of results.json (but not what could not
        be had), and all of details.json but ``recipe``. Cost is taken from results.json as it stands, corruptions from
        what the run keeps of them.

    Raises:
        LimbeckError: it is no run's folder, or has no answers.
    """
    plan = trained.read_plan(path)
    stamps = {who: files.digest(file) for who, file in plan.finished().items() if file.exists()}
    places = [(who, plan.folder.network(*who), each) for each in plan.sets() for who in plan.everybody()]

    def kept() -> Iterator[Answers]:
        for who, home, each in places:
            if found := kept_answers(answers_file(home, *each), stamps.get(who)):
                yield Answers(*who, *each, *found)

    corrupted = {
        (*who, *each): accuracy
        for who, home, each in places
        if (accuracy := robustness.kept_corruptions(robustness.figures_file(home, *each), stamps.get(who)))
    }
    found = assess(kept(), corrupted=corrupted)
    if not found.measurements:
        raise LimbeckError(
            f"{path} has no answers of its networks. Remove its results.json, if there is one, and type "
            f"`limbeck run {path}`: they are asked again."
        )
    names = {m["dataset"]: classes for m in found.measurements if (classes := _classes(m["dataset"], plan))}
    results = {
        "measurements": found.measurements,
        "summary": found.summary,
        "cost": plan.folder.read_results().get("cost") if plan.folder.results.exists() else None,
        "shift": shifts(found.measurements),
        "not_measured": found.not_measured,
    }
    return Conclusion(results, _details(found, names))


def _classes(name: str, plan: trained.Planned) -> Sequence[str] | None:
    """The classes of a data set, which are those of the networks that were judged on it."""
    said = [files.read_metadata(path).get("classes") for path in plan.finished().values()]
    known = data.CATALOGUE[name].classes if name in data.CATALOGUE else None
    return next((classes.split("\n") for classes in said if classes), known)


def load_sets(
    names: Sequence[str],
    split: Split,
    engine: Engine,
    console: Console,
    reading: Callable[[str], Reading] = lambda name: Reading(),
) -> tuple[dict[tuple[str, str], Dataset], list[dict[str, str]]]:
    """The sets that can be had, on the engine's device, and what is not measured because the others cannot.

    Args:
        names, split: which.
        engine, console: where they lie, and where progress goes.
        reading: how pictures of one's own are read, by name.

    Raises:
        LimbeckError: two of them would be called the same; or as `limbeck.data.load` raises it.
    """
    if taken := data.shared_title(names):
        both = " and ".join(name for name in names if data.title(name) == taken)
        raise LimbeckError(
            f"two data sets would both be called {taken}: {both}. Rename a folder, or judge one after the other."
        )
    sets: dict[tuple[str, str], Dataset] = {}
    not_measured = []
    for name in names:
        try:
            sets[data.title(name), split] = data.load(name, split, console, reading(name)).to(engine.device)
        except data.DataUnavailable as error:
            not_measured.append({"what": data.title(name), "why": str(error)})
    return sets, not_measured


def asked(networks: Networks, sets: Sets, answers: Callable[[Judged], Tensor]) -> Iterator[Answers]:
    """What every network says of every set."""
    for (dataset, split), pictures in sets.items():
        for (role, seed), network in networks.items():
            logits = answers(Judged(role, seed, network, dataset, split, pictures))
            broken = int((~logits.isfinite().all(1)).sum())
            if broken:
                raise LimbeckError(
                    f"{named(role, seed)} does not answer with finite numbers to {broken:,} of the {len(logits):,} "
                    f"pictures of {dataset}: nothing true can be said of it. If it overflows, type --device.precision "
                    "fp32; of a network of yours, mend its forward."
                )
            yield Answers(role, seed, dataset, split, logits, pictures.labels)


def concluded(
    found: Assessment,
    drawn: Sequence[Mapping[str, Any]],
    networks: Networks,
    sets: Sets,
    not_measured: Sequence[Mapping[str, str]],
    cost: Mapping[str, Any] | None,
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
        "cost": cost,
        "shift": shifts(found.measurements),
        "not_measured": [*not_measured, *found.not_measured],
        "notes": [*portraits.notes(networks), *portraits.guessing(found.measurements, sets), *_of_pictures(sets)],
    }
    return Conclusion(results, _details(found, {name: each.classes for (name, _), each in sets.items()}, whose))


def _of_pictures(sets: Sets) -> list[str]:
    """What there is to say of pictures of one's own."""
    return list(dict.fromkeys(f"{each.name}: {note}" for each in sets.values() for note in each.notes))


def _details(
    found: Assessment, classes: Mapping[str, Sequence[str]], whose: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    names = {dataset: list(some) for dataset, some in classes.items()}
    return {"schema": SCHEMA, **(whose or {}), "classes": names, "entries": found.details}
