"""From the folders of finished runs to what they come to side by side."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from limbeck.comparison.reading import Run, by_seed, pictures, read_run, right, stacked, tests
from limbeck.errors import LimbeckError
from limbeck.evaluation.differences import ONE, PAIRED, UNPAIRED, difference, told_apart
from limbeck.recipes.fields import ABSENT, apart

SCHEMA = 1
ROLES = ("teacher", "alone", "distilled", "gain")


@dataclass(frozen=True)
class Comparison:
    """Finished runs side by side.

    Attributes:
        runs: the folder of each, by the letter that it is called.
        results: what was found (keys: `limbeck.comparison`).
    """

    runs: Mapping[str, Path]
    results: dict[str, Any]


def compare(paths: Sequence[str | Path], reference: str | Path | None = None) -> Comparison:
    """Compares finished runs with one of them.

    Args:
        paths: the folders of at least two.
        reference: the one of them that the others are compared with; by default the first.

    Raises:
        LimbeckError: one is not the folder of a finished run, or there twice, or there is nothing to compare.
    """
    folders = [Path(path) for path in ([paths] if isinstance(paths, (str, Path)) else paths)]
    _refuse_too_few(folders)
    runs = dict(zip(string.ascii_uppercase, map(read_run, folders), strict=False))
    first = _reference(runs, reference)
    differences, missing = [], []
    for name in runs:
        if name != first:
            found, lacking = _against(runs[name], runs[first], first)
            differences += [{"run": name, **each} for each in found]
            missing += [{"run": name, **each} for each in lacking]
    if not differences:
        whys = " ".join(f"{runs[each['run']].path}: {each['why']}" for each in missing)
        raise LimbeckError(f"there is nothing to compare with {runs[first].path}. {whys}")
    judged = {dataset: None for run in runs.values() for dataset in tests(run)}
    results = {
        "schema": SCHEMA,
        "reference": first,
        "runs": {name: _portrait(run) for name, run in runs.items()},
        "fields": _apart({name: run.recipe for name, run in runs.items()}),
        "environment": _apart({name: run.environment for name, run in runs.items()}),
        "accuracy": {dataset: _accuracies(runs, dataset) for dataset in judged},
        "pictures": {dataset: max(pictures(run, dataset) for run in runs.values()) for dataset in judged},
        "differences": differences,
        "missing": missing,
    }
    return Comparison({name: run.path for name, run in runs.items()}, {**results, "notes": _notes(runs, results)})


def _refuse_too_few(folders: Sequence[Path]) -> None:
    if len(folders) < 2:
        what = f"{folders[0]} with what?" if folders else "which runs?"
        raise LimbeckError(f"{what} Type the folders of two finished runs or more: limbeck compare runs/A runs/B")
    if len(folders) > len(string.ascii_uppercase):
        raise LimbeckError(f"{len(folders)} runs are more than can be read side by side: give up to 26.")
    seen: dict[Path, Path] = {}
    for folder in folders:
        if (same := seen.setdefault(folder.resolve(), folder)) is not folder:
            also = "" if str(same) == str(folder) else f", as {same} and as {folder}"
            raise LimbeckError(f"{folder} is given twice{also}. Give each run once.")


def _reference(runs: Mapping[str, Run], path: str | Path | None) -> str:
    if path is None:
        return next(iter(runs))
    for name, run in runs.items():
        if Path(path).resolve() == run.path.resolve():
            return name
    given = ", ".join(str(run.path) for run in runs.values())
    raise LimbeckError(f"--reference {path} is none of the runs that are compared. Give one of: {given}.")


def _apart(descriptions: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    found = apart(list(descriptions.values()))
    return {
        field: {run: value for run, value in zip(descriptions, values, strict=True) if value is not ABSENT}
        for field, values in found.items()
    }


def _portrait(run: Run) -> dict[str, Any]:
    networks: dict[str, dict[str, Any]] = {}
    for role in dict.fromkeys(network["role"] for network in run.results["networks"]):
        some = [network for network in run.results["networks"] if network["role"] == role]
        seconds = [network["seconds"] for network in some if network["seconds"]]
        networks[role] = {
            "model": some[0]["model"],
            "parameters": some[0]["parameters"],
            "seconds": float(np.mean(seconds)) if seconds else None,
        }
    return {
        "path": str(run.path),
        "recipe": run.results.get("recipe"),
        "data": run.plan.data,
        "seeds": list(run.plan.seeds),
        "networks": networks,
        "cost": run.results.get("cost"),
        "environment": run.environment,
    }


def _accuracies(runs: Mapping[str, Run], dataset: str) -> dict[str, dict[str, Any]]:
    there = {name: run.results["summary"].get(dataset, {}).get("accuracy", {}) for name, run in runs.items()}
    found = {role: {name: roles[role] for name, roles in there.items() if role in roles} for role in ROLES}
    return {role: some for role, some in found.items() if some}


def _against(run: Run, reference: Run, first: str) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """The differences of a run from the reference, which is called ``first``; and what is missing, and why."""
    if run.plan.data != reference.plan.data:
        why = f"it was trained on {run.plan.data}, {first} on {reference.plan.data}."
        return [], [{"what": "accuracy", "why": why}]
    common = [dataset for dataset in tests(reference) if dataset in tests(run)]
    if not common:
        return [], [{"what": "accuracy", "why": f"it has no test set in common with {first}."}]
    differences, missing = [], []
    for dataset in common:
        found, lacking = _differences(run, reference, dataset)
        differences += [{"dataset": dataset, "role": role, **each} for role, each in found.items()]
        missing += [{"what": dataset, "why": why} for why in lacking]
    return differences, missing


def _differences(run: Run, reference: Run, dataset: str) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The differences of a run from the reference on a test set, by role; and what they lack, and why."""
    if (count := pictures(run, dataset)) != (other := pictures(reference, dataset)):
        return {}, [f"its {count:,} test pictures are not the {other:,} of the reference."]
    values = [by_seed(each, dataset) for each in (run, reference)]
    answers = [right(each, dataset, some) for each, some in zip((run, reference), values, strict=True)]
    labels = [found[1] for found in answers if found]
    if len(labels) == 2 and not labels[0].equal(labels[1]):
        return {}, ["its test pictures are not those of the reference: they have other labels."]
    found: dict[str, dict[str, Any]] = {}
    for role in ROLES:
        ours, theirs = (some.get(role) for some in values)
        if not ours or not theirs:
            continue
        seen = [stacked(each[0], role) for each in answers if each] if len(labels) == 2 else [None, None]
        each = difference(ours, theirs, *seen)
        found[role] = {**each, "told_apart": told_apart(each)}
    lacking = [each for each, some in zip((run, reference), answers, strict=True) if not some]
    why = "the doubt that comes from the test pictures is not known: {} kept no answers that fit its results."
    return found, [why.format(each.path) for each in lacking]


