"""New pictures of the same classes: accuracy on them against that on the original ones, and the published line."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from limbeck.evaluation.shift import CIFAR10_1
from limbeck.report.page.drawing import Figure, Panel
from limbeck.report.page.facts import Facts
from limbeck.report.page.figures import marks
from limbeck.report.page.theme import LIGHT, ROLES
from limbeck.report.wording import listed, percent, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINES = {(line.original, line.shifted): line for line in (CIFAR10_1,)}


def accuracy_under_shift(facts: Facts) -> Figure | str:
    """The accuracies of every network on both sets with the interval of the shifted one, and the line where known."""
    found = [
        each
        for each in facts.results.get("shift") or []
        if each["role"] in ROLES and _original(facts, each) is not None
    ]
    if not found:
        return _why(facts)
    original, shifted = found[0]["original"], found[0]["shifted"]
    found = [each for each in found if (each["original"], each["shifted"]) == (original, shifted)]
    said = []
    for role in facts.roles:
        of_role = [each for each in found if each["role"] == role]
        if not of_role:
            continue
        value = sum(each["value"] for each in of_role) / len(of_role)
        residuals = [each["residual"] for each in of_role if each.get("residual") is not None]
        beyond = (
            f", {signed(100 * sum(residuals) / len(residuals), 1)} points from the published line" if residuals else ""
        )
        said.append(f"{role} {percent(value)}{beyond}")
    return Figure(
        name="shift",
        title=f"From {original} to {shifted}",
        says=f"Accuracy on {shifted}: {listed(said)}.",
        caption=f"Up: accuracy on {shifted} with its 95 % interval from the pictures being a sample. Grey: no loss at "
        "all, and the line of published networks where there is one.",
        panels=[Panel(f"{shifted} against {original}, %", partial(_draw, facts, found), 420, 330)],
        columns=(
            *("role", "seed", "original", "shifted", "accuracy_original", "accuracy_shifted"),
            *("low", "high", "expected", "residual"),
        ),
        rows=[
            (
                each["role"], each["seed"], original, shifted, _original(facts, each), each["value"], each["low"],
                each["high"], each.get("expected"), each.get("residual"),
            )
            for each in found
        ],
    )  # fmt: skip


def _why(facts: Facts) -> str:
    absent = {each["what"]: each["why"] for each in facts.results["not_measured"]}
    for _, shifted in _LINES:
        if shifted in absent:
            return f"{absent[shifted].partition('. ')[0]}: see the end of the page."
    example = "CIFAR-10 has one: `--data.tests cifar10 cifar10_1`"
    return f"{facts.name} names no second test set of the same classes. {example}."


def _original(facts: Facts, each: dict[str, Any]) -> float | None:
    return facts.values(each["role"], "accuracy", each["original"]).get(each["seed"])


def _draw(facts: Facts, found: list[dict[str, Any]], axes: Axes) -> None:
    x = [value for each in found if (value := _original(facts, each)) is not None]
    reach_x = marks.around(x, share=0.4)
    line = _LINES.get((found[0]["original"], found[0]["shifted"]))
    ends = [max(line.least, reach_x[0]), min(line.most, reach_x[1])] if line else [0.0, 0.0]
    published = [line.slope * end + line.intercept for end in ends] if line and ends[0] < ends[1] else []
    reach_y = marks.around([each[end] for each in found for end in ("low", "high")] + x + published, share=0.05)
    axes.set_xlim(*reach_x)
    axes.set_ylim(*reach_y)
    axes.plot(reach_x, reach_x, color=LIGHT["rule"], lw=1.5, zorder=1)
    grey: dict[str, Any] = {"fontsize": 10.5, "color": LIGHT["muted"], "textcoords": "offset points"}
    axes.annotate("no loss", (reach_x[0], reach_x[0]), (6, 8), **grey)
    if published:
        axes.plot(ends, published, color=LIGHT["muted"], lw=1.4, zorder=1)
        axes.annotate("published networks", (ends[0], published[0]), (6, 16), va="bottom", **grey)
    for each in found:
        style, value = ROLES[each["role"]], _original(facts, each) or 0.0
        axes.errorbar(
            [value], [each["value"]], yerr=[[each["value"] - each["low"]], [each["high"] - each["value"]]],
            fmt=style.marker, color=marks.colour(style), ms=7.5, mec=LIGHT["paper"], elinewidth=1.2, zorder=3,
        )  # fmt: skip
    for role in facts.roles:
        of_role = [each for each in found if each["role"] == role]
        if of_role:
            at = max(of_role, key=lambda each: _original(facts, each) or 0)
            axes.annotate(
                role, (_original(facts, at) or 0, at["value"]), (9, 0), textcoords="offset points", va="center"
            )
    for axis in (axes.xaxis, axes.yaxis):
        marks.in_percent(axis)
    marks.below(axes, str(found[0]["original"]))
