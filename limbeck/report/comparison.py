"""Runs side by side on the screen: what differs, accuracy and differences as tables, and what can be told from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from limbeck.console import FittingTable, duration, size
from limbeck.evaluation.differences import ONE, PAIRED
from limbeck.report.table import percent, points, quiet_table
from limbeck.report.wording import count, listed, said

ROLES = ("teacher", "alone", "distilled", "gain")
FIRST = ("distilled", "alone", "gain", "teacher")
"""What matters most, first."""


def comparison_tables(results: Mapping[str, Any]) -> list[FittingTable]:
    """The runs, what differs in them, accuracies and differences on each test set, and cost; 80 columns hold them.

    Args:
        results: of a comparison (keys: `limbeck.comparison`).
    """
    return [
        _runs(results),
        *(_fields(results[what], title) for what, title in APART.items() if results[what]),
        *(table for dataset in results["accuracy"] for table in _judged(results, dataset)),
        _cost(results),
    ]


APART = {"fields": "The recipes differ in", "environment": "Their environments differ in"}


def comparison_notes(results: Mapping[str, Any]) -> list[str]:
    """What can be told from the differences, and what has to be known to read them; a sentence each."""
    absent = [f"{each['run']}, {each['what']}: {each['why']}" for each in results["missing"]]
    same = [] if results["fields"] else ["The recipes do not differ."]
    return [*same, *verdicts(results), *absent, *results["notes"]]


def verdicts(results: Mapping[str, Any]) -> list[str]:
    """What the students of the runs are worth against the reference's, on each test set that they share."""
    first, found = results["reference"], []
    for dataset in dict.fromkeys(each["dataset"] for each in results["differences"]):
        noun, some = judged_by(results, dataset)
        if len(some) == 1:
            found.append(f"On {dataset} {_one(some[0], noun, first)}")
        else:
            said = [f"{word}: {listed(runs)}" for word, runs in told(some).items() if runs]
            found.append(
                f"On {dataset}, {noun} against {first}'s: {'; '.join(said)}. A difference counts where it is more than "
                "the doubts over seeds and from the test pictures together (95 %)."
            )
    return found


def judged_by(results: Mapping[str, Any], dataset: str) -> tuple[str, list[Mapping[str, Any]]]:
    """By what runs are judged on a test set: the distilled student, where one is; its name, and the differences."""
    there = [each for each in results["differences"] if each["dataset"] == dataset]
    nouns = {"distilled": "distilled student", "alone": "student alone", "teacher": "teacher"}
    role = next(role for role in nouns if any(each["role"] == role for each in there))
    return nouns[role], [each for each in there if each["role"] == role]


