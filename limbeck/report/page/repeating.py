"""How a run was done and how to do it again: recipe, environment, commands, protocol."""

from __future__ import annotations

import json
import shlex
from pathlib import PurePath
from typing import Any, NamedTuple

from limbeck.report.page.facts import Facts
from limbeck.report.wording import plural, said

_DROPPED = ("--out", "--fresh", "--quiet", "--page", "--no-page")
_MOST = 4  # trainings side by side
_PARTS = {"student": "network", "objective": "objective", "train": "", "views": "views"}


Fields = dict[str, str]


class Column(NamedTuple):
    """One training: whose it is, and its fields in words, by the part of the recipe that they stand in."""

    title: str
    parts: dict[str, Fields]


def recipe_columns(facts: Facts) -> list[Column]:
    """The student's training beside its teacher's, its teacher's teacher's and so on."""
    return [Column("student", _training(facts.recipe)), *_teachers(facts.recipe.get("teacher"), "teacher")][:_MOST]


def _teachers(teacher: Any, title: str) -> list[Column]:
    if not isinstance(teacher, dict):
        return []
    if "path" in teacher:
        return [Column(title, {"student": {"network": f"weights file {PurePath(teacher['path']).name}"}})]
    if "members" in teacher:
        return [
            column
            for number, member in enumerate(teacher["members"], start=1)
            for column in _teachers(member, f"{title} {number}")
        ]
    if "student" not in teacher:
        return [Column(title, {"student": _flat("network", teacher)})]
    return [Column(title, _training(teacher)), *_teachers(teacher.get("teacher"), f"{title}'s teacher")]


def _training(recipe: dict[str, Any]) -> dict[str, Fields]:
    return {part: _flat(title, recipe.get(part)) for part, title in _PARTS.items()}


def recipe_parts(columns: list[Column]) -> list[list[tuple[str, list[str]]]]:
    """The fields of all columns, a row each, part by part; what is none everywhere is left out."""
    parts = []
    for part in _PARTS:
        fields = [column.parts.get(part, {}) for column in columns]
        rows = [(name, [each.get(name, "") for each in fields]) for name in _together(fields)]
        parts.append([(name, cells) for name, cells in rows if any(cell not in ("", "none") for cell in cells)])
    return parts


def _together(fields: list[Fields]) -> list[str]:
    """The names of all rows, those that begin with the same word beside each other."""
    names = list(dict.fromkeys(name for each in fields for name in each))
    first = list(dict.fromkeys(name.partition(" ")[0] for name in names))
    return sorted(names, key=lambda name: first.index(name.partition(" ")[0]))


def protocol_rows(facts: Facts) -> list[tuple[str, str]]:
    """The fields that no training has of its own."""
    fields: dict[str, str] = {}
    for part in ("data", "alone", "logits", "protocol", "device"):
        fields |= _flat(part, facts.recipe.get(part))
    return [(name, value) for name, value in fields.items() if value not in ("", "none")]


def _flat(name: str, value: Any) -> dict[str, str]:
    """A nested description as rows: what it is called first, then its fields."""
    if not isinstance(value, dict):
        return {name: said(value)}
    rows = {}
    if "name" in value and name:
        rows[name] = said(value["name"])
    for field, each in value.items():
        if not (field == "name" and name):
            rows |= _flat(f"{name} {field}".strip().replace("_", " "), each)
    return rows


def recipe_json(facts: Facts) -> str:
    """The whole recipe, as `limbeck run` takes it."""
    return json.dumps(facts.recipe, indent=2, ensure_ascii=False)


def typed(facts: Facts) -> str | None:
    """The command that started the run, without where it was put; None where it was not a command of limbeck's."""
    words = facts.starts[0].get("command", []) if facts.starts else []
    words = [str(word) for word in words]
    if len(words) < 2 or PurePath(words[0]).name not in ("limbeck", "__main__.py") or words[1] != "run":
        return None
    kept, skip = [], False
    for word in words[1:]:
        name, equals, _ = word.partition("=")
        if skip:
            skip = False
        elif name in _DROPPED:
            skip = name == "--out" and not equals
        else:
            kept.append(word)
    elsewhere = any(PurePath(word).is_absolute() or word.endswith((".py", ".json")) for word in kept)
    return None if elsewhere else shlex.join(["limbeck", *kept])


def environment(facts: Facts) -> list[tuple[str, list[str]]]:
    """Where the run was done: hardware, versions, decisions; of its last start."""
    if not facts.starts:
        return []
    start = facts.starts[-1]
    cores, threads = (plural(int(start.get(f"{what}s") or 0), what) for what in ("core", "thread"))
    packages = [f"{name} {version}" for name, version in (start.get("packages") or {}).items() if version]
    found = [
        ("Processor", [f"{start.get('processor')}, {cores}, {threads}"]),
        ("Accelerator", [str(start.get("accelerator") or "none")]),
        ("System", [str(start.get("system") or "unknown")]),
        ("Versions", [", ".join([f"Python {start.get('python')}", *packages])]),
        ("Revision", [str(start.get("revision") or "unknown")]),
        ("Decisions", [str(each) for each in start.get("decisions") or []]),
        ("Begun", [str(facts.starts[0].get("when") or "unknown")]),
    ]
    if len(facts.starts) > 1:
        found.append(("Starts", [f"{len(facts.starts)}: the run was stopped and continued; this is the last"]))
    return found


def protocol(facts: Facts) -> list[str]:
    """How the comparison was kept honest, in three sentences."""
    held = facts.held_out()
    split = f"{held:,} pictures were held out for every choice" if held else "No pictures were held out"
    looks, exports = facts.looks()
    by = f", {exports:,} of them by exports of the finished network" if exports else ""
    once = "once, at the end," if looks <= 1 else f"{looks:,} times (evaluations.jsonl){by},"
    first = (
        f"{split}; the test set was looked at {once} and the weights that are kept are the last ones, never the best "
        "ones."
    )
    seeds = (facts.recipe.get("protocol") or {}).get("seeds") or [0]
    if not {"alone", "distilled"} <= set(facts.roles):
        one = "Each seed trained one student only, so that there is no gain to report."
        return [first, one, f"{plural(len(seeds), 'seed')}, fixed before the run."]
    return [
        first,
        "The student alone had what the distilled one had: initial weights, views, order, epochs and schedule; only "
        "the objective differs.",
        f"{plural(len(seeds), 'seed')}, fixed before the run: the gain is the mean of the paired differences"
        + (", with Student's t interval." if len(seeds) > 1 else ", and one seed gives it no interval."),
    ]