def _notes(runs: Mapping[str, Run], results: Mapping[str, Any]) -> list[str]:
    """What a reader has to know of the comparison as a whole."""
    first, differences, notes = results["reference"], results["differences"], []
    unpaired = [each["run"] for each in differences if each["method"] == UNPAIRED]
    by_seeds: dict[str, list[str]] = {}
    for name in dict.fromkeys(unpaired):
        by_seeds.setdefault(" ".join(map(str, runs[name].plan.seeds)), []).append(name)
    for seeds, names in by_seeds.items():
        ours = " ".join(map(str, runs[first].plan.seeds))
        notes.append(f"{', '.join(names)} and {first}: seeds differ: not paired ({seeds}; {first} {ours}).")
    if any(each["ci95"] is None and each["method"] != ONE for each in differences):
        notes.append("Where a run has one seed, the pictures' doubt alone is known: another seed may say otherwise.")
    if any(each["method"] == PAIRED for each in differences):
        notes.append("Paired by seed: initial weights, views and order are the same as far as the recipes are.")
    if any(each["role"] == "teacher" for each in differences):
        notes.append("Each run has one teacher: no interval contains the teachers' own variation.")
    if len(differences) > 1:
        notes.append(
            f"{len(differences)} differences, each with a 95 % interval of its own, not corrected for their number: of "
            "twenty that are nothing, one is expected to leave out 0."
        )
    if len(runs) > 2:
        notes.append("These are test sets: whoever chooses the best of many runs by them flatters it.")
    for name, run in runs.items():
        if name != first and run.recipe == runs[first].recipe:
            same = run.results.get("recipe") == runs[first].results.get("recipe")
            more = "" if same else "; but for their names, or the text of the files that define their own classes"
            notes.append(f"{name} has the same recipe as {first}{more}.")
    if "hardware" in results["environment"]:
        notes.append("They ran on different hardware: times cannot be compared.")
    return notes
