"""The fields of descriptions as JSON has them, by dotted path: as they are typed, and where several differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

ABSENT = object()
"""Stands where a description has no such field."""


def leaves(description: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Every field that is no description itself, by path: {"train.epochs": 30}."""
    found: dict[str, Any] = {}
    for name, value in description.items():
        found |= leaves(value, f"{above}{name}.") if isinstance(value, Mapping) else {f"{above}{name}": value}
    return found


def apart(descriptions: Sequence[Any], above: str = "") -> dict[str, list[Any]]:
    """The fields by path in which descriptions are not all equal, each with the values of all of them, in their order.

    A field that some of them do not have is `ABSENT` there; so is everything in a description that is itself `ABSENT`,
    which differs from nobody. Where one stands in place of another of a different kind (a trained teacher, a weights
    file, none), they differ as a whole, and those of one kind moreover in their fields.
    """
    found: dict[str, list[Any]] = {}
    there = [description for description in descriptions if description is not ABSENT]
    for name in dict.fromkeys(name for description in there for name in description):
        values = [ABSENT if each is ABSENT else each.get(name, ABSENT) for each in descriptions]
        own = [value for value, each in zip(values, descriptions, strict=True) if each is not ABSENT]
        if all(value == own[0] for value in own):
            continue
        kinds = _kinds(own)
        if [len(kind) for kind in kinds] != [len(own)]:
            found[f"{above}{name}"] = values
        for kind in kinds:
            same = [value if any(value is each for each in kind) else ABSENT for value in values]
            found |= apart(same, f"{above}{name}.")
    return found


def _kinds(values: Sequence[Any]) -> list[list[Mapping[str, Any]]]:
    """Those that are descriptions, each with those that it has a field in common with."""
    kinds: list[list[Mapping[str, Any]]] = []
    for value in values:
        if isinstance(value, Mapping):
            alike = next((kind for kind in kinds if set(value) & set(kind[0])), None)
            if alike is None:
                kinds.append([value])
            else:
                alike.append(value)
    return kinds


def differences(old: Any, new: Any, where: str = "") -> list[str]:
    """Where two nested descriptions differ: "train.epochs: 30, now 40"."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = dict.fromkeys([*old, *new])
        return [line for key in keys for line in differences(old.get(key), new.get(key), f"{where}.{key}".strip("."))]
    return [] if old == new else [f"{where}: {old}, now {new}"]
