"""From what is to be drawn to SVG and PNG, and its data to CSV: each panel is drawn once, for the page and the files.

A figure is one or more panels. The page puts them side by side where there is room and below each other on a phone, so
that their text keeps its size; the files have them in a row.
"""

from __future__ import annotations

import base64
import csv
import io
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

from limbeck import files
from limbeck.report.page.theme import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_FONT = "-apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text, in the reader's own font
    "svg.hashsalt": "limbeck",
    "path.simplify": True,
    "font.family": ["DejaVu Sans"],  # comes with matplotlib: the same widths everywhere
    "font.size": 12,
    "text.color": LIGHT["ink"],
    "axes.edgecolor": LIGHT["rule"],
    "axes.labelcolor": LIGHT["muted"],
    "axes.facecolor": "none",
    "figure.facecolor": LIGHT["paper"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "text.parse_math": False,  # a class may be called $x$
    "grid.color": LIGHT["rule"],
    "grid.linewidth": 0.8,
    "xtick.color": LIGHT["rule"],
    "ytick.color": LIGHT["rule"],
    "xtick.labelcolor": LIGHT["muted"],
    "ytick.labelcolor": LIGHT["muted"],
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "lines.solid_capstyle": "round",
    "lines.dash_capstyle": "round",
}
_PNG_DPI = 144  # two pixels a unit


class Panel(NamedTuple):
    """One set of axes.

    Attributes:
        title: above it, in a few words with the unit.
        draw: draws on the axes.
        width, height: in pixels at full size.
        margins: around the axes in pixels: left, right, above, below.
    """

    title: str
    draw: Callable[[Axes], None]
    width: int = 400
    height: int = 270
    margins: tuple[int, int, int, int] = (44, 14, 34, 30)


