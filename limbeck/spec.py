"""The base of every typed description: frozen, strict, with errors that a user can act on."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator

from limbeck.errors import LimbeckError, nearest, unknown


class Spec(BaseModel):
    """A frozen, typed description; unknown fields and impossible values are refused.

    Raises:
        LimbeckError: on construction, naming the field, the value and what is allowed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise LimbeckError(_readable(type(self), error)) from None

    def with_(self, **changes: Any) -> Self:
        """A copy with some fields changed, validated again. ``spec.with_(train=spec.train.with_(epochs=3))``."""
        return type(self)(**{**{name: getattr(self, name) for name in type(self).model_fields}, **changes})


class Family(Spec):
    """Base of descriptions that are chosen by name: objectives, optimizers, policies, ways to ask a teacher.

    A family is open: a subclass that gives ``name`` a default belongs to it, wherever it is written. A field that takes
    any member is annotated ``SerializeAsAny[TheFamily]``; it also accepts a member's name, or a dictionary with one.
    """

    name: str

    @classmethod
    def members(cls) -> dict[str, type[Self]]:
        """The descriptions that this family has so far, by name, in the order in which they were written."""
        own = cls._own_name()
        found = {own: cls} if own else {}
        for kind in cls.__subclasses__():
            found |= kind.members()
        return found

    @classmethod
    def _own_name(cls) -> str | None:
        name = cls.model_fields["name"].default
        return name if isinstance(name, str) else None

    @model_validator(mode="wrap")
    @classmethod
    def _the_member(cls, value: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        """Reads a name, or a dictionary with a name, as the member that it names."""
        fields = {"name": value} if isinstance(value, str) else value
        if cls._own_name() or not isinstance(fields, dict):
            return read(value)
        known = cls.members()
        if fields.get("name") not in known:
            raise unknown(cls.__name__.lower(), str(fields.get("name")), known)
        return known[fields["name"]](**fields)


def _readable(owner: type[Spec], error: ValidationError) -> str:
    """One line for each field at fault: where, the value, what is allowed."""
    lines = []
    for fault in error.errors(include_url=False):
        where = ".".join(str(part) for part in (owner.__name__, *fault["loc"]))
        if fault["type"] == "extra_forbidden":
            name = str(fault["loc"][-1])
            near = nearest(name, owner.model_fields)
            hint = f" Did you mean {near!r}?" if near else ""
            lines.append(f"{where}: there is no such field.{hint} Known: {', '.join(owner.model_fields)}.")
        elif fault["type"] == "missing":
            lines.append(f"{where}: this field must be given.")
        else:
            said = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
            value = f" = {fault['input']!r}" if fault["loc"] else ""  # else all the fields together are at fault
            lines.append(f"{where}{value} is not possible: {said}.")
    return "\n".join(lines)
