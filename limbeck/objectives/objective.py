"""What an objective is: a typed description that turns the two networks' outputs into named, weighted loss terms."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property, partial
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, SerializeAsAny, model_validator
from torch import Tensor, nn

from limbeck import own
from limbeck.errors import LimbeckError
from limbeck.objectives.logits import cross_entropy
from limbeck.objectives.outputs import Batch, Outputs
from limbeck.objectives.taps import Probe, probe
from limbeck.spec import Family

Precision = Callable[[], AbstractContextManager[object]]


class Known:
    """What an objective may know of a training before it begins. Networks are probed only where somebody asks.

    Args:
        student, teacher: the networks; no teacher where there is none.
        picture: (C, H, W) float in [0, 1], on the networks' device: one of the pictures to come.
        labels: (N,) int64 of all the training pictures; -1 where unlabelled.
        batch_size: the largest batch to come.
        another: makes a network like the student, with weights of its own from torch's random state.
        precision: gives the context in which networks are called.
    """

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module | None,
        picture: Tensor,
        labels: Tensor,
        batch_size: int,
        another: Callable[[], nn.Module] | None = None,
        precision: Precision = contextlib.nullcontext,
    ) -> None:
        self.student_network, self.teacher_network = student, teacher
        self.picture, self.labels, self.batch_size = picture, labels, batch_size
        self.another, self.precision = another or partial(_started_anew, student), precision

    def of(self, student: nn.Module) -> Known:
        """The same of another student."""
        if student is self.student_network:
            return self
        shown = self.picture, self.labels, self.batch_size
        return Known(student, self.teacher_network, *shown, self.another, self.precision)

    @cached_property
    def student(self) -> Probe:
        """The student's shapes."""
        return probe(self.student_network, self.picture)

    @cached_property
    def teacher(self) -> Probe:
        """The teacher's shapes.

        Raises:
            LimbeckError: there is no teacher.
        """
        if self.teacher_network is None:
            raise LimbeckError("this objective needs a teacher to learn from. Give one, or choose cross_entropy.")
        return probe(self.teacher_network, self.picture)


def _started_anew(network: nn.Module) -> nn.Module:
    """A copy with the weights that its layers start with."""
    other = copy.deepcopy(network)
    for layer in other.modules():
        if callable(reset := getattr(layer, "reset_parameters", None)):
            reset()
    return other


Taps = tuple[tuple[str, ...], tuple[str, ...]]
"""The paths to listen to: in the student, in the teacher."""


