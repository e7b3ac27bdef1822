"""Runs side by side on one test set: their accuracies, what their teachers were worth, and how far they are apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from limbeck.evaluation.statistics import together
from limbeck.report.page.drawing import Figure, Panel
from limbeck.report.page.figures import marks
from limbeck.report.page.theme import LIGHT, ROLES, Style
from limbeck.report.wording import interval, listed, percent, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARGINS = (34, 20, 40, 36)
_GAIN = Style("ink", "D", "-")
_SHAPES = {"teacher": "squares", "alone": "triangles", "distilled": "dots"}
_DOUBTS = "Thick: the 95 % interval over seeds. Thin: together with the doubt that comes from the test pictures."


class Mark(NamedTuple):
    """A figure of one role of one run, with the halves of its interval over seeds, and of that and the pictures'."""

    run: str
    role: str
    value: float
    half: float | None
    both: float | None = None


def of_runs(results: Mapping[str, Any], dataset: str) -> list[Figure]:
    """The figures of one test set: accuracy and gain of every run, and how far students are from the reference's."""
    return [figure for figure in (_accuracy(results, dataset), _differences(results, dataset)) if figure is not None]


def _accuracy(results: Mapping[str, Any], dataset: str) -> Figure:
    accuracy, runs = results["accuracy"][dataset], list(results["runs"])
    shown = [
        Mark(run, role, estimate["mean"], estimate["ci95"])
        for role in ROLES
        for run, estimate in accuracy.get(role, {}).items()
    ]
    gains = [
        Mark(run, "gain", estimate["mean"], estimate["ci95"], _both(estimate["ci95"], estimate.get("sample_ci95")))
        for run, estimate in accuracy.get("gain", {}).items()
    ]
    there = [run for run in runs if any(mark.run == run for mark in shown)]
    height = _height(len(there))
    panels = [Panel(f"Accuracy on {dataset} test, %", partial(_draw, shown, there, False), 400, height, _MARGINS)]
    if gains:
        panels.append(
            Panel("What the teacher was worth, points", partial(_draw, gains, there, True), 400, height, _MARGINS)
        )
    said = [f"{run}: {listed([_said(mark) for mark in [*shown, *gains] if mark.run == run])}" for run in there]
    key = listed([f"{_SHAPES[role]} for {role}" for role in ROLES if any(mark.role == role for mark in shown)])
    return Figure(
        name=f"accuracy-{dataset}",
        title=f"Accuracy and gain of every run on {dataset}",
        says=f"{'. '.join(said)}.",
        caption=f"Means: {key}. {_DOUBTS if gains else 'Lines: 95 % intervals over seeds.'}",
        panels=panels,
        columns=("run", "role", "value", "ci95", "ci95_with_pictures"),
        rows=[tuple(mark) for mark in [*shown, *gains]],
    )


def _differences(results: Mapping[str, Any], dataset: str) -> Figure | None:
    there = [each for each in results["differences"] if each["dataset"] == dataset]
    shown = [
        Mark(each["run"], each["role"], each["mean"], each["ci95"], _both(each["ci95"], each["sample_ci95"]))
        for role in ("distilled", "alone")
        for each in there
        if each["role"] == role
    ]
    if not shown:
        return None
    first, runs = results["reference"], list(dict.fromkeys(each["run"] for each in there))
    roles = list(dict.fromkeys(mark.role for mark in shown))
    said = [f"{run}: {listed([_said(mark, True) for mark in shown if mark.run == run])}" for run in runs]
    return Figure(
        name=f"differences-{dataset}",
        title=f"Differences from {first} on {dataset}",
        says=f"Points of accuracy over {first}. {'. '.join(said)}.",
        caption=f"Right of the line a run is better than {first}. {_DOUBTS} Not corrected for their number.",
        panels=[
            Panel(
                f"{role.capitalize()}, points over {first}",
                partial(_draw, [mark for mark in shown if mark.role == role], runs, True),
                *(400, _height(len(runs)), _MARGINS),
            )
            for role in roles
        ],
        columns=("run", "role", "difference", "ci95", "ci95_with_pictures"),
        rows=[tuple(mark) for mark in shown],
    )


def _both(half: float | None, sample: float | None) -> float | None:
    return None if half is None and sample is None else together(half, sample)


def _height(rows: int) -> int:
    return 84 + 42 * max(rows, 2)


def _said(mark: Mark, difference: bool = False) -> str:
    points = difference or mark.role == "gain"
    value = f"{signed(100 * mark.value)} points" if points else percent(mark.value)
    return f"{mark.role} {value} {interval({'ci95': mark.half})}".rstrip()


def _draw(shown: Sequence[Mark], runs: Sequence[str], from_zero: bool, axes: Axes) -> None:
    """A row for each run; several roles in a row are set apart."""
    marks.rows(axes, runs)
    roles = list(dict.fromkeys(mark.role for mark in shown))
    reach = [0.0] if from_zero else []
    if from_zero:
        axes.axvline(0, color=LIGHT["muted"], lw=1, zorder=1)
    for mark in shown:
        place = runs.index(mark.run) + 0.24 * (roles.index(mark.role) - (len(roles) - 1) / 2)
        style = ROLES.get(mark.role, _GAIN)
        if mark.both is not None:
            axes.errorbar(
                [mark.value], [place], xerr=mark.both, fmt="none", color=marks.colour(style), elinewidth=0.9, zorder=3
            )
        marks.mean(axes, mark.value, place, style, mark.half)
        half = mark.both or mark.half or 0
        reach += [mark.value - half, mark.value + half]
    axes.set_xlim(*marks.around(reach, -1 if from_zero else 0, 1, share=0.06))
    marks.in_percent(axes.xaxis)
