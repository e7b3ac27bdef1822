"""How the networks learned: every training thin, the mean of a role thick."""

from __future__ import annotations

from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING, Any

from limbeck.report.page.drawing import Figure, Panel
from limbeck.report.page.facts import Facts
from limbeck.report.page.figures import marks
from limbeck.report.page.theme import ROLES
from limbeck.report.wording import listed, percent, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARGINS = (40, 106, 34, 34)
Lines = dict[str, list[list[tuple[int, float]]]]
"""Of each role the trainings, each with its (epoch, value)."""


def learning_curves(facts: Facts) -> Figure | str:
    """Accuracy and loss by epoch, on the held-out split; without one, accuracy on the training views."""
    held_out = any("holdout_accuracy" in rows[0] for trainings in facts.curves.values() for rows in trainings)
    accuracy = _lines(facts, "holdout_accuracy" if held_out else "accuracy")
    if not accuracy:
        return "No training of this run left its metrics: its networks were trained elsewhere, or that file is gone."
    where = "held-out" if held_out else "training"
    panels = [Panel(f"{where.capitalize()} accuracy, %", partial(_draw, accuracy, True), 400, 270, _MARGINS)]
    loss = _lines(facts, "holdout_nll") if held_out else {}
    if loss:
        panels.append(Panel("Held-out loss (NLL), nats", partial(_draw, loss, False), 400, 270, _MARGINS))
    ends = {role: fmean(line[-1][1] for line in lines) for role, lines in accuracy.items()}
    said = listed([f"{role} {percent(end, 1)} after {_epochs(accuracy[role])}" for role, end in ends.items()])
    caption = (
        "Thin: one training each. Thick: the mean of the seeds. The axes show the second half of training in full."
    )
    if not held_out:
        caption += " No split was held out: this is the accuracy on the augmented training pictures."
    return Figure(
        name="curves",
        title="Learning curves",
        says=f"Lines of {where} accuracy{' and loss' if loss else ''} by epoch. At the end: {said}.",
        caption=caption,
        panels=panels,
        columns=("role", "seed", "training", "epoch", *_METRICS),
        rows=[
            (role, seed, number, row["epoch"], *(row.get(metric) for metric in _METRICS))
            for (role, seed), trainings in facts.curves.items()
            for number, rows in enumerate(trainings, start=1)
            for row in rows
        ],
    )


_METRICS = ("holdout_accuracy", "holdout_nll", "accuracy", "loss")


def _lines(facts: Facts, metric: str) -> Lines:
    lines: Lines = {}
    for role in facts.roles:
        for (whose, _), trainings in facts.curves.items():
            for rows in trainings if whose == role else ():
                points = [(int(row["epoch"]), float(row[metric])) for row in rows if _number(row.get(metric))]
                if points:
                    lines.setdefault(role, []).append(points)
    return lines


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) < 1e9


def _epochs(lines: list[list[tuple[int, float]]]) -> str:
    return plural(max(line[-1][0] for line in lines), "epoch")


def _mean(lines: list[list[tuple[int, float]]]) -> list[tuple[int, float]]:
    by_epoch: dict[int, list[float]] = {}
    for line in lines:
        for epoch, value in line:
            by_epoch.setdefault(epoch, []).append(value)
    return [(epoch, fmean(values)) for epoch, values in sorted(by_epoch.items()) if len(values) == len(lines)]


def _draw(lines: Lines, shares: bool, axes: Axes) -> None:
    late = [value for some in lines.values() for line in some for _, value in line[len(line) // 2 :]]
    every = [value for some in lines.values() for line in some for _, value in line]
    low, high = marks.around(late, 0.0, 1.0 if shares else max(every))
    axes.set_ylim(low, high)
    longest = max(line[-1][0] for some in lines.values() for line in some)
    axes.set_xlim(min(1, longest - 1), longest)
    for role, some in lines.items():
        style = ROLES[role]
        alone = len(some) == 1
        for line in some:
            axes.plot(*zip(*line, strict=True), color=marks.colour(style), lw=0.8, alpha=0.35, zorder=2)
        if middle := _mean(some):
            axes.plot(
                *zip(*middle, strict=True), style.line, color=marks.colour(style), lw=1.6 if alone else 2.2, zorder=3,
                marker=style.marker if len(middle) < 3 else None,
            )  # fmt: skip
    ends = {role: fmean(line[-1][1] for line in some) for role, some in lines.items()}
    said = {role: f"{role} {100 * end:.1f}" if shares else f"{role} {end:.3f}" for role, end in ends.items()}
    marks.ends(axes, ends, said, ROLES)
    if shares:
        marks.in_percent(axes.yaxis)
    marks.below(axes, "epoch")
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