class Objective(Family):
    """Base of the objectives. A new one is a subclass with a ``name`` and a `forward`.

    An objective without parameters of its own needs nothing else. One that learns (adapters, critics) overrides
    `build` and returns a module of its own with the same `forward`; one that needs features overrides `taps`. Most
    methods are a `Taught`, which does the rest.

    Objectives can be weighed and added: ``KD(temperature=2) + 0.5 * RKD(labels=0)`` is one, too.

    Attributes:
        relates: whether it relates the pictures of a batch to each other, or keeps constants of the first batch. Its
            loss is then no mean over the pictures, and a batch cannot be shown to it in parts (``train.accumulate``).
    """

    relates: ClassVar[bool] = False

    def relating(self, known: Known | None = None) -> tuple[str, ...]:
        """The names of the objectives in this one that have to see each batch whole.

        Args:
            known: of the training; where that is not known yet, those that may have to are among them.
        """
        return (self._own_name() or type(self).__name__,) if self.relates else ()

    @property
    def needs_teacher(self) -> bool:
        """Whether somebody has to label the views."""
        return False

    def student(self, known: Known) -> nn.Module:
        """The network that is trained and kept: the student as it is, unless the method is to change it."""
        return known.student_network

    def taps(self, known: Known) -> Taps:
        """The submodules whose outputs `forward` finds in ``Outputs.taps``."""
        return (), ()

    def forward(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        """The weighted terms of the loss by name, each a float32 scalar; their sum is what is minimised."""
        raise NotImplementedError

    def build(self, known: Known | None = None) -> nn.Module:
        """The module that training calls, with whatever it learns as parameters."""
        return _Stateless(self)

    def __add__(self, other: Objective) -> Sum:
        ours, theirs = (each if isinstance(each, Sum) else Sum(terms=(each,), weights=(1,)) for each in (self, other))
        return Sum(terms=(*ours.terms, *theirs.terms), weights=(*ours.weights, *theirs.weights))

    def __mul__(self, weight: float) -> Sum:
        terms, weights = (self.terms, self.weights) if isinstance(self, Sum) else ((self,), (1.0,))
        return Sum(terms=terms, weights=tuple(weight * each for each in weights))

    __rmul__ = __mul__


AnyObjective = SerializeAsAny[Objective]


class Sum(Objective):
    """The weighted sum of some objectives. Terms of the same name are added up."""

    name: Literal["sum"] = "sum"
    terms: tuple[AnyObjective, ...] = Field(min_length=1, description="The objectives.")
    weights: tuple[Annotated[float, Field(ge=0)], ...] = Field(description="The weight of each.")

    @model_validator(mode="after")
    def _a_weight_each(self) -> Self:
        if len(self.weights) != len(self.terms) or not any(self.weights):
            raise ValueError(f"{len(self.terms)} terms need as many weights, one of them above 0")
        return self

    def _weighed(self) -> list[tuple[Objective, float]]:
        """Those with a weight, and it: the others ask for nothing."""
        return [(term, weight) for term, weight in zip(self.terms, self.weights, strict=True) if weight]

    def relating(self, known: Known | None = None) -> tuple[str, ...]:
        return _once([term.relating(known) for term, _ in self._weighed()])

    @property
    def needs_teacher(self) -> bool:
        return any(term.needs_teacher for term, _ in self._weighed())

    def student(self, known: Known) -> nn.Module:
        for term, _ in self._weighed():
            known = known.of(term.student(known))
        return known.student_network

    def taps(self, known: Known) -> Taps:
        ours, theirs = zip(*(term.taps(known) for term, _ in self._weighed()), strict=True)
        return _once(ours), _once(theirs)

    def build(self, known: Known | None = None) -> nn.Module:
        terms, weights = zip(*self._weighed(), strict=True)
        return _Summed([term.build(known) for term in terms], weights)


class Taught(Objective):
    """Base of the objectives with two terms: labels · cross-entropy + weight · what the teacher adds.

    A subclass has `loss`; where it learns something, `learned` makes it. The weight of the teacher's term multiplies
    the published form of the loss, whatever that is.
    """

    weight: float = Field(1.0, ge=0, description="Weight of the teacher's term.")
    labels: float = Field(1.0, ge=0, description="Weight of the labels' term.")

    @model_validator(mode="after")
    def _something_to_learn_from(self) -> Self:
        if self.weight + self.labels <= 0:
            raise ValueError("weight and labels are both 0, so nothing would be learned; set one above 0")
        return self

    def relating(self, known: Known | None = None) -> tuple[str, ...]:
        return super().relating(known) if self.weight else ()

    @property
    def needs_teacher(self) -> bool:
        return True

    def learned(self, known: Known) -> nn.Module:
        """What is trained beside the student, and left behind when it is exported."""
        return nn.Module()

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: nn.Module) -> Tensor:
        """The teacher's term before its weight: a float32 scalar.

        ``taps`` of both outputs hold what `taps` asked for, in that order, and nothing else.
        """
        raise NotImplementedError

    def build(self, known: Known | None = None) -> nn.Module:
        return _TwoTerms(self, known)

    def forward(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        return self.build()(student, teacher, batch)


class _Stateless(nn.Module):
    """An objective that learns nothing, as a module."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self._objective = objective

    def forward(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        return self._objective.forward(student, teacher, batch)


class _Summed(nn.Module):
    def __init__(self, terms: Sequence[nn.Module], weights: Sequence[float]) -> None:
        super().__init__()
        self.terms, self._weights = nn.ModuleList(terms), weights

    def forward(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        parts: dict[str, Tensor] = {}
        for term, weight in zip(self.terms, self._weights, strict=True):
            for name, part in term(student, teacher, batch).items():
                parts[name] = parts[name] + weight * part if name in parts else weight * part
        return parts


class _TwoTerms(nn.Module):
    """A `Taught` objective with what it learns."""

    def __init__(self, objective: Taught, known: Known | None) -> None:
        super().__init__()
        self._objective = objective
        self._taps = objective.taps(known) if known else ((), ())
        self.learned = objective.learned(known) if known and objective.weight else nn.Module()

    def forward(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        objective, parts = self._objective, {}
        if objective.labels:
            labelled = batch.over_labels(lambda labels: cross_entropy(student.logits, labels))
            parts["labels"] = objective.labels * labelled
        if objective.weight:
            ours, theirs = self._taps
            taught = _only(teacher, theirs) if teacher is not None else student  # nobody's where nobody is needed
            term = objective.loss(_only(student, ours), taught, batch, self.learned)
            if not isinstance(term, Tensor):
                raise TypeError(f"loss returned {_described(term)}; is the return missing?")
            parts[objective.name] = objective.weight * term
        return parts


def total(parts: dict[str, Tensor]) -> Tensor:
    """The sum of an objective's parts: what training minimises."""
    return torch.stack(list(parts.values())).sum()


def rehearse(
    objective: Objective,
    known: Known,
    student: Outputs,
    teacher: Outputs | None,
    batch: Batch,
    place: Callable[[nn.Module], nn.Module] = lambda module: module,
) -> None:
    """Builds an objective, calls it once as training will, and throws what was built away.

    Torch's random state is left as it was.

    Args:
        objective: the description.
        known: as for the training.
        student, teacher: what the networks say of ``batch``, with the taps that the objective asks for.
        batch: some pictures.
        place: moves what is built to the device.

    Raises:
        LimbeckError: it fails, or what it returns cannot be trained with; the message names its class and file.
    """
    kind = type(objective)
    wanted = _WANTED_OF_LOSS if isinstance(objective, Taught) and kind.forward is Taught.forward else _WANTED
    who = f"objective {objective.name!r} (class {kind.__name__} in {own.file(kind)})"
    if kind.forward is Objective.forward and kind.build is Objective.build:
        raise LimbeckError(f"{who} has no forward. {_WANTED}")
    logits = student.logits.detach().requires_grad_()
    try:
        with torch.random.fork_rng(devices=[logits.device] if logits.is_cuda else []), own.blamed(objective):
            module = objective.build(known)
            if not isinstance(module, nn.Module):
                raise LimbeckError(f"{who}: build returned {_described(module)}, not a torch.nn.Module.")
            taps = {path: tap.detach().requires_grad_() for path, tap in student.taps.items()}
            parts = place(module)(Outputs(logits, taps), teacher, batch)
            if wrong := _unusable(parts):
                what = "forward" if wanted is _WANTED else "loss"
                raise LimbeckError(f"{who}: {what} returned {wrong}. {wanted}")
            total(parts).backward()
    except LimbeckError:
        raise
    except Exception as error:
        raise LimbeckError(f"{who} cannot be used: {own.said(error)}. {wanted}") from error


_WANTED_OF_LOSS = (
    "loss(student, teacher, batch, learned) must return one float tensor without dimensions that depends on "
    "student.logits or student.taps."
)
_WANTED = (
    "forward(student, teacher, batch) must return a dictionary of named losses, each a float tensor without "
    "dimensions that depends on student.logits, for example {'mine': loss}; their sum is minimised."
)


def _unusable(parts: object) -> str | None:
    """What is wrong with an objective's terms, worded to follow "returned"; None where nothing is."""
    if not isinstance(parts, dict) or not parts:
        return _described(parts)
    for name, part in parts.items():
        if not isinstance(name, str):
            return f"a dictionary with the name {name!r}, which is no text"
        if not isinstance(part, Tensor) or part.ndim or not part.is_floating_point():
            mean = ": take its mean over the batch" if isinstance(part, Tensor) and part.ndim else ""
            return f"{name!r} as {_described(part)}{mean}"
        if not part.requires_grad:
            return f"{name!r} as a loss that does not depend on the student, so that it teaches nothing"
    return None


def _described(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and type {str(value.dtype).removeprefix('torch.')}"
    if value is None or (isinstance(value, dict) and not value):
        return repr(value)
    return f"{type(value).__name__} {' '.join(repr(value).split()):.60}"


def _only(outputs: Outputs, paths: tuple[str, ...]) -> Outputs:
    return Outputs(outputs.logits, {path: outputs.taps[path] for path in paths})


def _once(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for some in paths for path in some))
