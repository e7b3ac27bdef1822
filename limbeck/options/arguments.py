"""Descriptions as options of the command line: which options there are, and what was typed for them.

Values are read by the descriptions themselves, so that there is one place, and one wording, for what is allowed.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from limbeck.errors import LimbeckError, nearest
from limbeck.models.sources import Source
from limbeck.objectives import Sum
from limbeck.options.choices import Candidates, Typed, candidates, names
from limbeck.recipes import Teachers, Weights
from limbeck.spec import Family, Spec, SpecError

HELP = ("-h", "--help")
_ALIKE = 0.65  # short names of options have many letters in common


class Option(NamedTuple):
    """A field as an option.

    Attributes:
        path: the names that lead to the field: "train.batch_size".
        group: the path of the description that help shows it with: "train".
        annotation, meaning, now: the field's type, description and present value.
        candidates: the descriptions that it may be, by name, where it is chosen by name.
    """

    path: str
    group: str
    annotation: Any
    meaning: str
    now: Any
    candidates: Candidates

    @property
    def typed(self) -> str:
        """How it is typed: "--train.batch-size"; a final underscore only keeps a field's name apart from a method's."""
        return "--" + self.path.rstrip("_").replace("_", "-")

    @property
    def flag(self) -> bool:
        """Whether it is typed without a value."""
        return self.annotation is bool

    @property
    def many(self) -> bool:
        """Whether it takes any number of values."""
        return any(typing.get_origin(part) is tuple for part in self.alternatives())

    def alternatives(self) -> tuple[Any, ...]:
        """The annotation, or the parts of the union that it is."""
        union = typing.get_origin(self.annotation) in (typing.Union, types.UnionType)
        return typing.get_args(self.annotation) if union else (self.annotation,)

    def present(self) -> str:
        """The present value, as it would be typed."""
        several = self.now.members if isinstance(self.now, Teachers) else (self.now,)
        trained = [each for each in several if isinstance(each, (Weights, Source))]
        if len(trained) == len(several):
            return "+".join(str(each.path) if isinstance(each, Weights) else each.name for each in trained)
        if isinstance(self.now, Spec):
            return getattr(self.now, "name", "") or "trained as this recipe says"
        if isinstance(self.now, bool):
            return "on" if self.now else "off"
        if isinstance(self.now, tuple):
            return " ".join(map(str, self.now))
        return "none" if self.now is None else str(self.now)

    def names(self) -> list[str]:
        """What may be typed, where that is one of a few names."""
        literal = [part for part in self.alternatives() if typing.get_origin(part) is Literal]
        return names(self.candidates) or [str(name) for part in literal for name in typing.get_args(part)]


def options(spec: Spec, path: str = "", group: str = "") -> Iterator[Option]:
    """The options of a description and of those inside it: its own first, a chosen one's right after its choice."""
    inside = []
    for name, field in type(spec).model_fields.items():
        value, here = getattr(spec, name), f"{path}{name}"
        known = candidates(field.annotation)
        fixed = typing.get_origin(field.annotation) is Literal and len(typing.get_args(field.annotation)) == 1
        several = isinstance(value, tuple) and any(isinstance(each, Spec) for each in value)  # typed joined by +
        if not fixed and not several and (known or not isinstance(value, Spec)):
            yield Option(here, group, field.annotation, field.description or "", value, known)
        if isinstance(value, Family):
            yield from options(value, f"{here}.", group)
        elif isinstance(value, Spec):
            inside.append((value, here))
    for value, here in inside:
        yield from options(value, f"{here}.", here)


def read(specs: Sequence[Spec], words: Sequence[str], chosen: Mapping[str, str] | None = None) -> Typed:
    """Sorts words into options with their values, and the rest.

    Args:
        specs: whose options there are.
        words: what was typed, choices by name excepted.
        chosen: those choices, as they were typed, by path.

    Raises:
        LimbeckError: an option does not exist, or has no value.
    """
    known = table(specs)
    typed = Typed({}, {}, [])
    for name, option, on, values in _pieces(known, words):
        if not name:
            typed.rest.extend(values)
            continue
        if option is None:
            raise _no_such_option(name, known, chosen or {})
        if not values and not option.flag and not (option.many and option.now):  # else there is nothing to take away
            raise LimbeckError(f"{name} needs a value. {_explained(option)}")
        value: Any = tuple(values) if option.many else values[0] if values else on
        if values in (["none"], ["None"]) and type(None) in option.alternatives():
            value = None
        typed.values[option.path] = value
        typed.words[option.path] = " ".join([name, *values])
    return typed


def strays(specs: Sequence[Spec], words: Sequence[str]) -> list[int]:
    """The places of the words that are neither options nor their values; unknown options are taken to have one."""
    places, place = [], 0
    for name, _, _, values in _pieces(table(specs), words):
        if not name:
            places.append(place)
        place += 1 if not name or "=" in words[place] else 1 + len(values)
    return places


def change(spec: Any, typed: Typed, above: str = "") -> Any:
    """A copy of ``spec`` with what was typed, each description validated once.

    Raises:
        LimbeckError: an impossible value; it names the option as it was typed.
    """
    here: dict[str, Any] = {}
    for field in dict.fromkeys(path.removeprefix(above).partition(".")[0] for path in _below(typed.values, above)):
        path = f"{above}{field}"
        value = typed.values.get(path, getattr(spec, field))
        here[field] = change(value, typed, f"{path}.") if isinstance(value, Spec) else value
    if not here:
        return spec
    try:
        return spec.with_(**here)
    except LimbeckError as error:
        raise _in_options(error, spec, typed, above) from error


def _below(paths: Mapping[str, Any], above: str) -> list[str]:
    return [path for path in paths if path.startswith(above)]


