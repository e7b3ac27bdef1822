"""The help of a command: what it does, and every option with its type, its meaning and its present value."""

from __future__ import annotations

import shutil
import textwrap
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from limbeck.options.arguments import Option, options
from limbeck.spec import Spec

_SHAPES = {int: "INT", float: "FLOAT", str: "TEXT", Path: "PATH", type(None): "none"}
_WIDEST = 100


def manual(head: str, specs: Sequence[Spec]) -> str:
    """The text of a command's help, as wide as the terminal.

    Args:
        head: usage and purpose, shown as it is.
        specs: whose options there are.
    """
    parts, group = [f"{head.rstrip()}\n"], ""
    for spec in specs:
        for option in options(spec):
            if option.group and option.group != group:
                parts.append(f"\n{_wrapped(f'{option.group}: {_about(_at(spec, option.group))}', '')}")
            group = option.group
            parts += [f"  {_usage(option)}", _wrapped(_meaning(option), " " * 6)]
    return "\n".join(parts)


def _usage(option: Option) -> str:
    """How an option is typed: a flag as what would change it."""
    if option.flag:
        above, dot, last = option.typed.removeprefix("--").rpartition(".")
        return f"--{above}{dot}no-{last}" if option.now else option.typed
    return f"{option.typed} {'NAME' if option.candidates else _shape(option)}"


def _shape(option: Option) -> str:
    shapes = []
    for part in option.alternatives():
        inside = typing.get_args(part)
        if typing.get_origin(part) is Literal:
            shapes.append("NAME")
        elif typing.get_origin(part) is tuple:
            shapes.append(f"{_SHAPES.get(_plain(inside[0]), 'VALUE')} ...")
        else:
            shapes.append(_SHAPES.get(part, "VALUE"))
    return "|".join(shapes)


def _plain(annotation: Any) -> Any:
    """The type without what is annotated to it."""
    return typing.get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation


def _meaning(option: Option) -> str:
    said = [option.meaning or _about(option.now)]
    if names := option.names():
        said.append(f"One of: {', '.join(names)}.")
    return " ".join([*said, f"(now: {option.present() or 'empty'})"]).lstrip()


def _about(described: Any) -> str:
    return (type(described).__doc__ or "").partition("\n")[0]


def _at(spec: Any, path: str) -> Any:
    for part in path.split("."):
        spec = getattr(spec, part)
    return spec


def _wrapped(text: str, indent: str) -> str:
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    return textwrap.fill(
        text,
        max(width, len(indent) + 20),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
