"""Networks judged on sets of pictures: the last stage of a run, and `limbeck evaluate`."""

from __future__ import annotations

import contextlib
import functools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from torch import Tensor, nn

from limbeck import data, files, own
from limbeck.console import Console
from limbeck.data import Dataset
from limbeck.errors import LimbeckError
from limbeck.evaluation import predict
from limbeck.evaluation.results import ONE_TEACHER, SCHEMA, Measurement, key, measure, summarise
from limbeck.models.composed import described
from limbeck.models.weights import Saved, load_network
from limbeck.recipes.recipe import Recipe, Weights
from limbeck.runs import RunFolder
from limbeck.training import Engine

Split = Literal["test", "train"]
Networks = Mapping[tuple[str, int | None], nn.Module]
"""By role ("teacher", "alone", "distilled"; "network" where it is no part of a run) and seed; the teacher has none."""


class Judged(NamedTuple):
    """One network, and the pictures that it is judged on."""

    role: str
    seed: int | None
    network: nn.Module
    dataset: str
    split: str
    pictures: Dataset


def conclude(
    recipe: Recipe,
    folder: RunFolder,
    networks: Networks,
    held_out: Dataset,
    tests: Sequence[str],
    engine: Engine,
    console: Console,
) -> dict[str, Any]:
    """Judges every network of a run on the held-out split and, once, on the test sets.

    Answers are kept in the run, so that a test set is looked at once and never again.

    Args:
        recipe, folder, networks, held_out: the run.
        tests: the names of the test sets; a sweep looks at none.
        engine, console: device and precision, and where progress goes.

    Returns:
        what results.json holds.
    """
    sets, not_measured = _sets(tests, "test", engine, console)
    if len(held_out):
        sets = {(recipe.data.name, "holdout"): held_out, **sets}
    weights = _finished(recipe.protocol.seeds, _teacher(recipe), folder)
    digest = functools.cache(files.digest)  # of each file once, however many sets there are

    def answers(judged: Judged) -> Tensor:
        """Kept ones, if they are of these weights; else new ones, which are kept."""
        path = folder.network(judged.role, judged.seed) / f"logits-{judged.dataset}-{judged.split}.safetensors"
        of = digest(weights[judged.role, judged.seed])
        if path.exists() and files.read_metadata(path).get("weights") == of:
            return files.read_tensors(path)["logits"].to(engine.device)
        if judged.split == "test":
            folder.note_evaluation(judged.role, judged.seed, judged.dataset, judged.split)
        logits = predict(judged.network, judged.pictures, engine)
        files.write_tensors(path, {"logits": logits, "labels": judged.pictures.labels}, {"weights": of})
        return logits

    whose = {"recipe": {"name": recipe.name, "digest": recipe.digest()}}
    return _judged(_portraits(recipe, folder, networks), networks, sets, not_measured, answers, whose)


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
        the keys of results.json, ``recipe`` excepted.

    Raises:
        LimbeckError: there is no network at ``path``, or a data set cannot be had or has other classes.
    """
    found = _of_run(path) if path.is_dir() else _of_file(path)
    names = tuple(names) or found.tests
    if not names:
        raise LimbeckError(f"{path} does not say what it was trained on. Type --data with the name of a data set.")
    sets, not_measured = _sets(names, split, engine, console)
    for classes in {saved.classes for saved in found.networks.values()}:
        for pictures in sets.values():
            refuse_other_classes(path, classes, pictures)
    if not sets:
        raise LimbeckError("\n".join(absent["why"] for absent in not_measured))
    networks = {who: engine.place(saved.network) for who, saved in found.networks.items()}
    portraits = [
        _portrait(role, seed, saved.model.title(), saved.network, _metrics(found.folder, role, seed))
        for (role, seed), saved in found.networks.items()
    ]

    def answers(judged: Judged) -> Tensor:
        if found.folder is not None:
            found.folder.note_evaluation(judged.role, judged.seed, judged.dataset, judged.split)
        return predict(judged.network, judged.pictures, engine)

    busy = f"another process is working in {path}. Wait until it has ended."
    with files.locked(path / "lock", busy) if found.folder is not None else contextlib.nullcontext():
        return _judged(portraits, networks, sets, not_measured, answers)


class _Found(NamedTuple):
    """What there is to judge: networks by role and seed, the test sets that they name, the run they belong to."""

    networks: dict[tuple[str, int | None], Saved]
    tests: tuple[str, ...]
    folder: RunFolder | None


def _of_file(path: Path) -> _Found:
    saved = load_network(path)
    return _Found({("network", None): saved}, (saved.data,) if saved.data else (), None)


def _of_run(path: Path) -> _Found:
    """The finished networks of a run. Its recipe is read as it stands: it may name what another file defines."""
    if not (path / "recipe.json").is_file():
        raise LimbeckError(
            f"{path} is not the folder of a run: it has no recipe.json. Give another, or a weights file."
        )
    remedy = "Type the command that started the run once more: it writes that file anew. Or give a weights file."
    recipe = files.read_json(path / "recipe.json", {"data": dict, "protocol": dict}, remedy)
    folder = RunFolder(path)
    try:
        name, tests = recipe["data"]["name"], tuple(recipe["data"]["tests"])
        seeds, teacher = tuple(recipe["protocol"]["seeds"]), (recipe["teacher"] or {}).get("path")
    except (KeyError, TypeError, AttributeError) as error:
        raise LimbeckError(f"{path / 'recipe.json'} is not a recipe: {own.said(error)}. {remedy}") from error
    paths = _finished(seeds, Path(teacher) if teacher else None, folder)
    if not paths:
        raise LimbeckError(f"{path} has no finished network. Type `limbeck run {path}/recipe.json --out {path}` first.")
    networks = {}
    for who, weights in paths.items():
        networks[who] = load_network(weights)
        folder.check(weights)
    return _Found(networks, tests or (name,), folder)


def _teacher(recipe: Recipe) -> Path | None:
    return recipe.teacher.path if isinstance(recipe.teacher, Weights) else None


def _finished(seeds: Sequence[int], teacher: Path | None, folder: RunFolder) -> dict[tuple[str, int | None], Path]:
    """The weights files of a run that are there, and its teacher's, wherever that lies."""
    everybody: list[tuple[str, int | None]] = [("teacher", None)]
    everybody += [(role, seed) for seed in seeds for role in ("alone", "distilled")]
    own = {who: folder.network(*who) / "weights.safetensors" for who in everybody}
    there = {who: path for who, path in own.items() if path.exists()}
    return {("teacher", None): teacher, **there} if teacher else there


