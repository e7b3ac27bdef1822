"""A recipe's fields as options of the command line.

Where a field may be one of several descriptions (an objective, an optimizer, a policy), its name is resolved first:
`--objective kd --objective.temperature 2`. Help and errors then speak of that one alone.
"""

from __future__ import annotations

import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from limbeck.errors import unknown
from limbeck.recipes import Recipe, Weights
from limbeck.spec import Spec


class RunOptions(Spec):
    """Options of `limbeck run` that are no part of the recipe.

    Attributes:
        out, fresh, dry_run, quiet: as their help says.
    """

    out: Annotated[Path | None, tyro.conf.arg(help="The run folder; by default runs/<recipe>-<hash>.")] = None
    fresh: Annotated[bool, tyro.conf.arg(help="Throw away what the folder has and start over.")] = False
    dry_run: Annotated[bool, tyro.conf.arg(help="Tell the time and the disk that the run would take, and stop.")] = False
    quiet: Annotated[bool, tyro.conf.arg(help="Show nothing but the result.")] = False


def parse(recipe: Recipe, words: Sequence[str], program: str) -> tuple[Recipe, RunOptions]:
    """The recipe with the options of a command line applied.

    Args:
        recipe: whose fields are the defaults.
        words: what was typed after the recipe's name.
        program: what help calls the command.

    Raises:
        LimbeckError: an impossible value, or a name that does not exist.
        SystemExit: help was asked for (0), or an option does not exist or cannot be read (2).
    """
    recipe, rest = _choose(recipe, words)

    def command(recipe: Annotated[Recipe, tyro.conf.arg(name="")] = recipe, run: Annotated[RunOptions, tyro.conf.arg(name="")] = RunOptions()) -> tuple[Recipe, RunOptions]:  # fmt: skip  # noqa: B008
        return recipe, run

    config = (tyro.conf.AvoidSubcommands, tyro.conf.FlagCreatePairsOff)
    first_line = (type(recipe).__doc__ or "").splitlines()[0]
    return tyro.cli(command, args=rest, prog=program, description=first_line, config=config)


def _choose(recipe: Recipe, words: Sequence[str]) -> tuple[Recipe, list[str]]:
    """Applies every `--path NAME` that chooses among descriptions; returns the words that are left."""
    rest: list[str] = []
    chosen: dict[str, Spec | None] = {}
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        path, equals, value = word.removeprefix("--").partition("=")
        path = path.replace("-", "_")
        candidates = _candidates(recipe, path.split(".")) if word.startswith("--") else {}
        if not candidates or not (equals or waiting):
            rest.append(word)
            continue
        chosen[path] = _named(path, value if equals else waiting.pop(0), candidates)
    return _changed(recipe, chosen), rest


def _candidates(spec: Spec, path: Sequence[str]) -> dict[str, type[Spec] | None]:
    """The descriptions that a field may be, by name; empty where it is not that kind of field."""
    for part in path[:-1]:
        spec = getattr(spec, part, None)  # type: ignore[assignment]
        if not isinstance(spec, Spec):
            return {}
    field = type(spec).model_fields.get(path[-1])
    if field is None:
        return {}
    kinds = _kinds(field.annotation)
    named: dict[str, type[Spec] | None] = {
        kind.model_fields["name"].default: kind for kind in kinds if issubclass(kind, Spec) and "name" in kind.model_fields
    }
    return {**named, "none": None} if named and type(None) in kinds else named


def _kinds(annotation: Any) -> list[type]:
    """The types that an annotation allows, with unions inside unions opened."""
    if isinstance(annotation, type):
        return [annotation]
    parts = typing.get_args(annotation)
    if typing.get_origin(annotation) is Annotated:
        parts = parts[:1]
    return [kind for part in parts if part is not Ellipsis for kind in _kinds(part)]


def _named(path: str, name: str, candidates: dict[str, type[Spec] | None]) -> Spec | None:
    if Weights in candidates.values() and name.endswith(".safetensors"):
        return Weights(path=Path(name))
    known = ["FILE.safetensors" if kind is Weights else known for known, kind in candidates.items()]
    if name not in known:
        raise unknown(path, name, known)
    kind = candidates[name]
    return kind() if kind else None


def _changed(spec: Any, changes: dict[str, Any]) -> Any:
    """A copy of ``spec`` with the dotted paths changed, each description validated once."""
    if not changes:
        return spec
    here = {path: value for path, value in changes.items() if "." not in path}
    for field in {path.partition(".")[0] for path in changes if "." in path}:
        below = {path.partition(".")[2]: value for path, value in changes.items() if path.startswith(f"{field}.")}
        here[field] = _changed(here.get(field, getattr(spec, field)), below)
    return spec.with_(**here)
