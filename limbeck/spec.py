"""The base of every typed description: frozen, strict, with errors that a user can act on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from limbeck.errors import LimbeckError, nearest, unknown


class Fault(NamedTuple):
    """What is wrong with one field.

    Attributes:
        field: its name; empty where all the fields together are at fault.
        line: the whole of it, as a sentence for whoever writes Python or JSON.
        said: what is allowed, worded to follow a value: "should be greater than 0".
    """

    field: str
    line: str
    said: str


class SpecError(LimbeckError):
    """The fields of a description cannot be what they were given as; one line for each fault."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(fault.line for fault in faults))
        self.faults = faults


_IN_FULL = "in full"


class Spec(BaseModel):
    """A frozen, typed description; unknown fields and impossible values are refused.

    Attributes:
        later: fields that are written down only where they are not as by default, so that what was described before
            there were such fields is written as it was.

    Raises:
        SpecError: on construction, naming the field, the value and what is allowed.
    """

    later: ClassVar[tuple[str, ...]] = ()

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise SpecError(_faults(type(self), error)) from None

    def with_(self, **changes: Any) -> Self:
        """A copy with some fields changed, validated again. ``spec.with_(train=spec.train.with_(epochs=3))``."""
        return type(self)(**{**{name: getattr(self, name) for name in type(self).model_fields}, **changes})

    def named_code(self) -> tuple[Path, ...]:
        """The files that this description itself names and whose code is run for it."""
        return ()

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        fields: dict[str, Any] = write(self)
        for name in () if (info.context or {}).get(_IN_FULL) else self.later:
            if name in fields and getattr(self, name) == type(self).model_fields[name].default:
                del fields[name]
        return fields


def in_full(spec: Spec) -> dict[str, Any]:
    """All fields of a description as JSON has them, those that came later included."""
    return spec.model_dump(mode="json", context={_IN_FULL: True})


class Family(Spec):
    """Base of descriptions that are chosen by name: objectives, optimizers, policies, ways to ask a teacher.

    A family is open: a subclass that gives ``name`` a default belongs to it, wherever it is written. A field that takes
    any member is annotated ``SerializeAsAny[TheFamily]``; it also accepts a member's name, or a dictionary with one.
    """

    name: str

    @classmethod
    def members(cls, before: type[Family] | None = None) -> dict[str, type[Self]]:
        """The descriptions that this family has so far, by name, in the order in which they were written.

        Args:
            before: leave this one out.
        """
        own = cls._own_name()
        found = {own: cls} if own and cls is not before else {}
        for kind in cls.__subclasses__():
            for name, member in kind.members(before).items():
                if name not in found or found[name].__module__ == member.__module__:  # a file that is read anew
                    found[name] = member
        return found

    @classmethod
    def _own_name(cls) -> str | None:
        name = cls.model_fields["name"].default
        return name if isinstance(name, str) else None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuses a member whose name is another's: what a recipe says would no longer be told by it."""
        own = cls._own_name()
        families = [kind for kind in cls.__mro__[1:] if issubclass(kind, Family) and kind is not Family]
        if own is None or not families:
            return
        taken = families[-1].members(before=cls).get(own)
        if taken is not None and taken.__module__ != cls.__module__:
            raise TypeError(f"{cls.__name__} needs a name of its own: {own!r} is {taken.__name__}'s")

    @model_validator(mode="wrap")
    @classmethod
    def _the_member(cls, value: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        """Reads a name, or a dictionary with a name, as the member that it names."""
        own, fields = cls._own_name(), {"name": value} if isinstance(value, str) else value
        if not isinstance(fields, dict):
            return read(value)
        name = fields.get("name", own)
        if own is not None:
            if name != own:
                raise ValueError(f"{cls.__name__} is called {own!r}, not {name!r}")
            return read(value)
        known = cls.members()
        if not isinstance(name, str):
            raise ValueError(f"it needs a name; known: {', '.join(known)}")
        if name not in known:
            raise unknown(cls.__name__.lower(), name, known)
        return known[name](**fields)


def _faults(owner: type[Spec], error: ValidationError) -> tuple[Fault, ...]:
    """What is wrong with each field at fault: where, the value, what is allowed."""
    faults = []
    found = error.errors(include_url=False)
    unread = {fault["loc"][:-1] for fault in found if fault["type"] != "too_short"}
    for fault in found:
        if fault["type"] == "too_short" and fault["loc"] in unread:
            continue  # what could not be read was not counted
        where = ".".join(str(part) for part in (owner.__name__, *fault["loc"]))
        if fault["type"] == "extra_forbidden":
            name = str(fault["loc"][-1])
            near = nearest(name, owner.model_fields)
            hint = f" Did you mean {near!r}?" if near else ""
            said = f"there is no such field.{hint} Known: {', '.join(owner.model_fields)}"
            line = f"{where}: {said}."
        elif fault["type"] == "missing":
            said = "this field must be given"
            line = f"{where}: {said}."
        else:
            said = fault["msg"].removeprefix("Value error, ").removeprefix("Input ").partition(", unable to ")[0]
            said = said.replace("Tuple should have at least", "it must have at least").removesuffix(", not 0")
            said = said.replace(" after validation", "")
            value = f" = {fault['input']!r}" if fault["loc"] else ""  # else all the fields together are at fault
            line = f"{where}{value} is not possible: {said}."
        faults.append(Fault(str(fault["loc"][0]) if fault["loc"] else "", line, said))
    return tuple(faults)