def told(differences: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The runs that are better than the reference, worse, and not to be told from it."""
    return {
        "better": [each["run"] for each in differences if each["told_apart"] and each["mean"] > 0],
        "worse": [each["run"] for each in differences if each["told_apart"] and each["mean"] < 0],
        "cannot be told apart": [each["run"] for each in differences if not each["told_apart"]],
    }


def _one(each: Mapping[str, Any], noun: str, first: str) -> str:
    doubts = []
    if each["ci95"] is not None:
        doubts.append(f"± {100 * each['ci95']:.2f} over seeds: {seeds(each)}")
    if each["sample_ci95"] is not None:
        doubts.append(f"± {100 * each['sample_ci95']:.2f} from the test pictures alone")
    points, place = f"{100 * abs(each['mean']):.2f} points of accuracy", "above" if each["mean"] >= 0 else "below"
    text = f"the {noun} of {each['run']} is {points} {place} that of {first}"
    if doubts:
        text += f" (95 %: {'; '.join(doubts)})"
    return f"{text}." if each["told_apart"] else f"{text}. That cannot be told from 0."


def seeds(each: Mapping[str, Any]) -> str:
    """How many seeds a difference is from: "3, paired", "3 and 5, not paired"; nothing for teachers."""
    if each["method"] == ONE:
        return ""
    return f"{each['n']}, paired" if each["method"] == PAIRED else f"{each['n']} and {each['n_reference']}, not paired"


def _runs(results: Mapping[str, Any]) -> FittingTable:
    table = quiet_table(f"{len(results['runs'])} runs, compared with {results['reference']}", "recipe", "seeds")
    table.add_column("run")
    table.add_column("folder", prose=True)
    table.add_column("recipe")
    table.add_column("data")
    table.add_column("seeds")
    for name, run in results["runs"].items():
        recipe = (run["recipe"] or {}).get("name", "")
        table.add_row(name, run["path"], recipe, run["data"], said(run["seeds"]))
    return table


def _fields(fields: Mapping[str, Mapping[str, Any]], title: str) -> FittingTable:
    """A row for each field and value, with the runs that have it."""
    table = quiet_table(title)
    table.add_column("field", prose=True)
    table.add_column("runs")
    table.add_column("value", prose=True)
    for field, values in fields.items():
        for number, (value, runs) in enumerate(grouped(values).items()):
            table.add_row("" if number else field, " ".join(runs), value)
    return table


def grouped(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """The runs that have each value, as it is said."""
    found: dict[str, list[str]] = {}
    for run, value in values.items():
        found.setdefault(said(value), []).append(run)
    return found


def _judged(results: Mapping[str, Any], dataset: str) -> list[FittingTable]:
    """Accuracies on a test set, and the differences from the reference."""
    accuracy = results["accuracy"][dataset]
    roles = [role for role in ROLES if role in accuracy]
    table = quiet_table(
        f"{dataset} test ({results['pictures'][dataset]:,}): accuracy in %, mean ± 95 % interval over seeds"
    )
    table.add_column("run")
    for role in roles:
        table.add_column(role, "right")
    for name in results["runs"]:
        if any(name in accuracy[role] for role in roles):
            table.add_row(name, *(_figure(role, accuracy[role].get(name)) for role in roles))
    if not any(each["dataset"] == dataset for each in results["differences"]):
        return [table]
    return [table, _compared(results, dataset)]


def _compared(results: Mapping[str, Any], dataset: str) -> FittingTable:
    """The differences from the reference, the students first."""
    table = quiet_table(f"{dataset} test: points of accuracy over {results['reference']}, with 95 % intervals")
    table.add_column("")
    table.add_column("run")
    for heading in ("points", "over seeds", "from pictures"):
        table.add_column(heading, "right")
    table.add_column("seeds")
    there = [each for each in results["differences"] if each["dataset"] == dataset]
    for role in sorted({each["role"] for each in there}, key=FIRST.index):
        for number, each in enumerate(each for each in there if each["role"] == role):
            halves = ("" if half is None else f"± {100 * half:.2f}" for half in (each["ci95"], each["sample_ci95"]))
            table.add_row("" if number else role, each["run"], f"{100 * each['mean']:+.2f}", *halves, seeds(each))
        table.add_section()
    return table


def _figure(role: str, estimate: dict[str, Any] | None) -> str:
    return points(estimate) if role == "gain" else percent(estimate)


def _cost(results: Mapping[str, Any]) -> FittingTable:
    """Every network's size, what was measured of its cost, and its training's time; teacher and one student a run."""
    rows = [[name, role, *cells] for name, run in results["runs"].items() for role, cells in costs(run).items()]
    blank = [place for place in range(len(COSTS)) if not any(row[2 + place] for row in rows)]
    measured = COSTS.index("mult-adds") not in blank
    title = f"Cost{devices(results)}" if measured else "Cost; mult-adds, size, latency and speed were not measured"
    caption = "Blank: not measured." if measured and any(not cell for row in rows for cell in row) else None
    table = quiet_table(title, "on disk", "network", "trained in", "images/s", "mult-adds", caption=caption)
    table.add_column("run")
    table.add_column("")
    for place, heading in enumerate(COSTS):
        if place not in blank:
            table.add_column(heading, "right" if place else "left")
    for row in rows:
        table.add_row(*row[:2], *(cell for place, cell in enumerate(row[2:]) if place not in blank))
    return table


COSTS = ("network", "weights", "mult-adds", "on disk", "ms a picture", "images/s", "trained in")


def devices(results: Mapping[str, Any]) -> str:
    """Where the costs were measured, " on ...": the device, or that there are several."""
    found = dict.fromkeys(run["cost"]["device"] for run in results["runs"].values() if run["cost"])
    if len(found) > 1:
        return ", on different devices: times cannot be compared"
    return "".join(f" on {device}" for device in found)


def costs(run: Mapping[str, Any]) -> dict[str, list[str]]:
    """By role its cells under `COSTS`."""
    cost = {each["role"]: each for each in (run["cost"] or {}).get("networks", [])}
    found = {}
    for role, network in run["networks"].items():
        measured = cost.get(role)
        if role == "alone" and "distilled" in run["networks"] and measured is None:
            continue  # the distilled one's twin
        cells = ["", "", "", ""]
        if measured:
            cells = [
                count(measured["mult_adds"]),
                size(measured["file_bytes"]),
                f"{measured['latency_ms']:.2f}",
                f"{measured['images_per_second']:,.0f}",
            ]
        time = "" if network["seconds"] is None else duration(network["seconds"])
        found[role] = [network["model"] or "", count(network["parameters"]), *cells, time]
    return found
