"""Finished runs as they are compared: what their files say, and which pictures their networks have right."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from limbeck import files
from limbeck.errors import LimbeckError
from limbeck.evaluation.differences import Values
from limbeck.evaluation.metrics import correct
from limbeck.evaluation.results import key
from limbeck.judging.trained import Planned, answers_file, kept_answers, read_plan
from limbeck.recipes.recipe import read_recipe
from limbeck.runs import RunFolder
from limbeck.spec import in_full

_SAME = 1e-9  # accuracies worked out twice
Right = dict[tuple[str, int | None], np.ndarray]
"""By role and seed: (pictures,) of 0 and 1."""


class Run(NamedTuple):
    """A finished run, read."""

    path: Path
    plan: Planned
    results: dict[str, Any]
    recipe: dict[str, Any]
    environment: dict[str, str]


def read_run(path: Path) -> Run:
    if not (path / "recipe.json").is_file():
        what = "does not exist" if not path.exists() else "is not the folder of a run: it has no recipe.json"
        if (path / "sweep.json").is_file():
            what = f"is the folder of a sweep, whose trials are compared in {path / 'table.md'}"
        there = sorted(str(file.parent) for file in Path("runs").glob("*/results.json"))
        then = f"There are: {', '.join(there[:8])}." if there else "`limbeck run` makes a run, in the folder runs."
        raise LimbeckError(f"{path} {what}. Give the folders of finished runs. {then}")
    folder, plan = RunFolder(path), read_plan(path)
    if not folder.results.exists():
        raise LimbeckError(f"{path} is not finished: it has no results.json. Type `limbeck run {path}` to finish it.")
    return Run(path, plan, folder.read_results(), _recipe(path), _environment(folder))


def _recipe(path: Path) -> dict[str, Any]:
    """The fields of a recipe; as this version has them, where it can read it, so that what is new has its default."""
    try:
        recipe = in_full(read_recipe(path / "recipe.json"))
    except LimbeckError:  # it names what another file defines
        recipe = files.read_json(path / "recipe.json")
    return {name: value for name, value in recipe.items() if name != "name"}


def _environment(folder: RunFolder) -> dict[str, str]:
    """Where and with what a run was started last, as far as that is known."""
    start = folder.last_start()
    packages = start.get("packages") or {}
    processor = f"{start['processor']}, {start.get('cores')} cores" if start.get("processor") else None
    found = {
        "hardware": start.get("accelerator") or processor,
        "torch": packages.get("torch"),
        "limbeck": start.get("revision") or packages.get("limbeck"),
    }
    return {name: str(value) for name, value in found.items() if value}


def tests(run: Run) -> list[str]:
    """The test sets that a run was judged on."""
    return [name for name in run.results["summary"] if "/" not in name]


def pictures(run: Run, dataset: str) -> int:
    return max((m["n"] for m in run.results["measurements"] if _is_accuracy(m, dataset)), default=0)


def _is_accuracy(measurement: Mapping[str, Any], dataset: str) -> bool:
    return measurement["metric"] == "accuracy" and key(measurement["dataset"], measurement["split"]) == dataset


def by_seed(run: Run, dataset: str) -> dict[str, Values]:
    """Accuracies by role and seed, and the gain of each seed that has both students."""
    found: dict[str, dict[int | None, float]] = {}
    for m in run.results["measurements"]:
        if _is_accuracy(m, dataset):
            found.setdefault(m["role"], {})[m["seed"]] = m["value"]
    alone, distilled = found.get("alone", {}), found.get("distilled", {})
    if gains := {seed: distilled[seed] - alone[seed] for seed in distilled if seed in alone}:
        found["gain"] = gains
    return dict(found)


def right(run: Run, dataset: str, values: Mapping[str, Values]) -> tuple[Right, Tensor] | None:
    """Whether each network was right on each picture, and the labels; None unless all answers are kept and fit."""
    found, labels = {}, None
    for role, by_seed in values.items():
        for seed, value in by_seed.items() if role != "gain" else ():
            kept = kept_answers(answers_file(run.plan.folder.network(role, seed), dataset, "test"), None)
            if kept is None:
                return None
            found[role, seed] = correct(*kept).numpy().astype(float)
            labels = kept[1]
            if abs(found[role, seed].mean() - value) > _SAME:
                return None  # of other weights than the results
    return (found, labels) if labels is not None else None


def stacked(right: Right, role: str) -> np.ndarray:
    """(seeds, pictures) of a role; of the gain, distilled minus alone."""
    if role == "gain":
        seeds = [seed for name, seed in right if name == "distilled" and ("alone", seed) in right]
        return np.stack([right["distilled", seed] - right["alone", seed] for seed in seeds])
    return np.stack([each for (name, _), each in right.items() if name == role])
