"""Colours and marks, the same in every figure and on the page: safe for the colour-blind, and never colour alone.

The roles have the blue, vermillion and bluish green of Okabe and Ito (Color Universal Design, 2008), each with a mark
and a kind of line of its own. A figure is drawn in the light colours; on the page each of them is the style sheet's
variable of that name, which is another in the dark.
"""

from __future__ import annotations

from typing import NamedTuple


class Style(NamedTuple):
    """How something is drawn: the name of its colour, its mark and its line, as matplotlib calls them."""

    colour: str
    marker: str
    line: str

    @property
    def mark(self) -> str:
        """The mark as an SVG path in a square of 10."""
        return MARKS[self.marker]


MARKS = {
    "s": "M1 1h8v8h-8z",
    "^": "M5 .6 9.6 9.2H.4z",
    "o": "M5 .6a4.4 4.4 0 1 0 .01 0z",
    "D": "M5 0 10 5 5 10 0 5z",
    "v": "M5 9.4 9.6.8H.4z",
    "P": "M3.3.4h3.4v2.9h2.9v3.4H6.7v2.9H3.3V6.7H.4V3.3h2.9z",
}

ROLES = {
    "teacher": Style("teacher", "s", "--"),
    "alone": Style("alone", "^", ":"),
    "distilled": Style("distilled", "o", "-"),
}
OTHERS = tuple(
    Style(f"other{number}", marker, line)
    for number, (marker, line) in enumerate(zip("o^sDvP", ("-", "--", ":", "-.", "-", "--"), strict=True))
)
"""For what has no role: runs side by side, say. More than there are begin again."""

LIGHT = {
    "ink": "#1b1f24",
    "muted": "#59636e",
    "rule": "#dde2e8",
    "paper": "#ffffff",
    "teacher": "#0072b2",
    "alone": "#d55e00",
    "distilled": "#009e73",
    "other0": "#0072b3",
    "other1": "#d55e01",
    "other2": "#009e74",
    "other3": "#cc79a7",
    "other4": "#b98100",
    "other5": "#3d7ea6",
}
"""Each is another, if only by a shade nobody sees: that is how a variable is known by its colour."""

DARK = {
    "ink": "#e6e9ec",
    "muted": "#9ba6b2",
    "rule": "#333a42",
    "paper": "#14171a",
    "teacher": "#56b4e9",
    "alone": "#e8923a",
    "distilled": "#2fc79a",
    "other0": "#56b4e9",
    "other1": "#e8923a",
    "other2": "#2fc79a",
    "other3": "#e0a3c6",
    "other4": "#e6c14a",
    "other5": "#8fbfdc",
}
