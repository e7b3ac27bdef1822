"""What the docstrings of descriptions do not say, since their fields say it: names, kinds, defaults, meanings."""

from __future__ import annotations

import re
from typing import Any

from pydantic_core import PydanticUndefined
from sphinx.application import Sphinx

from limbeck.spec import Spec


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", fields, priority=400)  # before napoleon reads the sections
    app.connect("autodoc-process-signature", signature)
    app.connect("autodoc-skip-member", without_words)
    return {"parallel_read_safe": True}


def fields(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Adds the fields of a description to its docstring, as arguments."""
    if not _described(what, thing):
        return
    said = [
        f"    {field} ({_kind(info.annotation)}): {info.description or ''}{_default(info)}".rstrip()
        for field, info in thing.model_fields.items()
        if info.description or isinstance(info.default, Spec)
    ]
    if said:
        lines += ["", "Args:", *said, ""]


def signature(app: Sphinx, what: str, name: str, thing: Any, *rest: Any) -> tuple[str, None] | None:
    """A description's arguments stand below it."""
    return ("", None) if _described(what, thing) else None


def without_words(app: Sphinx, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """Leaves out the fields of named tuples, which their class describes, and what is pydantic's."""
    theirs = (getattr(thing, "__doc__", None) or "").startswith("Alias for field number") or name == "model_config"
    return True if theirs else None


def _described(what: str, thing: Any) -> bool:
    return what == "class" and isinstance(thing, type) and issubclass(thing, Spec)


def _kind(annotation: Any) -> str:
    """A type in short, without its modules."""
    return re.sub(r"\b(?:\w+\.)+", "", annotation.__name__ if isinstance(annotation, type) else str(annotation))


def _default(info: Any) -> str:
    hidden = info.default in (PydanticUndefined, None, ()) or isinstance(info.default, Spec)
    return "" if hidden else f" Default: ``{info.default!r}``."
