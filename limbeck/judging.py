"""Networks judged on sets of pictures: the last stage of a run, and `limbeck evaluate`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from torch import Tensor, nn

from limbeck import data, files
from limbeck.console import Console
from limbeck.data import Dataset
from limbeck.errors import LimbeckError
from limbeck.evaluation import predict
from limbeck.evaluation.results import SCHEMA, Measurement, key, measure, summarise
from limbeck.models.weights import load_network
from limbeck.recipes.recipe import Recipe, Weights, from_json
from limbeck.runs import RunFolder, open_run
from limbeck.training import Engine

ONE_TEACHER = "One teacher serves all seeds: the gain's interval does not contain the teacher's own variation."

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
    recipe: Recipe, folder: RunFolder, networks: Networks, held_out: Dataset, engine: Engine, console: Console
) -> dict[str, Any]:
    """Judges every network of a run on the held-out split and, once, on the test sets.

    Answers are kept in the run, so that a test set is looked at once and never again.

    Returns:
        what results.json holds.
    """
    sets = {(recipe.data.name, "holdout"): held_out} if len(held_out) else {}
    not_measured = []
    for name in recipe.data.test_sets():
        try:
            sets[name, "test"] = data.load(name, "test", console).to(engine.device)
        except data.DataUnavailable as error:
            not_measured.append({"what": name, "why": str(error)})

    def answers(judged: Judged) -> Tensor:
        path = folder.network(judged.role, judged.seed) / f"logits-{judged.dataset}-{judged.split}.safetensors"
        if path.exists():
            return files.read_tensors(path)["logits"].to(engine.device)
        if judged.split == "test":
            folder.note_evaluation(judged.role, judged.seed, judged.dataset, judged.split)
        logits = predict(judged.network, judged.pictures, engine)
        files.write_tensors(path, {"logits": logits, "labels": judged.pictures.labels})
        return logits

    return {
        "schema": SCHEMA,
        "status": "complete",
        "recipe": {"name": recipe.name, "digest": recipe.digest()},
        "networks": _portraits(recipe, folder, networks),
        **_measured(networks, sets, answers),
        "not_measured": not_measured,
        "notes": [ONE_TEACHER] if ("teacher", None) in networks else [],
    }


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
    if not path.is_dir():
        saved = load_network(path)
        names = names or ([saved.data] if saved.data else [])
        if not names:
            raise LimbeckError(f"{path} does not say what it was trained on. Type --data with the name of a data set.")
        sets = _sets(names, split, saved.classes, engine, console)
        networks: Networks = {("network", None): engine.place(saved.network)}
        portrait = _portrait("network", None, saved.model.title(), saved.network)
        judged = _measured(networks, sets, lambda judged: predict(judged.network, judged.pictures, engine))
        return _evaluation([portrait], judged)
    if not (path / "recipe.json").is_file():
        raise LimbeckError(
            f"{path} is not the folder of a run: it has no recipe.json. Give another, or a weights file."
        )
    recipe = from_json((path / "recipe.json").read_text(encoding="utf-8", errors="replace"), str(path / "recipe.json"))
    with open_run(recipe, path) as folder:
        found = {who: load_network(weights) for who, weights in _finished(recipe, folder).items()}
        if not found:
            raise LimbeckError(f"{path} has no finished network. Type `limbeck run {recipe.name} --out {path}` first.")
        classes = next(iter(found.values())).classes
        sets = _sets(names or recipe.data.test_sets(), split, classes, engine, console)

        def answers(judged: Judged) -> Tensor:
            folder.note_evaluation(judged.role, judged.seed, judged.dataset, judged.split)
            return predict(judged.network, judged.pictures, engine)

        networks = {who: engine.place(saved.network) for who, saved in found.items()}
        return _evaluation(_portraits(recipe, folder, networks), _measured(networks, sets, answers))


def _finished(recipe: Recipe, folder: RunFolder) -> dict[tuple[str, int | None], Path]:
    """The weights files of a run that are there."""
    roles: list[tuple[str, int | None]] = [(role, s) for s in recipe.protocol.seeds for role in recipe.students()]
    paths = {who: folder.network(*who) / "weights.safetensors" for who in roles}
    if recipe.teacher is not None:
        own = folder.teacher / "weights.safetensors"
        teacher = recipe.teacher.path if isinstance(recipe.teacher, Weights) else own
        paths = {("teacher", None): teacher, **paths}
    return {who: path for who, path in paths.items() if path.exists()}


def _sets(
    names: Sequence[str], split: Split, classes: tuple[str, ...], engine: Engine, console: Console
) -> dict[tuple[str, str], Dataset]:
    sets: dict[tuple[str, str], Dataset] = {}
    for name in names:
        pictures = data.load(name, split, console)
        if pictures.classes != classes:
            raise LimbeckError(
                f"{name} has other classes ({', '.join(pictures.classes[:3])}, ...) than the network "
                f"({', '.join(classes[:3])}, ...). Type --data with the name of another data set."
            )
        sets[name, split] = pictures.to(engine.device)
    return sets


def _measured(
    networks: Networks, sets: Mapping[tuple[str, str], Dataset], answers: Callable[[Judged], Tensor]
) -> dict[str, Any]:
    """The measurements of every network on every set, and their summary."""
    measurements: list[Measurement] = []
    right: dict[tuple[str, str, int | None], np.ndarray] = {}
    for (dataset, split), pictures in sets.items():
        for (role, seed), network in networks.items():
            logits = answers(Judged(role, seed, network, dataset, split, pictures))
            measurements += measure(logits, pictures.labels, role=role, seed=seed, dataset=dataset, split=split)
            right[key(dataset, split), role, seed] = (logits.argmax(1) == pictures.labels).cpu().numpy().astype(int)
    return {"measurements": measurements, "summary": summarise(measurements, right)}


def _evaluation(portraits: list[dict[str, Any]], judged: dict[str, Any]) -> dict[str, Any]:
    return {"schema": SCHEMA, "status": "complete", "networks": portraits, **judged, "not_measured": [], "notes": []}


def _portraits(recipe: Recipe, folder: RunFolder, networks: Networks) -> list[dict[str, Any]]:
    """What results.json says of the networks of a run beside their measurements."""
    portraits = []
    for (role, seed), network in networks.items():
        how = recipe.teacher if role == "teacher" else recipe
        metrics = folder.network(role, seed) / "metrics.jsonl"
        rows = [json.loads(line) for line in metrics.read_text().splitlines()] if metrics.exists() else []
        model = str(how.path) if isinstance(how, Weights) else how.student.title() if how else None
        portraits.append(_portrait(role, seed, model, network, rows))
    return portraits


def _portrait(
    role: str, seed: int | None, model: str | None, network: nn.Module, rows: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    seconds = sum(row["seconds"] for row in rows)
    return {
        "role": role,
        "seed": seed,
        "model": model,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "epochs": len(rows),
        "seconds": seconds,
        "images_per_second": sum(row["seconds"] * row["images_per_second"] for row in rows) / seconds
        if seconds
        else None,
    }
