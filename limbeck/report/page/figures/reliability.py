"""How far probabilities can be believed: reliability diagrams, raw and after temperature scaling."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from limbeck.report.page.drawing import Figure, Panel
from limbeck.report.page.facts import Facts
from limbeck.report.page.figures import marks
from limbeck.report.page.theme import LIGHT, ROLES, Style
from limbeck.report.wording import listed, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW = 10

Bins = list[tuple[int, float, float]]
"""Of each bin that is not empty: pictures, mean confidence, share that is right."""


def reliability_diagrams(facts: Facts) -> Figure | str:
    """Share of right answers by confidence, a panel a role, the bins of its seeds put together."""
    raw = {role: bins for role in facts.roles if (bins := _pooled(facts, role, "reliability"))}
    if not raw:
        return "The run has no details of its networks' answers, from which these diagrams are drawn."
    scaled = {role: bins for role in raw if (bins := _pooled(facts, role, "reliability_scaled"))}
    panels = [
        Panel(_title(facts, role), partial(_draw, raw[role], scaled.get(role), ROLES[role]), 300, 290) for role in raw
    ]
    said = listed([f"{role} {_said(*_ece(facts, role))}" for role in raw])
    return Figure(
        name="reliability",
        title="Reliability",
        says=f"Expected calibration error in 15 bins{', and after temperature scaling' if scaled else ''}: {said}.",
        caption="Along: how sure the network is. Up: how often it is then right, in %. On the diagonal both are the "
        "same; below it a network is too sure of itself. Full marks: as it is; hollow: after temperature scaling on "
        "the held-out split. Larger marks stand for more pictures; bins with fewer than 10 are pale and not joined. "
        "The bins of all seeds are put together." + ("" if scaled else " Temperature scaling: not measured."),
        panels=panels,
        columns=("role", "kind", "pictures", "confidence", "accuracy"),
        rows=[
            (role, kind, *each)
            for kind, found in (("raw", raw), ("scaled", scaled))
            for role, bins in found.items()
            for each in bins
        ],
    )


def _pooled(facts: Facts, role: str, name: str) -> Bins:
    """The bins of all seeds of a role together."""
    found = [entry[name] for entry in facts.entries(role) if entry.get(name)]
    bins: Bins = []
    for of_seeds in zip(*(_bins(each) for each in found), strict=True):
        pictures = sum(counted for counted, _, _ in of_seeds)
        if pictures:
            confidence = sum(n * (c or 0) for n, c, _ in of_seeds) / pictures
            bins.append((pictures, confidence, sum(n * (a or 0) for n, _, a in of_seeds) / pictures))
    return bins


def _bins(each: dict[str, Any]) -> list[tuple[int, float | None, float | None]]:
    return list(zip(each["counts"], each["confidence"], each["accuracy"], strict=True))


def _ece(facts: Facts, role: str) -> tuple[float | None, float | None]:
    raw, scaled = facts.estimate(role, "ece"), facts.estimate(role, "ece_scaled")
    return None if raw is None else raw["mean"], None if scaled is None else scaled["mean"]


def _said(raw: float | None, scaled: float | None) -> str:
    return percent(raw) + ("" if scaled is None else f" (scaled {percent(scaled)})")


def _title(facts: Facts, role: str) -> str:
    raw, scaled = _ece(facts, role)
    return role if raw is None else f"{role}: ECE {_said(raw, scaled)}"


def _draw(raw: Bins, scaled: Bins | None, style: Style, axes: Axes) -> None:
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.plot([0, 1], [0, 1], color=LIGHT["muted"], lw=1, zorder=1)
    most = max(pictures for pictures, _, _ in raw)
    shade = marks.colour(style)
    for bins, hollow in ((scaled, True), (raw, False)):
        for some, alpha in (
            ([each for each in bins or () if each[0] >= _FEW], 1.0),
            ([each for each in bins or () if each[0] < _FEW], 0.3),
        ):
            x, y = [each[1] for each in some], [each[2] for each in some]
            if alpha == 1:
                axes.plot(x, y, "--" if hollow else "-", color=shade, lw=1, alpha=0.6, zorder=2)
            axes.scatter(
                x, y, [14 + 60 * (each[0] / most) ** 0.5 for each in some], marker=style.marker, alpha=alpha,
                facecolors="none" if hollow else shade, edgecolors=shade, linewidths=1.2, zorder=3 + (not hollow),
                clip_on=False,
            )  # fmt: skip
    for axis in (axes.xaxis, axes.yaxis):
        marks.in_percent(axis)
    marks.below(axes, "confidence, %")
