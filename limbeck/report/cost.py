"""What networks cost, on the screen: a table, and a sentence."""

from __future__ import annotations

from typing import Any

from limbeck.console import FittingTable, size
from limbeck.report.table import quiet_table
from limbeck.report.wording import count

_BUSY = 1.5  # of the load a core; a training of one's own makes it 1
_AS_FAST = 1.05  # times are not told apart within this factor


def cost_tables(results: dict[str, Any]) -> list[FittingTable]:
    """A row for each network whose cost was measured, where any was; 80 columns hold it.

    Args:
        results: the content of a results.json.
    """
    cost = results.get("cost")
    if not cost:
        return []
    title = f"cost, measured in turn on {cost['device']}, {cost['precision']}"
    table = quiet_table(title, "memory", "mult-adds")
    table.add_column("")
    batch = cost["networks"][0]["batch"]
    for heading in ("weights", "mult-adds", "file", "ms at batch 1", f"images/s\nat batch {batch}", "memory"):
        table.add_column(heading, "right")
    for row in cost["networks"]:
        table.add_row(
            row["role"],
            count(row["parameters"]),
            count(row["mult_adds"]),
            size(row["file_bytes"]),
            f"{_ms(row['latency_ms'])} / {_ms(row['latency_95_ms'])}",
            f"{row['images_per_second']:,.0f}",
            "" if row["peak_memory"] is None else size(row["peak_memory"]),
        )
    return [table]


def disturbed(cost: dict[str, Any]) -> str | None:
    """A warning where other programs kept the machine busy while times were taken; None where they did not."""
    load = cost.get("load")
    if load is None or load < _BUSY:
        return None
    return (
        f"The machine was busy (load {load:.1f} a core) while times were taken: they may be far too long. "
        "`limbeck evaluate RUN --cost` takes them anew, `limbeck report RUN` shows them."
    )


def cost_notes(results: dict[str, Any]) -> list[str]:
    """What has to be known to read that table."""
    cost = results.get("cost")
    if not cost:
        return []
    said = "Milliseconds of one answer: the median, and what 95 of 100 take at most."
    return list(filter(None, (said, disturbed(cost))))


def cost_sentence(results: dict[str, Any]) -> str | None:
    """How much smaller and faster the distilled student is than its teacher; None where it was not measured of both."""
    rows = {row["role"]: row for row in (results.get("cost") or {}).get("networks", ())}
    if not {"teacher", "distilled"} <= rows.keys():
        return None
    teacher, student = rows["teacher"], rows["distilled"]
    smaller = _times(teacher["parameters"], student["parameters"], "smaller", "larger", "as large as")
    one = _times(teacher["latency_ms"], student["latency_ms"], "faster", "slower", "as fast")
    many = _times(student["images_per_second"], teacher["images_per_second"], "faster", "slower", "as fast")
    sizes = smaller if smaller.startswith("as") else f"{smaller} than"
    said = (
        f"The student is {sizes} the teacher; on this device it is {one} at batch 1 ({_ms(student['latency_ms'])} "
        f"against {_ms(teacher['latency_ms'])} ms) and {many} in batches of {student['batch']}."
    )
    return " ".join(filter(None, (said, disturbed(results["cost"]))))


def _times(more: float, less: float, better: str, worse: str, equal: str) -> str:
    """By what factor the first number is the larger one, in words."""
    factor, word = (more / less, better) if more >= less else (less / more, worse)
    if factor < _AS_FAST:
        return equal
    return f"{factor:.0f} times {word}" if factor >= 10 else f"{factor:.1f} times {word}"


def _ms(milliseconds: float) -> str:
    return (
        f"{milliseconds:.2f}"
        if milliseconds < 10
        else f"{milliseconds:.1f}"
        if milliseconds < 100
        else (f"{milliseconds:,.0f}")
    )
