"""The end of a sweep: one table, best first, and what has to be known to read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from limbeck.console import FittingTable, duration, size
from limbeck.report.table import percent, points, quiet_table, spread

_FIGURES = ("alone", "distilled", "gain", "time", "memory")


def sweep_table(results: Mapping[str, Any]) -> FittingTable:
    """A row for each trial with what it varies, its held-out accuracies, the paired gain, time and peak memory.

    Args:
        results: the content of a sweep's results.json.
    """
    table = _table(results["axes"], _title(results))
    for heading in _FIGURES:
        table.add_column(heading, "right")
    for cells in _rows(results):
        table.add_row(*cells)
    return table


def trials_table(axes: Sequence[str], trials: Sequence[Mapping[str, str]], title: str) -> FittingTable:
    """The trials of a sweep that is still to be done.

    Args:
        axes: the options that are varied.
        trials: of each trial, the value of every option that it has.
        title: what is above the table.
    """
    table = _table(axes, title)
    for varies in trials:
        table.add_row(*(varies.get(axis, "") for axis in axes))
    return table


def sweep_markdown(results: Mapping[str, Any]) -> str:
    """The table and the notes as a Markdown page."""
    headings = [*_short(results["axes"]), *_FIGURES]
    rule = ["---"] * len(results["axes"]) + ["---:"] * len(_FIGURES)
    lines = [f"| {' | '.join(cells)} |" for cells in (headings, rule, *_rows(results))]
    notes = sweep_notes(results).splitlines()
    if results["best"] is not None:
        notes[-1] = f"    {notes[-1]}"
    return "\n\n".join([_title(results), "\n".join(lines), *notes]) + "\n"


def sweep_notes(results: Mapping[str, Any]) -> str:
    """How much the table can tell, why trials failed, and on the last line the command that runs the best for good."""
    alone, distilled, seeds = results["trained"]["alone"], results["trained"]["distilled"], len(results["seeds"])
    notes = [
        f"{len(results['trials'])} trials, judged on {results['held_out']:,} held-out pictures; different trainings: "
        f"{alone} alone, {distilled} distilled, each with {seeds} seed{'s' if seeds > 1 else ''}."
    ]
    if results["search"]:
        ends = [f"{role} {said}" for role in ("distilled", "alone") if (said := _best(results, role))]
        notes.append(f"The best of up to {results['search']} trials drawn for each: {', '.join(ends)}.")
    if distilled > alone > 0:
        notes.append(
            f"Distilled had {distilled} trainings to choose from, alone {alone}: the best of many is flattered. "
            "Vary --train, --student, --views or --alone for equal chances."
        )
    notes.append("Time: of one training, the median over seeds. Memory: its peak beyond what was held before it.")
    for row in results["trials"]:
        for role, failure in row["failed"].items():
            notes.append(f"{trial_name(row['varies'])}: {role} failed: {failure['why'].splitlines()[0]}")
    if results["best"] is not None:
        notes.append("No test set was looked at. This runs the best trial for good; its test figures are that run's:")
        notes.append(results["trials"][results["best"]]["command"] or "limbeck.run(sweep.best)")
    return "\n".join(notes)


def all_failed(results: Mapping[str, Any]) -> str:
    """What is said where there is no best trial."""
    failures = [failure["why"] for row in results["trials"] for failure in row["failed"].values()]
    return f"all {len(results['trials'])} trials failed. The first: {failures[0]}"


def _table(axes: Sequence[str], title: str) -> FittingTable:
    table = quiet_table(title, "memory", "time")
    for heading in _short(axes):
        table.add_column(heading, prose=True)
    return table


def _title(results: Mapping[str, Any]) -> str:
    return f"{results['recipe']['name']}: held-out accuracy in %, {spread(len(results['seeds']))}"


def _short(axes: Sequence[str]) -> list[str]:
    """The options without what is not needed to tell them apart: "lr" for "--train.optimizer.lr"."""
    paths = [axis.removeprefix("--").split(".") for axis in axes]

    def shortest(path: list[str]) -> str:
        ends = (path[start:] for start in range(len(path) - 1, 0, -1))
        alone = (end for end in ends if sum(other[-len(end) :] == end for other in paths) == 1)
        return ".".join(next(alone, path))

    return [shortest(path) for path in paths]


def _rows(results: Mapping[str, Any]) -> list[list[str]]:
    """The cells of the table, best first, then those for comparison, then what failed."""
    trials, ranking = results["trials"], results["ranking"]
    others = [place for place in range(len(trials)) if place not in ranking]
    others.sort(key=lambda place: -trials[place]["accuracy"].get("alone", {"mean": -1})["mean"])
    return [_cells(trials[place], results["axes"]) for place in [*ranking, *others]]


def _cells(row: Mapping[str, Any], axes: Sequence[str]) -> list[str]:
    figures = {role: percent(row["accuracy"].get(role)) for role in ("alone", "distilled")}
    failures = {role: failure["short"] for role, failure in row["failed"].items()}
    timed = "distilled" if "distilled" in row["seconds"] else "alone"
    seconds, memory = row["seconds"].get(timed), row["peak_memory"].get(timed)
    return [
        *(row["varies"].get(axis, "") for axis in axes),
        *(failures.get(role, said) for role, said in figures.items()),
        points(row["accuracy"].get("gain")),
        "" if seconds is None else duration(seconds),
        "" if seconds is None else "not measured" if memory is None else size(memory),
    ]


def _best(results: Mapping[str, Any], role: str) -> str:
    """The highest mean of a role among all trials."""
    found = [row["accuracy"][role] for row in results["trials"] if role in row["accuracy"]]
    return percent(max(found, key=lambda estimate: float(estimate["mean"]), default=None))


def trial_name(varies: Mapping[str, str]) -> str:
    """What a trial varies, in a line: "objective kd, objective.temperature 4"."""
    return ", ".join(f"{option.removeprefix('--')} {value}" for option, value in varies.items()) or "as the recipe is"
