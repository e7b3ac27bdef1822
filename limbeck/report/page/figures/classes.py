"""Class by class: from the teacher to the student, and from the student alone to the distilled one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from limbeck.report.page.drawing import Figure, Panel
from limbeck.report.page.facts import Facts
from limbeck.report.page.figures import marks
from limbeck.report.page.theme import LIGHT
from limbeck.report.wording import percent, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 20
_EACH = 10


class Change(NamedTuple):
    """The mean accuracies of one class by two roles, from 0 to 1."""

    name: str
    before: float
    after: float

    @property
    def by(self) -> float:
        return self.after - self.before


def class_changes(facts: Facts) -> Figure | str:
    """Accuracy of each class by two roles, sorted by the change; of many classes, the ends of that list."""
    means = {role: found for role in facts.roles if (found := _means(facts, role))}
    student = facts.student
    pairs = [pair for pair in (("teacher", student), ("alone", "distilled")) if set(pair) <= set(means)]
    pairs = [pair for pair in pairs if pair[0] != pair[1]]
    if not pairs:
        return "It takes two networks whose answers were kept: there is only one kind, or no details."
    changes = {pair: _changes(facts, means[pair[0]], means[str(pair[1])]) for pair in pairs}
    many = max(map(len, changes.values())) > _MOST
    panels = []
    longest = max(len(change.name) for of_pair in changes.values() for change in of_pair)
    left = min(24 + 7 * longest, 150)
    reach = marks.around([each for some in changes.values() for change in some for each in change[1:]])
    for (before, after), of_pair in changes.items():
        shown = [*of_pair[:_EACH], *of_pair[-_EACH:]] if many else of_pair
        height = 84 + 23 * len(shown)
        draw = partial(_draw, shown, before, str(after), _EACH if many else None, reach)
        panels.append(Panel(f"{before} → {after}: accuracy, %", draw, 400, height, (left, 56, 52, 32)))
    said = [f"From {before} to {after}, {_said(of_pair)}" for (before, after), of_pair in changes.items()]
    return Figure(
        name="classes",
        title="Class by class",
        says=". ".join(said) + ".",
        caption="The most lost at the top. Right of each row: the change in points; means over seeds."
        + (f" Of {len(of_pair)} classes the {_EACH} most lost and the {_EACH} most gained." if many else ""),
        panels=panels,
        columns=("from", "to", "class", "accuracy_from", "accuracy_to", "change"),
        rows=[
            (before, after, change.name, change.before, change.after, change.by)
            for (before, after), of_pair in changes.items()
            for change in of_pair
        ],
    )


def _said(changes: list[Change]) -> str:
    """The most that a class loses and gains, and how many gain; ``changes`` are sorted."""
    better = sum(change.by > 0 for change in changes)
    ends = [
        f"the most {what} is {change.name} ({percent(change.before, 1)} to {percent(change.after, 1)})"
        for what, change in (("lost", changes[0]), ("gained", changes[-1]))
        if (change.by < 0 if what == "lost" else change.by > 0)
    ]
    return f"{better or 'none'} of {len(changes)} classes gain{'s' if better < 2 else ''}" + "".join(
        f"; {end}" for end in ends
    )


def _means(facts: Facts, role: str) -> list[float | None]:
    """The accuracy of each class, the mean over seeds; None for a class without pictures."""
    found = [entry["class_accuracy"] for entry in facts.entries(role) if entry.get("class_accuracy")]
    means: list[float | None] = []
    for of_seeds in zip(*found, strict=True):
        known = [value for value in of_seeds if value is not None]
        means.append(sum(known) / len(known) if known else None)
    return means


def _changes(facts: Facts, before: list[float | None], after: list[float | None]) -> list[Change]:
    names = facts.classes or [str(number) for number in range(len(before))]
    found = [
        Change(name, old, new)
        for name, old, new in zip(names, before, after, strict=True)
        if old is not None and new is not None
    ]
    return sorted(found, key=lambda change: change.by)


def _draw(
    changes: list[Change], before: str, after: str, gap: int | None, reach: tuple[float, float], axes: Axes
) -> None:
    marks.rows(axes, [_short(change.name) for change in changes])
    for place, change in enumerate(changes):
        marks.compared(axes, place, {before: change.before, after: change.after})
        axes.annotate(
            signed(100 * change.by, 1), (1, place), (10, 0), ("axes fraction", "data"), "offset points",
            va="center", fontsize=10.5, color=LIGHT["ink"] if abs(change.by) >= 0.005 else LIGHT["muted"],
        )  # fmt: skip
    if gap:
        axes.axhline(gap - 0.5, color=LIGHT["muted"], lw=0.8, ls=(0, (2, 3)))
    axes.set_xlim(*reach)
    marks.in_percent(axes.xaxis)
    marks.legend(axes, (before, after))


def _short(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"
