"""What results.json says of networks beside what they are worth: what they are, what their training took, notes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from limbeck import own
from limbeck.data import Dataset
from limbeck.errors import LimbeckError
from limbeck.evaluation.assessment import Who
from limbeck.evaluation.results import ONE_TEACHER, Measurement, key, named
from limbeck.models.composed import described, notes_of
from limbeck.recipes.recipe import Recipe, Weights
from limbeck.runs import RunFolder


def of_run(recipe: Recipe, folder: RunFolder, networks: Mapping[Who, nn.Module]) -> list[dict[str, Any]]:
    """The networks of a run as results.json has them."""
    drawn = []
    for (role, seed), network in networks.items():
        how = recipe.teacher if role == "teacher" else recipe
        built = described(network)
        model = str(how.path) if isinstance(how, Weights) else built.title() if built else None
        drawn.append(portrait(role, seed, model, network, training_rows(folder, role, seed)))
    return drawn


def training_rows(folder: RunFolder | None, role: str, seed: int | None) -> list[dict[str, Any]]:
    """One row an epoch of a network's training, where the run has it; of several networks that are one, all of theirs.

    Raises:
        LimbeckError: metrics.jsonl is damaged.
    """
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


def portrait(
    role: str, seed: int | None, model: str | None, network: nn.Module, rows: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """One network as results.json has it.

    Args:
        role, seed, network: which one.
        model: its description.
        rows: of its training, by `training_rows`.
    """
    seconds = sum(row["seconds"] for row in rows)
    memory = [row["peak_memory"] for row in rows]
    return {
        "role": role,
        "seed": seed,
        "model": model,
        "parameters": size(network),
        "epochs": len(rows),
        "seconds": seconds,
        "images_per_second": sum(row["seconds"] * row["images_per_second"] for row in rows) / seconds
        if seconds
        else None,
        "peak_memory": max(memory) if memory and None not in memory else None,
    }


def size(network: nn.Module) -> int:
    """The number of parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def notes(networks: Mapping[Who, nn.Module]) -> list[str]:
    """What a reader of the results has to know of the networks."""
    seeds = {seed for _, seed in networks} - {None}
    said = [ONE_TEACHER] if seeds and ("teacher", None) in networks else []
    said += dict.fromkeys(note for network in networks.values() for note in notes_of(network))
    sizes = {role: f"{size(network):,}" for (role, _), network in networks.items()}
    alone, distilled = sizes.get("alone"), sizes.get("distilled")
    if alone and distilled and alone != distilled:
        said.append(
            f"The distilled student has {distilled} parameters, the student alone {alone}: its method makes another "
            "network of it."
        )
    return said


def guessing(measurements: Sequence[Measurement], sets: Mapping[tuple[str, str], Dataset]) -> list[str]:
    """A sentence for each set of pictures by which networks cannot be told from guessing."""
    notes = []
    for (dataset, split), pictures in sets.items():
        classes = len(pictures.classes)
        who = [
            named(figure["role"], figure["seed"])
            for figure in measurements
            if (figure["dataset"], figure["split"], figure["metric"]) == (dataset, split, "accuracy")
            and figure["value"] < (1 + 3 * math.sqrt((classes - 1) / figure["n"])) / classes
        ]
        if who:
            notes.append(f"On {key(dataset, split)} this cannot be told from guessing: {', '.join(who)}.")
    return notes
