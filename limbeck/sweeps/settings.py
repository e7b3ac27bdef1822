"""What was typed for a sweep: options, each with one value or with several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from limbeck.errors import LimbeckError
from limbeck.objectives import Sum
from limbeck.options import HELP, find, is_option, table
from limbeck.recipes import Teachers
from limbeck.spec import Spec

Value = tuple[str, ...] | Spec
"""What an option is given: words as they would be typed, or a description made in Python."""

_COMPARED = ("name", "data", "protocol")  # the same for all trials


class SweepOptions(Spec):
    """Options of `limbeck sweep` that are no part of the recipe."""

    search: int | None = Field(
        None, ge=1, description="Draw this many trials by Optuna, as many for alone; ranges are typed 1e-4..1e-2."
    )
    out: Path | None = Field(None, description="The sweep's folder; by default sweeps/<recipe>-<hash>.")
    fresh: bool = Field(
        False,
        description="Start over: what the folder has of an earlier start is deleted once every trial was rehearsed.",
    )
    dry_run: bool = Field(False, description="List the trials, rehearse each, and stop.")
    quiet: bool = Field(False, description="Show nothing but the result.")


class Setting(NamedTuple):
    """An option, or a word that belongs to none, and what it is in turn.

    Attributes:
        option: as it is typed, an "=" included; empty where there is none.
        values: one that all trials have; several make it an axis.
        span: whether the two values are the ends of a range.
    """

    option: str
    values: tuple[Value, ...]
    span: bool = False

    @property
    def name(self) -> str:
        return self.option.removesuffix("=")

    @property
    def path(self) -> str:
        """The field's: "train.batch_size"."""
        return self.name.removeprefix("--").replace("-", "_")

    @property
    def varies(self) -> bool:
        return len(self.values) > 1

    def words(self, value: Value) -> tuple[str, ...]:
        """How it is typed with one of its values; nothing for a description, which cannot be typed."""
        if isinstance(value, Spec):
            return ()
        return (self.option + value[0], *value[1:]) if self.option.endswith("=") else (self.option, *value)


def typed(words: Sequence[str], own: Spec) -> list[Setting]:
    """The settings of a command line: "2,4" are two values, and ".5 .7,.6 .8" are two pairs.

    Args:
        words: what was typed, the recipe's name excepted.
        own: the command's own options; none of them is varied.

    Raises:
        LimbeckError: a value is missing beside a comma, or this option cannot be varied.
    """
    settings, known, waiting = [], table([own]), list(words)
    while waiting:
        name, equals, value = waiting.pop(0).partition("=")
        values = [value] if equals else []
        while waiting and not is_option(waiting[0]):
            values.append(waiting.pop(0))
        plain = not is_option(name) or name in HELP or find(known, name)[0] is not None
        flags = {word for value in values for word in value.split(",")} <= {"on", "off", "true", "false"}
        equals = equals or ("=" if values and flags else "")  # a flag takes no word of its own
        settings.append(Setting(name + equals, (tuple(values),)) if plain else _split(name + equals, values))
    return settings


def given(axes: Mapping[str, Any]) -> list[Setting]:
    """The settings of a call from Python: by path, a text as it would be typed, or a sequence of values.

    Raises:
        LimbeckError: it is neither, or this option cannot be varied.
    """
    settings = []
    for path, values in axes.items():
        option = f"--{path}"
        if isinstance(values, str):
            settings.append(_split(option, values.split()))
        elif isinstance(values, Sequence) and values:
            flag = "=" if any(isinstance(value, bool) for value in values) else ""
            settings.append(_allowed(Setting(option + flag, tuple(map(_value, values)))))
        else:
            raise LimbeckError(
                f"axis {path!r} = {values!r}: give a sequence of values, or a text as it is typed: "
                f'{{"{path}": [2, 4]}} or {{"{path}": "2,4"}}'
            )
    return settings


def _value(value: Any) -> Value:
    if isinstance(value, Spec):
        return value
    if isinstance(value, (tuple, list)):
        several = value and all(isinstance(member, Spec) for member in value)
        return Teachers(members=value) if several else tuple(map(str, value))
    return ("none" if value is None else str(value),)


def _split(option: str, words: Sequence[str]) -> Setting:
    values: list[list[str]] = [[]]
    for word in words:
        first, *others = (part.strip() for part in word.split(","))
        values[-1] += [first] if first else []
        values += [[other] if other else [] for other in others]
    if len(values) > 1 and not all(values):
        raise LimbeckError(
            f"{option} {' '.join(words)}: a value is missing beside a comma. Type, for example, {option} 2,4"
        )
    ends = values[0][0].split("..") if len(values) == len(values[0]) == 1 else []
    if len(ends) == 2 and all(map(_is_number, ends)):
        if float(ends[0]) >= float(ends[1]):
            raise LimbeckError(f"{option} {words[0]} is an empty range. Type the lower end first: {ends[1]}..{ends[0]}")
        return _allowed(Setting(option, tuple((end,) for end in ends), span=True))
    return _allowed(Setting(option, tuple(map(tuple, values))))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _allowed(setting: Setting) -> Setting:
    """Refuses what would make trials that cannot be compared."""
    if setting.varies and setting.path.partition(".")[0] in _COMPARED:
        example = "--protocol.seeds 0 1 2" if setting.path == "protocol.seeds" else f"{setting.name} VALUE"
        raise LimbeckError(
            f"{setting.name} {','.join(map(said, setting.values))}: the trials of a sweep are compared on the same "
            f"pictures and seeds, under one name. Give one value for all of them: {example}"
        )
    return setting


def said(value: Any) -> str:
    """A value as it would be typed, with every digit; of a description, its name and what is not as by default."""
    if isinstance(value, Sum):
        weighed = zip(value.weights, value.terms, strict=True)
        return "+".join(said(term) if weight == 1 else f"{weight:g}*{said(term)}" for weight, term in weighed)
    if isinstance(value, Spec):
        fields = type(value).model_fields
        own = {name: getattr(value, name) for name in fields if getattr(value, name) != fields[name].default}
        inside = ", ".join(f"{name}={said(content)}" for name, content in own.items() if name != "name")
        name = str(getattr(value, "name", type(value).__name__))
        return f"{name}({inside})" if inside else name
    return " ".join(map(said, value)) if isinstance(value, tuple) else str(value)
