"""From a template and what it needs to one HTML file that needs nothing else."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck import files
from limbeck.report.page.theme import DARK, LIGHT, ROLES

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


def render(template: str, **known: Any) -> str:
    """Fills a template; every text is escaped.

    Args:
        template: its file's name; one that extends base.html.
        known: what it uses, and for base.html and its macros ``sections`` [(id, title)], ``figures`` {name: Drawn, or
            why there is none} and ``file``, how the names of what is saved from the page begin.
    """
    return _environment().get_template(template).render(light=LIGHT, dark=DARK, roles=ROLES, **known)


def publish(path: Path, page: str) -> None:
    """Writes a page, atomically."""
    files.write_bytes(path, page.encode())


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("limbeck.report.page", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["coded"] = _coded
    return environment


def _coded(text: str) -> Markup:
    """A text in which what stands between backticks is code."""
    from markupsafe import Markup, escape

    pieces = str(text).split("`")
    if len(pieces) % 2 == 0:
        return Markup(escape(text))
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if number % 2 else escape(piece) for number, piece in enumerate(pieces)
    )
