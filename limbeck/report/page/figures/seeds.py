"""The evidence behind the verdict: every seed's accuracy, and what the teacher was worth with each."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from limbeck.report.page.drawing import Figure, Panel
from limbeck.report.page.facts import Facts
from limbeck.report.page.figures import marks
from limbeck.report.page.theme import LIGHT, ROLES
from limbeck.report.table import set_name
from limbeck.report.wording import interval, listed, percent, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_MARGINS = (66, 20, 40, 36)


def by_seed(facts: Facts) -> Figure | str:
    """Accuracy of each role and the paired gain, a mark a seed, with means and intervals."""
    values = {role: facts.values(role) for role in facts.roles}
    values = {role: found for role, found in values.items() if found}
    if not values:
        return "No set of pictures could be measured."
    gains = _gains(values)
    title = f"Accuracy on {set_name(facts.judged or '')}, %"
    panels = [Panel(title, partial(_accuracies, facts, values), 400, 200, _MARGINS)]
    if gains:
        panels.append(Panel("What the teacher was worth, points", partial(_worth, facts, gains), 400, 200, _MARGINS))
    said = []
    for role in values:
        estimate = facts.estimate(role)
        if estimate:
            said.append(f"{role} {percent(estimate['mean'])} {interval(estimate)}".strip())
    gain = facts.estimate("gain")
    more = ""
    if gains and gain:
        each = ", ".join(f"{signed(100 * value)} (seed {seed})" for seed, value in gains.items())
        middle = f"{signed(100 * gain['mean'])} {interval(gain)}".strip()
        more = f" Distilled minus alone, by seed: {each}; mean {middle}."
    return Figure(
        name="seeds",
        title="Every seed",
        says=f"Accuracy of each network: {listed(said)}.{more}",
        caption="Pale: one seed each. Full: the mean, with its 95 % interval over seeds where there are several.",
        panels=panels,
        columns=("role", "seed", "dataset", "accuracy"),
        rows=[
            *((role, seed, facts.judged, value) for role, found in values.items() for seed, value in found.items()),
            *(("gain", seed, facts.judged, value) for seed, value in gains.items()),
        ],
    )


def _gains(values: dict[str, dict[int | None, float]]) -> dict[int | None, float]:
    alone, distilled = values.get("alone", {}), values.get("distilled", {})
    return {seed: distilled[seed] - alone[seed] for seed in distilled if seed in alone}


def _accuracies(facts: Facts, values: dict[str, dict[int | None, float]], axes: Axes) -> None:
    marks.rows(axes, list(values))
    reach = []
    for place, (role, found) in enumerate(values.items()):
        style, points, estimate = ROLES[role], list(found.values()), facts.estimate(role)
        middle = estimate["mean"] if estimate else points[0]
        half = estimate["ci95"] if estimate else None
        if len(points) > 1:
            marks.dots(axes, points, [place + 0.27] * len(points), style)
        marks.mean(axes, middle, place, style, half)
        axes.annotate(
            f"{100 * middle:.2f}", (middle, place), (0, 10), textcoords="offset points", ha="center", fontsize=10.5
        )
        reach += [*points, middle - (half or 0), middle + (half or 0)]
    axes.set_xlim(*marks.around(reach, share=0.1))
    marks.in_percent(axes.xaxis)


def _worth(facts: Facts, gains: dict[int | None, float], axes: Axes) -> None:
    names = [*(f"seed {seed}" for seed in gains), "mean"] if len(gains) <= 6 else ["seeds", "mean"]
    marks.rows(axes, names)
    gain = facts.estimate("gain")
    style = ROLES["distilled"]
    axes.axvline(0, color=LIGHT["muted"], lw=1, zorder=1)
    reach = [0.0]
    for place, value in enumerate(gains.values()):
        row = place if len(gains) <= 6 else 0
        marks.dots(axes, [value], [row], style)
        reach.append(value)
    if gain:
        half = gain["ci95"]
        marks.mean(axes, gain["mean"], len(names) - 1, style, half)
        axes.annotate(
            signed(100 * gain["mean"]), (gain["mean"], len(names) - 1), (0, 8),
            textcoords="offset points", ha="center", fontsize=10.5,
        )  # fmt: skip
        reach += [gain["mean"] - (half or 0), gain["mean"] + (half or 0)]
    axes.set_xlim(*marks.around(reach, -1, 1, share=0.1))
    marks.in_percent(axes.xaxis)
    marks.below(axes, "distilled − alone")
