"""What is chosen by name: a field that may be one of several descriptions (an objective, an optimizer, a policy).

The choice is resolved first: `--objective kd --objective.temperature 2`. Help and errors then speak of that one alone.
"""

from __future__ import annotations

import typing
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from limbeck.errors import LimbeckError, concerning, unknown
from limbeck.models.names import KINDS
from limbeck.models.programs import refuse_missing_function
from limbeck.models.sources import Source, is_source
from limbeck.objectives import CrossEntropy, Sum
from limbeck.recipes import Teachers, Weights
from limbeck.spec import Family, Spec

Candidates = dict[str, type[Spec] | None]
FILE = "FILE.safetensors"
NETWORK = "timm/NAME"  # stands for every form of a network's name


class Typed(NamedTuple):
    """What was typed.

    Attributes:
        values: by path; words where the field itself reads them.
        words: by path, as it was typed: "--train.epochs 3".
        rest: the words that belong to no option.
    """

    values: dict[str, Any]
    words: dict[str, str]
    rest: list[str]

    def among(self, fields: Collection[str]) -> Typed:
        """What was typed for a description with these fields."""
        values = {path: value for path, value in self.values.items() if path.partition(".")[0] in fields}
        return self._replace(values=values, words={path: self.words[path] for path in values})


def choose(spec: Any, words: Sequence[str], given: Mapping[str, Spec] | None = None) -> Typed:
    """Resolves every `--path NAME` that chooses among descriptions.

    Short paths go first: `--teacher FILE.safetensors` decides whether there is a `--teacher.train.optimizer`.

    Args:
        spec: what has fields to be chosen.
        words: what was typed.
        given: descriptions by path, chosen already.

    Raises:
        LimbeckError: a name that does not exist, or a choice that does not go with the others.
    """
    given = given or {}
    typed = Typed(dict(given), {path: f"{path} {getattr(value, 'name', '')}" for path, value in given.items()}, [])
    rest = list(words)
    for dots in range(1 + max((word.count(".") for word in words), default=0)):
        waiting, rest = rest, []
        while waiting:
            word = waiting.pop(0)
            name, equals, value = word.partition("=")
            path = name.removeprefix("--").replace("-", "_")
            here = name.startswith("--") and path.count(".") == dots
            if not here or not (known := _candidates_at(spec, typed.values, path)):
                rest.append(word)
                continue
            if not equals:
                value = waiting.pop(0) if waiting and not waiting[0].startswith("--") else ""
            typed.values[path] = _named(name, value, known, _value(spec, typed.values, path))
            typed.words[path] = f"{name} {value}"
    _refuse_missing_teacher(spec, typed)
    return typed._replace(rest=rest)


def _refuse_missing_teacher(spec: Any, typed: Typed) -> None:
    """An objective that listens to nobody is a mistake of two choices: the message names what mends it."""
    for path, words in typed.words.items():
        above = path.rpartition(".")[0]
        dot = "." if above else ""
        objective = _value(spec, typed.values, f"{above}{dot}objective")
        if not path.endswith(("teacher", "objective")) or _value(spec, typed.values, f"{above}{dot}teacher"):
            continue
        if objective is not None and objective.needs_teacher:
            raise LimbeckError(
                f"{words}: the objective {objective.name} needs a teacher, and there is none. "
                f"Type --{above}{dot}objective cross_entropy, or --{above}{dot}teacher {FILE}"
            )


def _candidates_at(spec: Any, changes: Mapping[str, Any], path: str) -> Candidates:
    above, _, field = path.rpartition(".")
    spec = _value(spec, changes, above)
    if not isinstance(spec, Spec) or field not in type(spec).model_fields:
        return {}
    return candidates(type(spec).model_fields[field].annotation)


