"""The teacher's answer to one picture, softened by a temperature."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from limbeck.report.page.drawing import Figure, Panel
from limbeck.report.page.examples import TEMPERATURES, Softened
from limbeck.report.page.figures import marks
from limbeck.report.page.theme import LIGHT, ROLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def softened_answers(found: Sequence[Softened] | str) -> Figure | str:
    """The first picture's probabilities at T = 1, 5, 10, 20 and 35, a panel each."""
    if isinstance(found, str):
        return found
    first = found[0]
    probabilities = {temperature: first.at(temperature) for temperature in TEMPERATURES}
    said = "; ".join(f"T = {temperature}: {max(row) * 100:.1f} %" for temperature, row in probabilities.items())
    top = first.names[0]
    return Figure(
        name="softened",
        title="The teacher's answer, softened",
        says=f"The teacher's probability of {top}, its first answer to a picture of {first.label}: {said}.",
        caption="",
        panels=[
            Panel(
                f"T = {temperature}",
                partial(_draw, first.names, row, first.label),
                220,
                70 + 22 * len(first.names),
                (76, 40, 34, 24),
            )
            for temperature, row in probabilities.items()
        ],
        columns=("picture", "label", "temperature", "class", "probability"),
        rows=[
            (each.place, each.label, temperature, name, probability)
            for each in found
            for temperature in TEMPERATURES
            for name, probability in zip(each.names, each.at(temperature), strict=True)
        ],
    )


def _draw(names: Sequence[str], probabilities: Sequence[float], label: str, axes: Axes) -> None:
    marks.rows(axes, [name if len(name) < 11 else f"{name[:10]}…" for name in names])
    shade = marks.colour(ROLES["teacher"])
    axes.barh(
        range(len(names)),
        probabilities,
        height=0.7,
        color=[shade if name == label else LIGHT["muted"] for name in names],
    )
    for place, probability in enumerate(probabilities):
        axes.annotate(
            f"{100 * probability:.1f}",
            (probability, place),
            (3, 0),
            textcoords="offset points",
            va="center",
            fontsize=9.5,
        )
    axes.set_xlim(0, 1)
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
