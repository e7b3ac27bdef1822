"""A recipe's fields as options of the command line.

Where a field may be one of several descriptions (an objective, an optimizer, a policy), its name is resolved first:
`--objective kd --objective.temperature 2`. Help and errors then speak of that one alone.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from limbeck.errors import LimbeckError, unknown
from limbeck.recipes import Recipe, Weights
from limbeck.spec import Family, Spec
from limbeck.training import Device

Candidates = dict[str, type[Spec] | None]


class RunOptions(Spec):
    """Options of `limbeck run` that are no part of the recipe.

    Attributes:
        out, fresh, dry_run, quiet: as their help says.
    """

    out: Annotated[Path | None, tyro.conf.arg(help="The run folder; by default runs/<recipe>-<hash>.")] = None
    fresh: Annotated[bool, tyro.conf.arg(help="Throw away what the folder has and start over.")] = False
    dry_run: Annotated[bool, tyro.conf.arg(help="Tell the time and the disk a run would take, and stop.")] = False
    quiet: Annotated[bool, tyro.conf.arg(help="Show nothing but the result.")] = False


class EvaluateOptions(Spec):
    """Judges what is already trained: all the networks of a run, or the one of a weights file.

    Attributes:
        path, data, split, figures, device, quiet: as their help says.
    """

    path: Annotated[
        Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN|FILE", help="A run's folder, or a weights.safetensors.")
    ]
    data: Annotated[
        tuple[str, ...], tyro.conf.arg(help="Data sets; by default the run's, or what the file's network learned.")
    ] = ()
    split: Annotated[Literal["test", "train"], tyro.conf.arg(help="Split of each data set.")] = "test"
    figures: Annotated[
        Path | None, tyro.conf.arg(name="json", help="Also write every figure to this file; keys as in results.json.")
    ] = None
    device: Device = Device()
    quiet: Annotated[bool, tyro.conf.arg(help="Show nothing but the result.")] = False


def parse_evaluate(words: Sequence[str]) -> EvaluateOptions:
    """The options of `limbeck evaluate`.

    Raises:
        SystemExit: help was asked for (0), or an option does not exist or cannot be read (2).
    """
    config = (tyro.conf.FlagCreatePairsOff,)
    return tyro.cli(EvaluateOptions, args=words, prog="limbeck evaluate", config=config, registry=_registry)


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

    def command(
        recipe: Annotated[Recipe, tyro.conf.arg(name="")] = recipe,
        run: Annotated[RunOptions, tyro.conf.arg(name="")] = RunOptions(),  # noqa: B008
    ) -> tuple[Recipe, RunOptions]:
        return recipe, run

    config = (tyro.conf.AvoidSubcommands, tyro.conf.FlagCreatePairsOff)
    return tyro.cli(
        command, args=rest, prog=program, description=_description(recipe), config=config, registry=_registry
    )


_registry = tyro.constructors.ConstructorRegistry()


@_registry.primitive_rule
def _none(info: tyro.constructors.PrimitiveTypeInfo) -> tyro.constructors.PrimitiveConstructorSpec | None:
    """Nothing is typed "none", as it is in the descriptions' own help."""
    if info.type is not type(None):
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="none",
        choices=("none", "None"),
        instance_from_str=lambda words: None,
        is_instance=lambda value: value is None,
        str_from_instance=lambda value: ["none"],
    )


def _description(recipe: Recipe) -> str:
    """The head of the help: what a recipe is, and the options that are not among tyro's."""
    summary = (type(recipe).__doc__ or "").partition("\n")[0]
    return "\n".join([summary, "", "Options that choose by name:", *_choices(recipe)])


def _choices(spec: Spec, above: str = "") -> Iterator[str]:
    for field in type(spec).model_fields:
        path, value = f"{above}{field}", getattr(spec, field)
        if names := _names(_candidates(spec, {}, field)):
            yield f"  --{path.replace('_', '-')} {{{','.join(names)}}}"
        if isinstance(value, Spec):
            yield from _choices(value, f"{path}.")


