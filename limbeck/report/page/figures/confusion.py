"""What is taken for what: confusion matrices, and of many classes the confusions that happen most often."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from limbeck.report.page.drawing import Figure, Panel
from limbeck.report.page.facts import Facts
from limbeck.report.page.figures import marks
from limbeck.report.page.theme import LIGHT, ROLES
from limbeck.report.wording import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 20
_SHOWN = 16
Matrices = dict[str, np.ndarray]
"""By role: (C, C), the share of the pictures of each label (row) that got each answer, over all seeds."""


def confusions(facts: Facts) -> Figure | str:
    """A matrix for the teacher and one for the student; of more than 20 classes, a list of the commonest confusions."""
    counts = {role: found for role in facts.roles if (found := _counts(facts, role)) is not None}
    if not counts or not facts.classes:
        return "The run has no details of its networks' answers, which these are counted from."
    shares = {role: _shares(each) for role, each in counts.items()}
    names = facts.classes
    shown = [role for role in ("teacher", facts.student) if role in shares] or list(shares)[:1]
    worst = {role: most for role in shown if (most := _worst(shares[role], names, 3))}
    said = "; ".join(
        f"the {role}{' student' if role != 'teacher' else ''}, "
        + ", ".join(f"{label} for {answer} ({percent(share, 1)})" for label, answer, share in most)
        for role, most in worst.items()
    )
    if len(names) > _MOST:
        panels = [_list(shares, names)]
        caption = (
            f"The {_SHOWN} confusions that happen most often, in % of the pictures of a class. The whole matrices are "
            "in the CSV."
        )
    else:
        panels = [_matrix_panel(role, shares, names) for role in shown]
        caption = (
            "A row is a class, a column what it is taken for; a dot is less than 1 %. Mistakes are shaded by how often "
            "they happen; what is right is grey."
        )
    return Figure(
        name="confusion",
        title="Confusions",
        says=f"What is most often taken for what, in % of a class: {said}." if said else "No network makes a mistake.",
        caption=caption + (" All seeds together." if any(len(facts.seeds(role)) > 1 for role in shares) else ""),
        panels=panels,
        columns=("role", "label", "answer", "pictures", "share"),
        rows=[
            (role, names[row], names[column], int(counts[role][row, column]), float(shares[role][row, column]))
            for role in counts
            for row, column in zip(*np.nonzero(counts[role]), strict=True)
        ],
    )


def _counts(facts: Facts, role: str) -> np.ndarray | None:
    found = [entry["confusion"] for entry in facts.entries(role) if entry.get("confusion")]
    return np.sum(found, axis=0) if found else None


def _shares(counts: np.ndarray) -> np.ndarray:
    return np.asarray(counts / np.maximum(counts.sum(1, keepdims=True), 1))


def _worst(shares: np.ndarray, names: list[str], number: int) -> list[tuple[str, str, float]]:
    wrong = shares * (1 - np.eye(len(shares)))
    order = np.argsort(-wrong, axis=None, kind="stable")[:number]
    places = [divmod(int(place), len(shares)) for place in order]
    return [(names[row], names[column], wrong[row, column]) for row, column in places if wrong[row, column] > 0]


def _matrix_panel(role: str, shares: Matrices, names: list[str]) -> Panel:
    longest = max(map(len, names))
    left = min(18 + 7 * longest, 96)
    below, side = 30 if longest <= 3 else left - 10, 30 * len(names)
    draw = partial(_matrix, shares[role], names, shares, ROLES[role].colour)
    title = f"{role}: answers, % of each class"
    return Panel(title, draw, max(left + side + 14, 260), 40 + side + below, (left, 14, 40, below))


def _matrix(shares: np.ndarray, names: list[str], all_shares: Matrices, colour: str, axes: Axes) -> None:
    from matplotlib.patches import Rectangle

    size = len(names)
    most = max(float((each * (1 - np.eye(size))).max()) for each in all_shares.values()) or 1
    for row in range(size):
        for column in range(size):
            share = float(shares[row, column])
            if row == column:
                shade, tone = LIGHT["muted"], 0.06 + 0.16 * share
            else:
                shade, tone = LIGHT[colour], 0.75 * (share / most) ** 0.7
            if tone > 0.01:
                axes.add_patch(
                    Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, facecolor=shade, alpha=tone, edgecolor="none")
                )
            if share >= 0.0005:
                text = f"{100 * share:.0f}" if share >= 0.0095 else "·"
                axes.text(column, row, text, ha="center", va="center", fontsize=10)
    axes.set_xlim(-0.5, size - 0.5)
    axes.set_ylim(size - 0.5, -0.5)
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    axes.set_yticks(range(size), names)
    slanted = max(map(len, names)) > 3
    axes.set_xticks(
        range(size), names, rotation=45 if slanted else 0, ha="right" if slanted else "center", rotation_mode="anchor"
    )
    axes.tick_params(length=0)


def _list(shares: Matrices, names: list[str]) -> Panel:
    """The commonest confusions, each by every role."""
    wrong = {role: each * (1 - np.eye(len(names))) for role, each in shares.items()}
    order = np.argsort(-np.max(list(wrong.values()), axis=0), axis=None, kind="stable")[:_SHOWN]
    places = [divmod(int(place), len(names)) for place in order]
    labels = [f"{names[row]} → {names[column]}" for row, column in places]

    def draw(axes: Axes) -> None:
        marks.rows(axes, labels)
        for line, place in enumerate(places):
            marks.compared(axes, line, {role: float(each[place]) for role, each in wrong.items()})
        axes.set_xlim(left=-0.02 * max(float(each[place]) for each in wrong.values() for place in places))
        marks.in_percent(axes.xaxis)
        marks.legend(axes, list(wrong))

    left = min(24 + 6 * max(map(len, labels)), 230)
    return Panel("The commonest confusions, % of a class", draw, 560, 84 + 23 * len(labels), (left, 20, 52, 32))
