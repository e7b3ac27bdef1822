"""A loss of anyone's in one form: student logits, teacher logits and labels in, its value and its gradients out."""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives.promises import promised

Role = Literal["student", "teacher", "labels", "temperature"]

_TEMPERATURES = ("temperature", "temp", "tau", "kd_t", "kd_temp", "kd_temperature")
_LABELS = ("labels", "label", "gt", "ground_truth")
_PERHAPS_LABELS = ("target", "targets", "y", "y_true")
_FORM = "A loss to check takes (student logits, teacher logits[, labels]) and returns a scalar tensor"


class RefusedError(Exception):
    """The loss raised an error on some input."""


class ChangedInPlaceError(RefusedError):
    """The backward pass found that something it needs was written over."""


@dataclass(frozen=True)
class Look:
    """One evaluation of a loss.

    Attributes:
        value: the loss.
        student, teacher: its gradients by the two logits; None where none arrives.
        left_alone: whether the logits were afterwards what they had been.
        learned: the other tensors that a gradient arrives at.
    """

    value: float
    student: Tensor | None
    teacher: Tensor | None
    left_alone: bool
    learned: tuple[Tensor, ...]

    @property
    def pull(self) -> Tensor:
        """The student's gradient, in float64.

        Raises:
            RefusedError: there is none.
        """
        if self.student is None:
            raise RefusedError("no gradient reaches the student")
        return self.student.double()

    @property
    def finite(self) -> bool:
        gradient = self.student is None or bool(self.student.isfinite().all())
        return bool(torch.tensor(self.value).isfinite()) and gradient


