"""An exported student's forms, on the screen."""

from __future__ import annotations

from typing import Any

from limbeck.console import FittingTable, size
from limbeck.report.table import quiet_table
from limbeck.report.wording import network_of


def export_table(results: dict[str, Any]) -> FittingTable:
    """A row for each form; 80 columns hold it.

    Args:
        results: the content of an export.json.
    """
    student = results["student"]
    title = ", ".join(filter(None, [results["title"], network_of(student["role"], student["seed"])]))
    title = f"{title}, on {results['dataset']} test ({results['n']:,}), {results['device']}"
    table = quiet_table(title, "file", "images/s")
    for heading in ("", "file"):
        table.add_column(heading)
    for heading in (
        "accuracy\n%",
        "as the\noriginal, %",
        "size",
        "ms at\nbatch 1",
        f"images/s\nat batch {results['batch']}",
    ):
        table.add_column(heading, "right")
    for form in results["forms"]:
        table.add_row(
            form["name"],
            form["file"] or "",
            f"{100 * form['accuracy']:.2f}",
            f"{100 * form['same_answers']:.2f}",
            size(form["bytes"]),
            f"{form['latency_ms']:.2f}",
            f"{form['images_per_second']:,.0f}",
        )
    return table