def refuse_other_classes(path: Path, classes: tuple[str, ...], pictures: Dataset) -> None:
    """Refuses to let a network speak of pictures whose classes, or their order, are not its own."""
    if classes != pictures.classes:
        raise LimbeckError(
            f"the network in {path} knows the {len(classes)} classes {_few(classes)}, but {pictures.name} has the "
            f"{len(pictures.classes)} classes {_few(pictures.classes)}. Choose another data set or file."
        )


def _few(classes: tuple[str, ...]) -> str:
    return ", ".join(classes[:3]) + (", ..." if len(classes) > 3 else "")


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


def _judged(
    portraits: Sequence[Mapping[str, Any]],
    networks: Networks,
    sets: Mapping[tuple[str, str], Dataset],
    not_measured: Sequence[Mapping[str, str]],
    answers: Callable[[Judged], Tensor],
    whose: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Every network measured on every set, and the summary: the keys of results.json, ``recipe`` from ``whose``."""
    measurements: list[Measurement] = []
    right: dict[tuple[str, str, int | None], np.ndarray] = {}
    for (dataset, split), pictures in sets.items():
        for (role, seed), network in networks.items():
            logits = answers(Judged(role, seed, network, dataset, split, pictures))
            measurements += measure(logits, pictures.labels, role=role, seed=seed, dataset=dataset, split=split)
            right[key(dataset, split), role, seed] = (logits.argmax(1) == pictures.labels).cpu().numpy().astype(int)
    return {
        "schema": SCHEMA,
        "status": "complete",
        **(whose or {}),
        "networks": portraits,
        "measurements": measurements,
        "summary": summarise(measurements, right),
        "not_measured": not_measured,
        "notes": [*_notes(networks), *_guessing(measurements, sets)],
    }


def _notes(networks: Networks) -> list[str]:
    """What a reader of the results has to know of the networks."""
    notes = [ONE_TEACHER] if ("teacher", None) in networks else []
    sizes = {role: f"{_size(network):,}" for (role, _), network in networks.items()}
    alone, distilled = sizes.get("alone"), sizes.get("distilled")
    if alone and distilled and alone != distilled:
        notes.append(
            f"The distilled student has {distilled} parameters, the student alone {alone}: its method makes another "
            "network of it."
        )
    return notes


def _guessing(measurements: Sequence[Measurement], sets: Mapping[tuple[str, str], Dataset]) -> list[str]:
    """A sentence for each set of pictures by which networks cannot be told from guessing."""
    notes = []
    for (dataset, split), pictures in sets.items():
        classes = len(pictures.classes)
        limit = (1 + 3 * math.sqrt((classes - 1) / max(len(pictures), 1))) / classes
        who = [
            figure["role"] if figure["seed"] is None else f"{figure['role']} of seed {figure['seed']}"
            for figure in measurements
            if (figure["dataset"], figure["split"], figure["metric"]) == (dataset, split, "accuracy")
            and figure["value"] < limit
        ]
        if who:
            notes.append(f"On {key(dataset, split)} this cannot be told from guessing: {', '.join(who)}.")
    return notes


def _size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _portraits(recipe: Recipe, folder: RunFolder, networks: Networks) -> list[dict[str, Any]]:
    """What results.json says of the networks of a run beside their measurements."""
    portraits = []
    for (role, seed), network in networks.items():
        how = recipe.teacher if role == "teacher" else recipe
        built = described(network)
        model = str(how.path) if isinstance(how, Weights) else built.title() if built else None
        portraits.append(_portrait(role, seed, model, network, _metrics(folder, role, seed)))
    return portraits


def _metrics(folder: RunFolder | None, role: str, seed: int | None) -> list[dict[str, Any]]:
    """One row an epoch of a network's training, where the run has it."""
    home = folder.network(role, seed) if folder else None
    if home is None:
        return []
    several = [path for path in (home / "metrics.jsonl",) if path.exists()] or sorted(home.glob("[0-9]*/metrics.jsonl"))
    return [row for path in several for row in _rows(path)]


def _rows(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    try:
        for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            figures = {name: float(row[name]) for name in ("seconds", "images_per_second")}
            memory = row.get("peak_memory")
            rows.append({**figures, "peak_memory": None if memory is None else float(memory)})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise LimbeckError(
            f"cannot read {path}, line {len(rows) + 1}: {own.said(error)}. Remove that file and run again: the speed "
            "of that training is then unknown, everything else is kept."
        ) from error
    return rows


def _portrait(
    role: str, seed: int | None, model: str | None, network: nn.Module, rows: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    seconds = sum(row["seconds"] for row in rows)
    memory = [row["peak_memory"] for row in rows]
    return {
        "role": role,
        "seed": seed,
        "model": model,
        "parameters": _size(network),
        "epochs": len(rows),
        "seconds": seconds,
        "images_per_second": sum(row["seconds"] * row["images_per_second"] for row in rows) / seconds
        if seconds
        else None,
        "peak_memory": max(memory) if memory and None not in memory else None,
    }
