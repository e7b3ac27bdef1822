"""What accuracy costs: against the number of weights, and against the time of an answer."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from limbeck.report.page.drawing import Figure, Panel
from limbeck.report.page.facts import Facts
from limbeck.report.page.figures import marks
from limbeck.report.page.theme import ROLES
from limbeck.report.wording import count, interval, listed, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Points = dict[str, float]


def accuracy_against_cost(facts: Facts) -> Figure | str:
    """Accuracy by parameters, and by the median latency of one answer where it was measured."""
    sizes = {
        role: network["parameters"]
        for role in facts.roles
        if (network := facts.network(role)) and facts.estimate(role) and network.get("parameters")
    }
    if not sizes:
        return "No network was measured on any pictures."
    latencies = {role: found for role, found in latency(facts).items() if role in sizes}
    panels = [Panel("Accuracy, %, against the number of weights", partial(_draw, facts, sizes, "weights"), 400, 270)]
    if latencies:
        title = "Accuracy, %, against milliseconds an answer"
        panels.append(Panel(title, partial(_draw, facts, latencies, "ms"), 400, 270))
    said = []
    for role, size in sizes.items():
        estimate = facts.estimate(role)
        assert estimate is not None
        time = f" and {latencies[role]:.2f} ms an answer" if role in latencies else ""
        said.append(f"{role} {percent(estimate['mean'])} {interval(estimate)} with {count(size)} weights{time}")
    return Figure(
        name="cost",
        title="Accuracy against size and latency",
        says=f"{listed(said)}.",
        caption="Up and to the left is better. The horizontal axes are logarithmic; two students that are the same "
        "network stand beside each other." + ("" if latencies else " Latency: not measured."),
        panels=panels,
        columns=("role", "dataset", "accuracy", "ci95", "parameters", "latency_ms"),
        rows=[
            (role, facts.judged, e["mean"], e["ci95"], size, latencies.get(role))
            for role, size in sizes.items()
            if (e := facts.estimate(role))
        ],
    )


def latency(facts: Facts) -> Points:
    """The median milliseconds of one answer by role, where the run measured its cost; where a student alone is the
    distilled one's twin, it has that one's."""
    found = {each["role"]: each["latency_ms"] for each in (facts.results.get("cost") or {}).get("networks", [])}
    if "distilled" in found and "alone" in facts.roles:
        found.setdefault("alone", found["distilled"])
    return {role: float(found[role]) for role in facts.roles if found.get(role)}


def _draw(facts: Facts, points: Points, unit: str, axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    reach = []
    for role in points:
        reach += list(facts.values(role).values())
        if (e := facts.estimate(role)) is not None:
            reach += [e["mean"] - (e["ci95"] or 0), e["mean"] + (e["ci95"] or 0)]
    axes.set_ylim(*marks.around(reach, share=0.25))
    least, most = min(points.values()), max(points.values())
    axes.set_xlim(least / 3, most * 3)
    means = {role: e["mean"] for role in points if (e := facts.estimate(role))}
    shift = dict.fromkeys(points, 1.0)
    if "alone" in points and "distilled" in points and abs(points["alone"] / points["distilled"] - 1) < 0.06:
        shift |= {"alone": 0.93, "distilled": 1.07}  # side by side, so that neither hides the other
    for role, x in points.items():
        style, e = ROLES[role], facts.estimate(role)
        assert e is not None
        values = list(facts.values(role).values())
        at = x * shift[role]
        if len(values) > 1:
            marks.dots(axes, [at] * len(values), values, style)
        marks.mean(axes, at, e["mean"], style, None, e["ci95"])
        half = e["ci95"] or 0
        beside = [
            other
            for other in points
            if other != role and abs(math.log(points[other] / x)) < 0.3 * math.log(9 * most / least)
        ]
        order = sorted(means, key=lambda other: (means[other], other))
        above, below = (any(order.index(o) * sign > order.index(role) * sign for o in beside) for sign in (1, -1))
        if above and below:
            axes.annotate(role, (at, e["mean"]), (11, 0), textcoords="offset points", va="center")
        else:
            end, va = e["mean"] + (-half if above else half), "top" if above else "bottom"
            axes.annotate(role, (at, end), (0, -9 if above else 9), textcoords="offset points", ha="center", va=va)
    axes.xaxis.set_major_locator(LogLocator(10, (1.0, 2.0, 5.0) if most / least < 12 else (1.0,)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: count(value).replace(".0 ", " ") if unit == "weights" else f"{value:g}")
    )
    marks.in_percent(axes.yaxis)
    marks.below(axes, unit)