class Figure(NamedTuple):
    """What is drawn, said and written of one thing.

    Attributes:
        name: of its files.
        title: what it is.
        says: what it shows, with figures, for whoever does not see it.
        caption: what has to be known to read it; may be empty.
        panels: at least one.
        columns, rows: its data, all that is drawn.
    """

    name: str
    title: str
    says: str
    caption: str
    panels: Sequence[Panel]
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def csv(self) -> bytes:
        """The data, fractions rounded to six places; what is not there is left empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([round(cell, 6) if isinstance(cell, float) else cell for cell in row] for row in self.rows)
        return text.getvalue().encode()


class Drawn(NamedTuple):
    """A figure as the page has it.

    Attributes:
        figure: what was drawn.
        panels: an SVG each, whose colours are the style sheet's.
        csv: a data: address of the data.
    """

    figure: Figure
    panels: Sequence[str]
    csv: str


def draw(figures: Iterable[Figure], folder: Path) -> dict[str, Drawn]:
    """Draws figures and writes NAME.svg, NAME.png and NAME.csv of each; equal figures make equal bytes.

    Args:
        figures: of different names.
        folder: where the files go; made where it is not there.
    """
    import matplotlib as mpl

    drawn = {}
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # in the PNG alone; the page has the reader's fonts
        mpl.rcdefaults()  # whatever the user's own style is
        mpl.rcParams.update(_SETTINGS)
        for figure in figures:
            canvases = [_canvas(panel) for panel in figure.panels]
            svgs = [_svg(canvas, f"{figure.name}{number}-") for number, canvas in enumerate(canvases)]
            files.write_bytes(folder / f"{figure.name}.svg", _row(figure, svgs).encode())
            files.write_bytes(folder / f"{figure.name}.png", _png(canvases))
            files.write_bytes(folder / f"{figure.name}.csv", figure.csv())
            sheet = base64.b64encode(figure.csv()).decode()
            drawn[figure.name] = Drawn(figure, [_themed(svg) for svg in svgs], f"data:text/csv;base64,{sheet}")
    return drawn


def _canvas(panel: Panel) -> Canvas:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    width, height, (left, right, above, below) = panel.width, panel.height, panel.margins
    canvas = Canvas(figsize=(width / 72, height / 72), dpi=_PNG_DPI)
    FigureCanvasAgg(canvas)
    box = (left / width, below / height, (width - left - right) / width, (height - above - below) / height)
    axes = canvas.add_axes(box)
    canvas.text(2 / width, 1 - 6 / height, panel.title, va="top", ha="left", fontsize=12.5, fontweight="bold")
    panel.draw(axes)
    return canvas


def _svg(canvas: Canvas, names: str) -> str:
    """One panel as an <svg>, in the light colours, without what only a file of its own needs; its names begin so."""
    stream = io.StringIO()
    canvas.savefig(
        stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>\s*", "", text, flags=re.DOTALL)
    used = set(re.findall(r"(?:#|url\(#)([\w-]+)", text))

    def mended(tag: str) -> str:
        tag = re.sub(r' id="([\w-]+)"', lambda found: f' id="{names}{found[1]}"' if found[1] in used else "", tag)
        tag = re.sub(r'(url\(#|href="#)', rf"\1{names}", tag)
        tag = re.sub(r"(\d+\.\d{2})\d+", r"\1", tag)
        return re.sub(r"font-family: [^;\"]*; ?", "", re.sub(r"font: (\w+ )?([\d.]+)px [^;\"]*", _font, tag))

    head = re.search(r'viewBox="([^"]*)"', text)
    assert head is not None
    body = _in_tags(text[text.index(">") + 1 :], mended)
    return f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="{_XLINK}" viewBox="{head[1]}">{body}'.strip()


_XLINK = "http://www.w3.org/1999/xlink"


def _in_tags(svg: str, mended: Callable[[str], str]) -> str:
    """An SVG with its tags changed, but not a letter of what stands between them."""
    return re.sub(r"<[^>]*>", lambda found: mended(found[0]), svg)


def _font(found: re.Match[str]) -> str:
    return f"font-size: {found[2]}px" + ("; font-weight: 600" if found[1] else "")


def _row(figure: Figure, svgs: Sequence[str]) -> str:
    """The panels side by side as a file of its own."""
    widths, height = [panel.width for panel in figure.panels], max(panel.height for panel in figure.panels)
    placed = [
        svg.replace("<svg ", f'<svg x="{sum(widths[:number])}" width="{panel.width}" height="{panel.height}" ', 1)
        for number, (panel, svg) in enumerate(zip(figure.panels, svgs, strict=True))
    ]
    size = f'width="{sum(widths)}" height="{height}" viewBox="0 0 {sum(widths)} {height}"'
    paper = f'<rect width="100%" height="100%" fill="{LIGHT["paper"]}"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="{_XLINK}" {size} font-family="{_FONT}" role="img">'
        f"<title>{_escaped(figure.title)}</title><desc>{_escaped(figure.says)}</desc>{paper}{''.join(placed)}</svg>\n"
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _png(canvases: Sequence[Canvas]) -> bytes:
    """The panels side by side."""
    pictures = []
    for canvas in canvases:
        stream = io.BytesIO()
        canvas.savefig(stream, format="png", metadata={"Software": None})
        pictures.append(Image.open(stream).convert("RGB"))
    size = sum(picture.width for picture in pictures), max(picture.height for picture in pictures)
    whole = Image.new("RGB", size, LIGHT["paper"])
    left = 0
    for picture in pictures:
        whole.paste(picture, (left, 0))
        left += picture.width
    stream = io.BytesIO()
    whole.save(stream, format="png")
    return stream.getvalue()


def _themed(svg: str) -> str:
    """The same with the style sheet's variables for colours, hidden from screen readers: its text alternative stands
    beside it."""
    names = {colour: name for name, colour in LIGHT.items()}

    def mended(tag: str) -> str:
        return re.sub(r"#[0-9a-f]{6}\b", lambda c: f"var(--{names[c[0]]})" if c[0] in names else c[0], tag)

    text = _in_tags(svg, mended)
    text = text.replace(f' xmlns="http://www.w3.org/2000/svg" xmlns:xlink="{_XLINK}"', "", 1)
    return text.replace("<svg ", '<svg aria-hidden="true" ', 1)
