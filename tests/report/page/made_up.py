"""Runs that nobody trained: the files of a finished run, from answers that are drawn at random."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from limbeck import files
from limbeck.evaluation.assessment import Answers, Who, assess
from limbeck.evaluation.corruptions.catalogue import KINDS
from limbeck.evaluation.results import ONE_TEACHER
from limbeck.judging import trained
from limbeck.recipes import digits

ROLES = ("teacher", "alone", "distilled")
_RIGHT = {"teacher": 3.0, "alone": 1.8, "distilled": 2.2}
PARAMETERS = {"teacher": 896_690, "alone": 63_770, "distilled": 63_770}


def run(
    path: Path,
    labels: Tensor,
    classes: Sequence[str],
    *,
    dataset: str = "digits",
    roles: Sequence[str] = ROLES,
    seeds: Sequence[int] = (0, 1, 2),
    holdout: int = 60,
    epochs: int = 5,
    cost: bool = True,
    corruptions: bool = True,
    recipe: dict[str, Any] | None = None,
) -> Path:
    """Writes a finished run whose networks were asked about pictures with these labels.

    Args:
        path: its folder.
        labels: (N,) int64, of the test pictures.
        classes: their names.
        dataset: its name.
        roles, seeds: of the networks.
        holdout: held-out pictures; 0 for none.
        epochs: rows of each metrics.jsonl.
        cost, corruptions: whether those were measured.
        recipe: fields of recipe.json that are other than those of the digits recipe.
    """
    generator = torch.Generator().manual_seed(0)
    everybody = [(role, seed) for seed in (None, *seeds) for role in roles if (role == "teacher") == (seed is None)]
    sets = {"holdout": labels[:holdout], "test": labels}
    answers = [
        Answers(*who, dataset, split, _logits(who, of_set, len(classes), generator), of_set)
        for split, of_set in sets.items()
        if len(of_set)
        for who in everybody
    ]
    found = assess(answers)
    for role, seed, _, split, logits, of_set in answers:
        home = _home(path, (role, seed))
        trained.keep_answers(trained.answers_file(home, dataset, split), logits, of_set, "of no weights")
        rows = [_row(epoch, _RIGHT[role], seed or 0, holdout) for epoch in range(1, epochs + 1)]
        files.write_bytes(home / "metrics.jsonl", "\n".join(map(json.dumps, rows)).encode())
    for entry in found.details:
        asked = corruptions and entry["split"] == "test" and entry["seed"] in (None, seeds[0])
        entry["corruptions"] = _corruptions(entry["role"]) if asked else None
    name = {"name": "made-up", "digest": "0123abcd"}
    files.write_json(
        path / "results.json",
        {
            "schema": 1,
            "status": "complete",
            "recipe": name,
            "networks": [_network(*who, epochs) for who in everybody],
            "measurements": found.measurements,
            "summary": found.summary,
            "cost": _cost(roles) if cost else None,
            "shift": [],
            "not_measured": found.not_measured,
            "notes": [ONE_TEACHER],
        },
    )
    details = {"schema": 1, "recipe": name, "classes": {dataset: list(classes)}, "entries": found.details}
    files.write_json(path / "details.json", details, indent=None)
    described = digits().model_dump(mode="json") | {"name": "made-up"} | (recipe or {})
    files.write_json(path / "recipe.json", described)
    files.write_json(path / "environment.json", {"starts": [_START]})
    return path


def _home(path: Path, who: Who) -> Path:
    return path / "teacher" if who[1] is None else path / f"seed{who[1]}" / who[0]


def _logits(who: Who, labels: Tensor, classes: int, generator: torch.Generator) -> Tensor:
    noise = torch.randn(len(labels), classes, generator=generator)
    return noise.scatter_add(1, labels[:, None], torch.full((len(labels), 1), _RIGHT[who[0]]))


def _row(epoch: int, right: float, seed: int, holdout: int) -> dict[str, float]:
    better = right / 4 * (1 - 1 / (epoch + 1)) + seed / 100
    held = {"holdout_accuracy": better, "holdout_nll": 2 - better} if holdout else {}
    return {
        "epoch": epoch,
        "loss": 2 - better,
        "accuracy": better - 0.1,
        "seconds": 1.5,
        "images_per_second": 1e3,
        **held,
    }


def _network(role: str, seed: int | None, epochs: int) -> dict[str, Any]:
    return {
        "role": role,
        "seed": seed,
        "model": "alexnet_cifar x0.125" if role == "teacher" else "nin_cifar x0.25",
        "parameters": PARAMETERS[role],
        "epochs": epochs,
        "seconds": 1.5 * epochs,
        "images_per_second": 1000.0,
        "peak_memory": None,
    }


def _cost(roles: Sequence[str]) -> dict[str, Any]:
    return {
        "device": "a processor",
        "precision": "fp32",
        "networks": [
            {
                **{"role": role, "seed": None if role == "teacher" else 0, "parameters": PARAMETERS[role]},
                **{"mult_adds": 4_000_000, "file_bytes": 4 * PARAMETERS[role], "batch": 256, "rounds": 5},
                **{"latency_ms": 0.5 if role == "teacher" else 0.25, "latency_95_ms": 0.6, "peak_memory": None},
                "images_per_second": 20_000.0,
            }
            for role in roles
            if role != "alone"
        ],
    }


def _corruptions(role: str) -> dict[str, Any]:
    severities = {
        kind: [_RIGHT[role] / 4 - 0.02 * severity * (1 + number / 10) for severity in range(1, 6)]
        for number, kind in enumerate(kind for family in KINDS.values() for kind in family)
    }
    kinds = {kind: sum(values) / 5 for kind, values in severities.items()}
    families = {family: sum(kinds[kind] for kind in members) / len(members) for family, members in KINDS.items()}
    return {"severities": severities, "kinds": kinds, "families": families, "mean": sum(kinds.values()) / 15}


_START = {
    "when": "2026-01-02T03:04:05+00:00",
    "command": ["/usr/bin/limbeck", "run", "digits", "--out", "somewhere", "--train.epochs", "5"],
    "python": "3.12.3",
    "system": "Linux",
    "packages": {"limbeck": "0.1.0", "torch": "2.11.0"},
    "processor": "a processor",
    "cores": 2,
    "threads": 2,
    "accelerator": None,
    "revision": "0123456789ab",
    "decisions": ["device cpu: no accelerator found"],
}
