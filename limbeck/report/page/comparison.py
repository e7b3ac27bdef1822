"""The page of a comparison: runs side by side in one file."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limbeck.report.comparison import (
    APART,
    COSTS,
    FIRST,
    costs,
    devices,
    judged_by,
    seeds,
    told,
    verdicts,
)
from limbeck.report.page.drawing import draw
from limbeck.report.page.figures.runs import of_runs
from limbeck.report.page.rendering import publish, render
from limbeck.report.wording import interval, listed, said, signed

Results = Mapping[str, Any]
_ROLES = ("teacher", "alone", "distilled", "gain")


def write_comparison(results: Results, path: Path) -> Path:
    """Makes the page of a comparison; equal results make equal bytes.

    Args:
        results: of a comparison (keys: `limbeck.comparison`).
        path: the page.

    Raises:
        LimbeckError: it cannot be written.
    """
    sets = list(results["accuracy"])
    wanted = [figure for dataset in sets for figure in of_runs(results, dataset)]
    with tempfile.TemporaryDirectory() as scratch:  # the page alone is kept: nothing beside it is its own
        drawn = draw(wanted, Path(scratch))
    titles = {
        "differ": "What differs",
        **{f"set-{number}": f"{dataset} test" for number, dataset in enumerate(sets)},
        "cost": "Cost",
        "notes": "To read this",
    }
    page = render(
        "compare.html",
        figures=drawn,
        file=path.stem,
        sections=[("verdict", "Verdict"), *titles.items()],
        titles=titles,
        results=results,
        claim=claim(results),
        doubts=[said.replace("± ", "±\N{NO-BREAK SPACE}") for said in verdicts(results)],
        runs=_runs(results),
        differ=[(title, _fields(results, results[what])) for what, title in APART.items() if results[what]],
        sets=[
            (f"set-{number}", dataset, _accuracies(results, dataset), _differences(results, dataset))
            for number, dataset in enumerate(sets)
        ],
        costs=_costs(results),
        devices=devices(results),
        notes=results["notes"],
    )
    publish(path, page)
    return path


def claim(results: Results) -> str:
    """The verdict on the first test set in a few words: by how much two runs differ, or which of many do."""
    first, dataset = results["reference"], results["differences"][0]["dataset"]
    _, some = judged_by(results, dataset)
    better, worse, others = told(some).values()
    if len(some) == 1 and not others:
        points = f"{100 * abs(some[0]['mean']):.2f} points"
        return f"On {dataset}, {some[0]['run']} is {points} {'better' if better else 'worse'} than {first}"
    parts = [
        f"{listed(runs)} {'is' if len(runs) == 1 else 'are'} {word} than {first}"
        for runs, word in ((better, "better"), (worse, "worse"))
        if runs
    ]
    parts += [f"{listed(others)} cannot be told from {first}"] if others else []
    return f"On {dataset}, {'; '.join(parts)}"


def _runs(results: Results) -> list[tuple[str, list[str]]]:
    """Of each run what it is: its folder, recipe, data and seeds."""
    rows = []
    for name, run in results["runs"].items():
        recipe = (run["recipe"] or {}).get("name", "")
        networks = ", ".join(
            f"{role} {network['model']}" for role, network in run["networks"].items() if role != "alone"
        )
        facts = [
            f"recipe {recipe} on {run['data']}, seeds {said(run['seeds'])}" if recipe else f"on {run['data']}",
            networks,
        ]
        rows.append((name + (" (the reference)" if name == results["reference"] else ""), [run["path"], *facts]))
    return rows


def _fields(results: Results, fields: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """A row for each field: what every run has, and nothing where it has no such field."""
    return [
        (field, [said(values[run]) if run in values else "" for run in results["runs"]])
        for field, values in fields.items()
    ]


def _accuracies(results: Results, dataset: str) -> dict[str, Any]:
    """A row for each run, as the table's macro takes it."""
    accuracy = results["accuracy"][dataset]
    roles = [role for role in _ROLES if role in accuracy]
    rows = []
    for name in results["runs"]:
        if not any(name in accuracy[role] for role in roles):
            continue
        cells = []
        for role in roles:
            estimate = accuracy[role].get(name)
            value = (
                ""
                if estimate is None
                else signed(100 * estimate["mean"])
                if role == "gain"
                else f"{100 * estimate['mean']:.2f}"
            )
            cells.append({"value": value, "interval": interval(estimate) if estimate else ""})
        rows.append({"role": name, "what": "", "cells": cells})
    return {
        "columns": [(role, "distilled minus alone" if role == "gain" else "") for role in roles],
        "rows": rows,
        "gain": None,
    }


def _differences(results: Results, dataset: str) -> list[list[str]]:
    """Rows of role, run, points, both half-widths, seeds, and whether it can be told from 0."""
    there = [each for each in results["differences"] if each["dataset"] == dataset]
    rows = []
    for each in sorted(there, key=lambda each: FIRST.index(each["role"])):
        halves = ("" if half is None else f"± {100 * half:.2f}" for half in (each["ci95"], each["sample_ci95"]))
        told = "yes" if each["told_apart"] else "no"
        rows.append([each["role"], each["run"], signed(100 * each["mean"]), *halves, seeds(each), told])
    return rows


def _costs(results: Results) -> tuple[list[str], list[tuple[str, str, list[str]]]]:
    """The headings that have figures, and a row for each run and role; the first is the network."""
    rows = [(name, role, cells) for name, run in results["runs"].items() for role, cells in costs(run).items()]
    kept = [place for place in range(len(COSTS)) if not place or any(cells[place] for _, _, cells in rows)]
    return [COSTS[place] for place in kept], [
        (name, role, [cells[place] or "not measured" for place in kept]) for name, role, cells in rows
    ]