class Subject:
    """A loss, with what its signature says of its arguments.

    Raises:
        LimbeckError: it is not callable, or takes what a check cannot give.
    """

    def __init__(self, loss: Callable[..., Any], name: str | None = None) -> None:
        if not callable(loss):
            raise LimbeckError(f"{type(loss).__name__} cannot be called. {_FORM}.")
        self.loss, self.promises = loss, promised(loss)
        self.name = name or getattr(loss, "__name__", "") or type(loss).__name__
        self.dtype = torch.float64
        self.labels_weight = 0.0
        self._parameters = _parameters(loss)
        self.roles = _roles(self._parameters, self.name)
        self._attribute = next((a for a in ("temperature", "T", "tau", "temp") if _number(getattr(loss, a, None))), "")
        self._as_tensor = False

    def takes(self, role: Role) -> bool:
        """Whether the loss has such an argument, or, for a temperature, an attribute."""
        return role in self.roles.values() or (role == "temperature" and bool(self._attribute))

    @property
    def labels_optional(self) -> bool:
        return any(self.roles.get(p.name) == "labels" and p.default is None for p in self._parameters)

    @property
    def temperature(self) -> float | None:
        """The temperature that holds where none is given; None where it cannot be changed."""
        for parameter in self._parameters:
            if self.roles.get(parameter.name) == "temperature":
                return float(parameter.default) if _number(parameter.default) else 4.0
        return float(getattr(self.loss, self._attribute)) if self._attribute else None

    def settle(self, student: Tensor, teacher: Tensor, labels: Tensor) -> None:
        """Finds out with which data type, and with which kind of temperature, the loss can be called at all.

        Raises:
            LimbeckError: with none.
            ChangedInPlaceError: it writes over what its gradient needs.
        """
        first: RefusedError | None = None
        for self._as_tensor in (False, True):
            for self.dtype in (torch.float64, torch.float32):
                try:
                    self.look(student, teacher, labels)
                except ChangedInPlaceError:
                    raise
                except RefusedError as error:
                    first = first or error
                else:
                    return
        raise LimbeckError(f"{self.name} cannot be called on logits {tuple(student.shape)}: {first}. {_FORM}.")

    def value(
        self, student: Tensor, teacher: Tensor, labels: Tensor | None, temperature: float | None = None
    ) -> Tensor:
        """The loss as a scalar in the graph, less its cross-entropy with the labels where that was set aside.

        Raises:
            RefusedError: the loss raised an error.
            LimbeckError: it returned something else than a scalar tensor.
        """
        values = {"student": student, "teacher": teacher, "labels": labels}
        with warnings.catch_warnings(), self._at(temperature):
            warnings.simplefilter("ignore")
            args, kwargs = self._arguments(values, temperature)
            try:
                said = self.loss(*args, **kwargs)
            except Exception as error:
                raise RefusedError(
                    f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
                ) from error
        if not isinstance(said, Tensor) or said.numel() != 1 or not said.is_floating_point():
            what = (
                f"a {said.dtype} tensor of shape {tuple(said.shape)}"
                if isinstance(said, Tensor)
                else type(said).__name__
            )
            raise LimbeckError(f"{self.name} returned {what}. {_FORM}: average over the batch.")
        if self.labels_weight and labels is not None:
            return said.reshape(()) - self.labels_weight * F.cross_entropy(student, labels)
        return said.reshape(())

    def look(
        self,
        student: Tensor,
        teacher: Tensor,
        labels: Tensor | None,
        temperature: float | None = None,
        dtype: torch.dtype | None = None,
        seed: int | None = 0,
    ) -> Look:
        """Evaluates the loss and its gradients, with the same random numbers each time unless the seed is None.

        Raises:
            RefusedError: the loss, or its backward pass, raised an error.
        """
        leaves = [x.detach().to(dtype or self.dtype).clone().requires_grad_() for x in (student, teacher)]
        given = [leaf.clone() for leaf in leaves]  # a leaf itself cannot be changed in place
        with torch.random.fork_rng(devices=[], enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(seed)
            value = self.value(given[0], given[1], labels, temperature)
        kept = all(torch.equal(a, b) for a, b in zip(leaves, given, strict=True))
        if not value.requires_grad:
            return Look(float(value.detach()), None, None, kept, ())
        learned = tuple(leaf for leaf in _leaves(value) if all(leaf is not own for own in leaves))
        try:
            ours, theirs = torch.autograd.grad(value, leaves, allow_unused=True)
        except RuntimeError as error:
            kind = ChangedInPlaceError if "inplace operation" in str(error) else RefusedError
            raise kind(str(error).splitlines()[0]) from error
        return Look(float(value.detach()), ours, theirs, kept, learned)

    def _arguments(self, values: dict[str, Any], temperature: float | None) -> tuple[list[Any], dict[str, Any]]:
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        by_position = True
        for parameter in self._parameters:
            role = self.roles.get(parameter.name)
            if role == "temperature":
                needed = parameter.default is parameter.empty
                if not needed and (temperature is None or self._attribute):
                    by_position = False
                    continue
                value: Any = self.temperature if temperature is None else temperature
                value = torch.tensor(value) if self._as_tensor else value
            elif role is None:
                by_position = False
                continue
            else:
                value = values[role]
            if by_position and parameter.kind is not parameter.KEYWORD_ONLY:
                args.append(value)
            else:
                kwargs[parameter.name] = value
        return args, kwargs

    @contextlib.contextmanager
    def _at(self, temperature: float | None) -> Iterator[None]:
        if temperature is None or not self._attribute:
            yield
            return
        before = getattr(self.loss, self._attribute)
        try:
            setattr(self.loss, self._attribute, temperature)
            yield
        finally:
            setattr(self.loss, self._attribute, before)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _parameters(loss: Callable[..., Any]) -> list[inspect.Parameter]:
    function = loss.forward if isinstance(loss, torch.nn.Module) else loss
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        found = []
    plain = [p for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if plain or (found and all(p.kind is p.VAR_KEYWORD for p in found)):
        return plain
    return [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in ("student", "teacher")]


def _roles(parameters: list[inspect.Parameter], name: str) -> dict[str, Role]:
    roles: dict[str, Role] = {}

    def give(role: Role, fits: Callable[[inspect.Parameter], bool]) -> None:
        for parameter in parameters:
            if role not in roles.values() and parameter.name not in roles and fits(parameter):
                roles[parameter.name] = role

    give(
        "temperature", lambda p: (p.name == "T" and len(parameters) > 2) or p.name.lower() in _TEMPERATURES or _soft(p)
    )
    give("teacher", functools.partial(_called, words="teacher", short="t|tea|tch"))
    give("student", functools.partial(_called, words="student", short="s|stu"))
    give("labels", lambda p: p.name.lower() in _LABELS)
    if "teacher" in roles.values():
        give("labels", lambda p: p.name.lower() in _PERHAPS_LABELS)
    for role in ("student", "teacher", "labels"):
        give(role, lambda p: p.default is p.empty)
    give("labels", lambda p: p.name.lower() in _PERHAPS_LABELS)
    takes = f"takes ({', '.join(p.name for p in parameters)})"
    if "student" not in roles.values() or not {"teacher", "labels"} & set(roles.values()):
        raise LimbeckError(f"{name} {takes}, where two sets of logits are needed. {_FORM}.")
    rest = [p.name for p in parameters if p.name not in roles and p.default is p.empty]
    if rest:
        raise LimbeckError(
            f"{name} {takes}, and a check cannot know {', '.join(rest)}. {_FORM}: wrap it in a function that gives "
            f"{', '.join(rest)} a value."
        )
    return {p.name: roles[p.name] for p in parameters if p.name in roles}


def _soft(parameter: inspect.Parameter) -> bool:
    return parameter.name == "t" and _number(parameter.default)


def _called(parameter: inspect.Parameter, words: str, short: str) -> bool:
    if _number(parameter.default):
        return False
    form = rf".*{words}.*|({short})|({short})_.*|.*_({short})|[flpyz]{short[0]}"
    return re.fullmatch(form, parameter.name.lower()) is not None


def _leaves(value: Tensor) -> list[Tensor]:
    """The tensors that the graph of a value begins with."""
    found, seen, todo = [], set(), [value.grad_fn]
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(leaf := getattr(node, "variable", None), Tensor):
            found.append(leaf)
        todo += [following for following, _ in node.next_functions]
    return found