def _in_options(error: LimbeckError, spec: Spec, typed: Typed, above: str) -> LimbeckError:
    """An error of a description, worded for whoever typed options."""
    own = {option.path: option for option in options(spec, above)}
    direct = [path for path in _below(typed.words, above) if "." not in path.removeprefix(above)]
    blamed = direct or _below(typed.words, above)
    if not isinstance(error, SpecError):
        return LimbeckError(f"{_meant(str(error), blamed, typed, above)}: {error}")
    lines = []
    for fault in error.faults:
        path, said = f"{above}{fault.field}", fault.said.replace("should", "must", 1)
        said += "" if said.endswith("?") else "."
        if path in typed.words and path in own:
            lines.append(f"{typed.words[path]}: {said} {_explained(own[path])}")
        else:
            lines.append(f"{_meant(said, blamed, typed, above)}: {said}")
    return LimbeckError("\n".join(lines))


def _meant(said: str, blamed: Sequence[str], typed: Typed, above: str) -> str:
    """The words that a message is about: those of the options, or else of the values, that it names; or else all."""
    words = {path: typed.words[path] for path in blamed}
    named = [word for path, word in words.items() if _names(said, path.removeprefix(above))]
    named = named or [word for word in words.values() if _names(said, word.partition(" ")[2])]
    return ", ".join(named or words.values())


def _names(said: str, what: str) -> bool:
    return bool(what) and re.search(rf"(?<![\w.]){re.escape(what)}(?!\w)", said) is not None


def _explained(option: Option) -> str:
    """What an option means, and a value that is possible."""
    now = option.present() if option.flag else f"{option.typed} {option.present()}".rstrip()
    return f"{option.meaning} Now: {now}".strip()


def table(specs: Sequence[Spec]) -> dict[str, Option]:
    """The options of some descriptions, by how they are typed."""
    return {option.typed: option for spec in specs for option in options(spec)}


def find(known: Mapping[str, Option], name: str) -> tuple[Option | None, bool]:
    """The option that a word names, and whether it is switched on: --views.no-flip is --views.flip, off."""
    plain = name.replace("_", "-")
    if plain in known:
        return known[plain], True
    option = known.get(re.sub(r"(^--|\.)no-([^.]+)$", r"\1\2", plain))
    return option if option and option.flag else None, False


def is_option(word: str) -> bool:
    """Whether a word begins an option; -1 and -.5 are values, and - alone stands for the standard input."""
    return re.match(r"-(?![\d.]|$)", word) is not None


def _pieces(known: Mapping[str, Option], words: Sequence[str]) -> Iterator[tuple[str, Option | None, bool, list[str]]]:
    """(option as typed, the option, not "no-", its values); the first is empty for a word that belongs to none."""
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if not is_option(word):
            yield "", None, True, [word]
            continue
        name, equals, value = word.partition("=")
        option, on = find(known, name)
        values = [value] if equals else []
        if not equals and name not in HELP and not (option and option.flag):
            limit = len(waiting) if option and option.many else 1
            while waiting and not is_option(waiting[0]) and len(values) < limit:
                values.append(waiting.pop(0))
        yield name, option, on, values


def _no_such_option(name: str, known: Mapping[str, Option], chosen: Mapping[str, str]) -> LimbeckError:
    """Says where an option belongs that does not exist as things are, or which one is near."""
    plain = name.replace("_", "-")
    inside = [typed for typed in known if typed.startswith(f"{plain}.")]
    if inside:
        return LimbeckError(f"{name} has options of its own. Type one of {', '.join(inside[:8])}.")
    above = plain
    while above := above.rpartition(".")[0]:
        option = known.get(above)
        if option is None or not option.candidates:
            continue
        field = plain[len(above) + 1 :].partition(".")[0].replace("-", "_")
        fields = {kind: spec.model_fields for kind, spec in option.candidates.items() if spec}
        owners = [kind for kind, names in fields.items() if field in names]
        if isinstance(option.now, (Sum, Teachers)):
            example = "objective=KD(temperature=2) + RKD(labels=0)" if isinstance(option.now, Sum) else "teacher=[a, b]"
            return LimbeckError(
                f"{name}: {above} is several, and the fields of each cannot be typed. Set them in a recipe.py of your "
                f"own, for example {example}"
            )
        if owners and not isinstance(option.now, Weights):
            deeper = [typed for typed in known if typed.startswith(f"{above}.") and typed.endswith(plain[len(above) :])]
            these = "".join(f"{typed} VALUE, or " for typed in deeper)
            return LimbeckError(
                f"{name} belongs to {', '.join(owners)}; now {above} is {option.present()}. "
                f"Type {these}{above} {min(owners, key=lambda kind: len(fields[kind]))} {name} VALUE"
            )
        if option.now is None or isinstance(option.now, Weights):
            words = chosen.get(option.path)
            then = f"Leave `{words}` away." if words else f"Known for {above}: {', '.join(option.names())}."
            return LimbeckError(f"{name}: there is no such option, because {above} is {option.present()}. {then}")
        break
    last = plain.rpartition(".")[2].removeprefix("--")
    same = [typed for typed in known if typed.rpartition(".")[2].removeprefix("--") == last]
    whole = {typed.removeprefix("--"): typed for typed in known}
    ends = {typed.rpartition(".")[2].removeprefix("--"): typed for typed in known}
    wanted = ((plain.removeprefix("--"), whole), (last, ends))
    like = [names[found] for word, names in wanted if (found := nearest(word, names, _ALIKE))]
    near = same[:3] or like[:1]
    hint = f"Did you mean {' or '.join(near)}?" if near else "Type --help to see them all."
    meaning = known[near[0]].meaning if len(near) == 1 else ""
    return LimbeckError(f"{name}: there is no such option. {hint} {meaning}".rstrip())
