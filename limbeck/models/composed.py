"""Descriptions of networks that are made of others: several that answer as one, a student with its teacher's head."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag
from torch import nn

from limbeck.models.cut import before, behind
from limbeck.models.ensemble import Ensemble
from limbeck.models.model import Model
from limbeck.models.network import Statistics, shows
from limbeck.models.normalised import Normalised, plain
from limbeck.models.reused import Projector, ReusedHeadStudent, Shape
from limbeck.spec import Spec


def _kind(model: Any) -> str:
    fields = model if isinstance(model, dict) else getattr(type(model), "model_fields", ())
    return "ensemble" if "members" in fields else "reused" if "taps" in fields else "model"


AnyModel = Annotated[
    Annotated[Model, Tag("model")]
    | Annotated["EnsembleModel", Tag("ensemble")]
    | Annotated["ReusedModel", Tag("reused")],
    Discriminator(_kind),
]


class EnsembleModel(Spec):
    """Several networks whose logits are averaged."""

    members: tuple[AnyModel, ...] = Field(min_length=1)

    def build(self, num_classes: int, statistics: Statistics) -> nn.Module:
        """As `Model.build`, for all of them."""
        return Ensemble([member.build(num_classes, statistics) for member in self.members])

    def folded(self) -> EnsembleModel:
        """As `Model.folded`, for all of them."""
        return self.with_(members=[member.folded() for member in self.members])

    def title(self) -> str:
        """The members as a person reads them."""
        titles = [member.title() for member in self.members]
        return f"{len(titles)} of {titles[0]}" if len(set(titles)) == 1 else " and ".join(titles)


class ReusedModel(Spec):
    """A student that ends in its teacher's classifier: `reuse`."""

    student: AnyModel
    teacher: AnyModel
    taps: tuple[str, str]
    shapes: tuple[Shape, Shape]
    factor: int = Field(ge=1)

    def build(self, num_classes: int, statistics: Statistics) -> nn.Module:
        """As `Model.build`, with fresh weights everywhere, the teacher's part included."""
        student, teacher = (model.build(num_classes, statistics) for model in (self.student, self.teacher))
        return reuse(student, teacher, self.taps, self.shapes, self.factor)

    def folded(self) -> ReusedModel:
        """As `Model.folded`."""
        return self.with_(student=self.student.folded(), teacher=self.teacher.folded())

    def title(self) -> str:
        """The student's, and that there is more to it."""
        return f"{self.student.title()} + head"


def read(fields: Any) -> AnyModel:
    """The description that was saved as these fields.

    Raises:
        LimbeckError: they describe no network.
        TypeError: they are not fields at all.
    """
    kinds: dict[str, type[AnyModel]] = {"model": Model, "ensemble": EnsembleModel, "reused": ReusedModel}
    return kinds[_kind(fields)](**fields)


def reuse(
    student: nn.Module, teacher: nn.Module, taps: tuple[str, str], shapes: tuple[Shape, Shape], factor: int
) -> nn.Module:
    """The student up to a tap, a projector, and a copy of what the teacher does behind its tap.

    Args:
        student: its layers up to the tap are shared, and its normalisation where it has one.
        teacher: left as it is.
        taps: submodules, of the student and of the teacher.
        shapes: (channels, height, width) of the taps.
        factor: of the `Projector`.

    Raises:
        LimbeckError: a network cannot be cut at its tap.
    """
    head = behind(plain(teacher), taps[1])
    whole = ReusedHeadStudent(before(plain(student), taps[0]), Projector(*shapes, factor), head)
    if not isinstance(student, Normalised):
        return whole
    network, ours, theirs = student.around(whole), described(student), described(teacher)
    if ours and theirs:
        network.description = ReusedModel(student=ours, teacher=theirs, taps=taps, shapes=shapes, factor=factor)
    return network


def described(network: nn.Module) -> Model | EnsembleModel | ReusedModel | None:
    """The description that a network was built from; None where limbeck did not build it."""
    if not isinstance(network, Ensemble):
        return getattr(network, "description", None)
    members = tuple(described(member) for member in network.members)
    return EnsembleModel(members=members) if all(members) else None


def shown_to(network: nn.Module) -> tuple[str, ...]:
    """How pictures are shown to a network that limbeck built, or to each of those that answer as it, in words."""
    if isinstance(network, Ensemble):
        return tuple(dict.fromkeys(said for member in network.members for said in shown_to(member)))
    model = described(network)
    return (shows(model.title(), network),) if model and isinstance(network, Normalised) else ()


def notes_of(network: nn.Module) -> tuple[str, ...]:
    """What a reader of a network's results has to know of it, or of those that answer as it."""
    if isinstance(network, Ensemble) and not network.notes:
        return tuple(dict.fromkeys(note for member in network.members for note in notes_of(member)))
    return getattr(network, "notes", ())