def _choose(recipe: Recipe, words: Sequence[str]) -> tuple[Recipe, list[str]]:
    """Applies every `--path NAME` that chooses among descriptions; returns the words that are left.

    Short paths go first: `--teacher FILE.safetensors` decides whether there is a `--teacher.train.optimizer`.
    """
    chosen: dict[str, Spec | None] = {}
    rest = list(words)
    for dots in range(1 + max((word.count(".") for word in words), default=0)):
        waiting, rest = rest, []
        while waiting:
            word = waiting.pop(0)
            typed, equals, name = word.partition("=")
            path = typed.removeprefix("--").replace("-", "_")
            here = typed.startswith("--") and path.count(".") == dots
            if not here or not (candidates := _candidates(recipe, chosen, path)):
                rest.append(word)
                continue
            if not equals:
                name = waiting.pop(0) if waiting and not waiting[0].startswith("--") else ""
            chosen[path] = _named(typed, name, candidates, _value(recipe, chosen, path))
    return _changed(recipe, chosen), rest


def _candidates(spec: Any, chosen: Mapping[str, Spec | None], path: str) -> Candidates:
    """The descriptions that a field may be, by name; empty where it is not that kind of field.

    ``chosen`` are changes to ``spec`` by their dotted paths, not yet made.
    """
    above, _, field = path.rpartition(".")
    spec = _value(spec, chosen, above)
    if not isinstance(spec, Spec) or field not in type(spec).model_fields:
        return {}
    kinds = _kinds(type(spec).model_fields[field].annotation)
    named: Candidates = {"weights": Weights} if Weights in kinds else {}
    for kind in kinds:
        if issubclass(kind, Family):
            named |= kind.members()
    return {**named, "none": None} if named and type(None) in kinds else named


def _value(spec: Any, chosen: Mapping[str, Spec | None], path: str) -> Any:
    """What a dotted path has now; None where it leads nowhere."""
    parts = path.split(".") if path else []
    for depth, part in enumerate(parts, start=1):
        there = ".".join(parts[:depth])
        spec = chosen[there] if there in chosen else getattr(spec, part, None)
    return spec


def _kinds(annotation: Any) -> list[type]:
    """The types that an annotation allows, with unions inside unions opened."""
    if isinstance(annotation, type):
        return [annotation]
    parts = typing.get_args(annotation)
    if typing.get_origin(annotation) is Annotated:
        parts = parts[:1]
    return [kind for part in parts if part is not Ellipsis for kind in _kinds(part)]


def _names(candidates: Candidates) -> list[str]:
    """What may be typed for each candidate."""
    return ["FILE.safetensors" if kind is Weights else name for name, kind in candidates.items()]


def _named(option: str, name: str, candidates: Candidates, now: Any) -> Spec | None:
    """The description of that name: the present one with its fields, where it has that name already."""
    known = _names(candidates)
    if not name:
        raise LimbeckError(f"{option} needs a name. Known: {', '.join(known)}. Type {option} {known[0]}")
    if Weights in candidates.values() and name.endswith(".safetensors"):
        return Weights(path=Path(name))
    if name not in known:
        raise unknown(option.removeprefix("--"), name, known)
    kind = candidates[name]
    if kind is not None and type(now) is kind:
        return now
    return kind() if kind else None


def _changed(spec: Any, changes: Mapping[str, Any]) -> Any:
    """A copy of ``spec`` with the dotted paths changed, each description validated once."""
    if not changes:
        return spec
    here = {path: value for path, value in changes.items() if "." not in path}
    for field in {path.partition(".")[0] for path in changes if "." in path}:
        below = {path.partition(".")[2]: value for path, value in changes.items() if path.startswith(f"{field}.")}
        here[field] = _changed(here.get(field, getattr(spec, field)), below)
    return spec.with_(**here)
