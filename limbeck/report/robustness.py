"""How networks stand pictures that are not as they learned them, on the screen."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from limbeck.console import FittingTable
from limbeck.evaluation.results import key, named
from limbeck.report.table import quiet_table, set_name, set_sizes

_ALL = "all"


def corruption_tables(results: dict[str, Any], details: dict[str, Any]) -> list[FittingTable]:
    """For each set of pictures that has corrupted copies, a row a network: mean accuracies by family, and of all.

    Args:
        results: the content of a results.json.
        details: the content of its details.json.
    """
    tables: dict[str, FittingTable] = {}
    for entry in details["entries"]:
        means = entry.get("corruptions")
        if not means:
            continue
        name = key(entry["dataset"], entry["split"])
        if name not in tables:
            pictures = f"{set_name(name)} ({set_sizes(results)[name]:,})"
            tables[name] = _begun(f"{pictures}: accuracy in % on corrupted pictures, one seed", means["families"])
        clean = _accuracy(results, entry)
        shares = [clean, *means["families"].values(), means["mean"]]
        tables[name].add_row(named(entry["role"], entry["seed"]), *(f"{100 * share:.2f}" for share in shares))
    return list(tables.values())


def shift_lines(results: dict[str, Any]) -> list[str]:
    """Of each role what it scores on shifted pictures, and how much of it is beyond the published line."""
    roles: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for entry in results.get("shift") or []:
        roles.setdefault((entry["role"], entry["shifted"]), []).append(entry)
    return [_line(role, entries) for (role, _), entries in roles.items()]


def _line(role: str, entries: list[dict[str, Any]]) -> str:
    known = [entry for entry in entries if entry["residual"] is not None]
    whole, one = _means(entries), entries[0]
    over = f", mean of {len(entries)} seeds" if len(entries) > 1 else ""
    text = f"{role} on {one['shifted']}: {_range(whole['value'], whole['low'], whole['high'], '.2f')} %{over};"
    if not known:
        return f"{text} effective robustness is not known: {one['why']}."
    of = _means(known)
    some = f" ({len(known)} of {len(entries)} seeds)" if len(known) < len(entries) else ""
    points = _range(of["residual"], of["residual_low"], of["residual_high"], "+.2f")
    return f"{text} effective robustness {points} points{some}."


def _means(entries: list[dict[str, Any]]) -> Mapping[str, float]:
    """Means over seeds, of an interval's ends as well: all seeds see the same pictures, and it does not shrink."""
    numbers = [name for name in entries[0] if all(isinstance(entry[name], float) for entry in entries)]
    return {name: fmean(entry[name] for entry in entries) for name in numbers}


def _range(value: float, low: float, high: float, form: str) -> str:
    return f"{100 * value:{form}} ({100 * low:{form}} to {100 * high:{form}})"


def _begun(title: str, families: Mapping[str, float]) -> FittingTable:
    table = quiet_table(title)
    table.add_column("")
    for heading in ("as they are", *families, _ALL):
        table.add_column(heading, "right")
    return table


def _accuracy(results: dict[str, Any], entry: Mapping[str, Any]) -> float:
    where = ("role", "seed", "dataset", "split")
    return next(
        float(m["value"])
        for m in results["measurements"]
        if m["metric"] == "accuracy" and all(m[name] == entry[name] for name in where)
    )
