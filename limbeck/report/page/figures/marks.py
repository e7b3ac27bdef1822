"""What several figures draw alike: dots, means with their intervals, labels at the ends of lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from limbeck.report.page.theme import LIGHT, ROLES, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def colour(style: Style) -> str:
    """What matplotlib calls a style's colour."""
    return LIGHT[style.colour]


def dots(axes: Axes, x: Sequence[float], y: Sequence[float], style: Style) -> None:
    """Single values, quietly."""
    axes.plot(x, y, style.marker, color=colour(style), ms=6, alpha=0.45, mec="none", zorder=3)


def mean(
    axes: Axes, x: float, y: float, style: Style, x_half: float | None = None, y_half: float | None = None
) -> None:
    """A mean, with the halves of its intervals where there are any."""
    axes.errorbar(
        *([x], [y]), xerr=x_half, yerr=y_half, fmt=style.marker, color=colour(style), ms=9,
        mec=LIGHT["paper"], mew=1.2, elinewidth=2, capsize=0, zorder=4,
    )  # fmt: skip


def apart(values: Mapping[str, float], gap: float) -> dict[str, float]:
    """Places near the values, at least ``gap`` from each other, in their order."""
    order = sorted(values, key=lambda name: values[name])
    places = [values[name] for name in order]
    for _ in range(200):
        moved = False
        for low in range(len(places) - 1):
            lacking = gap - (places[low + 1] - places[low])
            if lacking > 1e-9 * gap:
                places[low] -= lacking / 2
                places[low + 1] += lacking / 2
                moved = True
        if not moved:
            break
    return dict(zip(order, places, strict=True))


def ends(axes: Axes, values: Mapping[str, float], said: Mapping[str, str], styles: Mapping[str, Style]) -> None:
    """Labels beside the right end of lines: the mark, and what is said of it, none above another.

    Args:
        values: where each line ends, in the data of the axes, whose limits have been set.
        said: the label of each.
        styles: of each.
    """
    low, high = axes.get_ylim()
    height = size(axes)[1]
    places = apart(values, 15 / height * abs(high - low))
    where = axes.get_yaxis_transform()
    for name, place in places.items():
        axes.plot(1.04, place, styles[name].marker, color=colour(styles[name]), ms=6, transform=where, clip_on=False)
        axes.text(1.075, place, said[name], transform=where, va="center", fontsize=10.5)


def size(axes: Axes) -> tuple[float, float]:
    """The width and height of axes in pixels of the panel."""
    canvas, box = axes.get_figure(root=True), axes.get_position()
    assert canvas is not None
    width, height = canvas.get_size_inches()
    return 72 * box.width * width, 72 * box.height * height


def rows(axes: Axes, names: Sequence[str], left: int = -6) -> None:
    """A row for each name, the first at the top, on axes whose values run along x."""
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), [""] * len(names))
    for place, name in enumerate(names):
        axes.annotate(name, (0, place), (left, 0), ("axes fraction", "data"), "offset points", va="center", ha="right")
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")


def compared(axes: Axes, place: float, values: Mapping[str, float]) -> None:
    """The values of roles in one row, joined by a line; the last stands in front."""
    axes.plot([min(values.values()), max(values.values())], [place] * 2, color=LIGHT["muted"], lw=1.3, alpha=0.55)
    for role, value in values.items():
        style = ROLES[role]
        axes.plot(value, place, style.marker, color=colour(style), ms=7, mec=LIGHT["paper"], zorder=3)


def legend(axes: Axes, roles: Sequence[str]) -> None:
    """What the marks are, above the axes at the left."""
    left, (width, height) = 0.0, size(axes)
    for role in roles:
        style, place = ROLES[role], 1 + 9 / height
        above: dict[str, Any] = {"transform": axes.transAxes, "clip_on": False}
        axes.plot(left + 5 / width, place, style.marker, color=colour(style), ms=6.5, **above)
        axes.text(left + 13 / width, place, role, va="center", fontsize=10.5, **above)
        left += (34 + 6.2 * len(role)) / width


def below(axes: Axes, text: str) -> None:
    """What the x axis is, at its right end."""
    axes.set_xlabel(text, loc="right", fontsize=10.5, labelpad=2)


def in_percent(axis: Any) -> None:
    """Ticks of shares as percent."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))


def _short(value: float) -> str:
    return f"{100 * value:.10g}".replace("-", "−") if abs(value) > 1e-9 else "0"


def around(values: Sequence[float], least: float = 0.0, most: float = 1.0, share: float = 0.08) -> tuple[float, float]:
    """Limits that hold the values with some air, within ``least`` and ``most`` and theirs."""
    low, high = min(values), max(values)
    air = share * (high - low) or 0.02
    return max(low - air, least - 0.01), min(high + air, most + 0.01)
