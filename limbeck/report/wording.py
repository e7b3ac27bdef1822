"""Numbers, names and values as a person reads them: thousands set apart, no more digits than can be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Estimate = dict[str, Any]
NBSP = "\N{NO-BREAK SPACE}"  # a figure and its unit stay on one line
_LONGEST = 400  # characters of a value


def signed(value: float, digits: int = 2) -> str:
    """A difference with a true minus: "+0.39", "−0.37"."""
    rounded = round(value, digits)
    return f"{rounded:+.{digits}f}".replace("-", "−") if rounded else f"{0:.{digits}f}"


def percent(share: float | None, digits: int = 2) -> str:
    """A share from 0 to 1: "91.29 %"."""
    return "not measured" if share is None else f"{100 * share:.{digits}f}{NBSP}%"


def interval(estimate: Estimate, scale: float = 100, digits: int = 2) -> str:
    """ "± 0.24", or nothing where there is none."""
    return "" if estimate.get("ci95") is None else f"±{NBSP}{scale * estimate['ci95']:.{digits}f}"


def count(number: float) -> str:
    """A large number as a person says it: "57.0 M", "967 k"."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= 0.9995 * size:
            return (
                f"{number / size:.1f} {unit}" if number < 99.95 * size and size > 1e3 else f"{number / size:.0f} {unit}"
            )
    return f"{number:.0f}"


def times(factor: float) -> str:
    """A ratio: "59", "2.4", "0.83"."""
    return f"{factor:.0f}" if factor >= 9.95 else f"{factor:.1f}" if factor >= 1.95 else f"{factor:.2f}"


def listed(words: Sequence[str]) -> str:
    """ "a, b and c"."""
    return " and ".join([part for part in (", ".join(words[:-1]), *words[-1:]) if part])


def plural(number: int, noun: str) -> str:
    """ "1 seed", "3 seeds"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def network_of(role: str, seed: int | None) -> str:
    """ "the distilled student of seed 0"; nothing for a network that is of no run."""
    names = {"distilled": "the distilled student", "alone": "the student alone", "teacher": "the teacher"}
    return f"{names[role]}{'' if seed is None else f' of seed {seed}'}" if role in names else ""


def said(value: Any) -> str:
    """A field's value in JSON as a person says it; of a description, its name and its fields."""
    if isinstance(value, Mapping):
        if "path" in value:
            return str(value["path"])
        if "members" in value:
            return " + ".join(map(said, value["members"]))
        if "student" in value and "train" in value:
            epochs = value["train"].get("epochs")
            return f"{said(value['student'])}, {epochs} epoch{'' if epochs == 1 else 's'}"
        if "width" in value and "name" in value:
            narrow = "" if value["width"] == 1 else f" x{value['width']:g}"
            more = [f"{field} {said(value[field])}" for field in ("weights", "pretrained", "size") if value.get(field)]
            return f"{value['name']}{narrow}" + (f" ({', '.join(more)})" if more else "")
        inside = ", ".join(
            f"{field} {said(part)}" for field, part in value.items() if field != "name" and part is not None
        )
        text = " ".join([*([str(value["name"])] if value.get("name") else []), *([f"({inside})"] if inside else [])])
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    if isinstance(value, (list, tuple)):
        return " ".join(map(said, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