def candidates(annotation: Any) -> Candidates:
    """The descriptions that a field may be, by name; empty where it is not that kind of field."""
    if typing.get_origin(annotation) is tuple:
        return {}  # several are joined by +
    kinds = _kinds(annotation)
    named: Candidates = {"weights": Weights} if Weights in kinds else {}
    named |= {NETWORK: Source} if Source in kinds else {}
    for kind in kinds:
        if issubclass(kind, Family):
            named |= {name: member for name, member in kind.members().items() if _stands_alone(member)}
    return {**named, "none": None} if named and type(None) in kinds else named


def _stands_alone(kind: type[Spec]) -> bool:
    """Whether the name says enough: no field has to be given."""
    return not any(field.is_required() for field in kind.model_fields.values())


def names(known: Candidates) -> list[str]:
    """What may be typed for each candidate, in alphabetical order but for none, which is last."""
    typed: list[str] = []
    for name, kind in known.items():
        typed += [FILE] if kind is Weights else KINDS if kind is Source else [name]
    return sorted(typed, key=lambda name: (name == "none", name))


def _value(spec: Any, changes: Mapping[str, Any], path: str) -> Any:
    """What a dotted path has now; None where it leads nowhere. ``changes`` are not yet made."""
    parts = path.split(".") if path else []
    for depth, part in enumerate(parts, start=1):
        there = ".".join(parts[:depth])
        spec = changes[there] if there in changes else getattr(spec, part, None)
    return spec


def _kinds(annotation: Any) -> list[type]:
    """The types that an annotation allows, with unions inside unions opened."""
    if isinstance(annotation, type):
        return [annotation]
    parts = typing.get_args(annotation)
    if typing.get_origin(annotation) is Annotated:
        parts = parts[:1]
    return [kind for part in parts if part is not Ellipsis for kind in _kinds(part)]


def _named(option: str, name: str, known: Candidates, now: Any) -> Spec | None:
    """The description of that name: the present one with its fields, where it has that name already."""
    if not name:
        raise LimbeckError(f"{option} needs a name. Known: {', '.join(names(known))}. Type {option} {names(known)[0]}")
    if Weights in known.values() and (name.endswith(".safetensors") or is_source(name) or Path(name).is_dir()):
        names_typed = [name] if Path(name).exists() else name.split("+")
        teachers = [_trained(option, each, now) for each in names_typed]
        return teachers[0] if len(teachers) == 1 else Teachers(members=teachers)
    if "+" in name and CrossEntropy in known.values():
        if not all(name.split("+")):
            raise LimbeckError(f"{option} {name}: a name is missing beside a +. Type, for example, {option} kd+rkd")
        terms = [_named(option, term, known, None) for term in name.split("+")]
        return Sum(terms=terms, weights=[1] * len(terms))
    if Source in known.values():
        with concerning(f"{option} {name}"):
            refuse_missing_function(name)
    if name not in names(known):
        what = option.rpartition(".")[2].removeprefix("--")
        raise LimbeckError(f"{option} {name}: {unknown(what, name, names(known))}")
    kind = known[name]
    if kind is not None and type(now) is kind:
        return now
    return kind() if kind else None


def _trained(option: str, name: str, now: Any) -> Weights | Source:
    """A teacher that is trained already: the present one with its fields, where it has that name already."""
    if not is_source(name):
        return Weights(path=_weights(option, Path(name)))
    return now if isinstance(now, Source) and now.name == name else Source(name=name)


def _weights(option: str, path: Path) -> Path:
    """The path of a weights file that is there."""
    if path.is_file():
        return path
    found = sorted(path.rglob("weights.safetensors")) if path.is_dir() else []
    if found:
        raise LimbeckError(f"{option} {path} is a folder. Type one of its weights files: {', '.join(map(str, found))}")
    what = "is a folder without a weights.safetensors" if path.is_dir() else "does not exist"
    near = [str(file) for file in sorted(Path("runs").glob("*/teacher/weights.safetensors"))[:3]]
    then = f"There are: {', '.join(near)}." if near else "Check the path."
    raise LimbeckError(f"{option} {path}: weights file {path} {what}. {then}")
