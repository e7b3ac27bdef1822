"""The recipe: one typed, frozen description of an experiment, composed of the other rooms' own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from limbeck import own
from limbeck.data import resolve
from limbeck.data.views import Views
from limbeck.errors import LimbeckError
from limbeck.models.model import Model
from limbeck.models.names import FORMS, is_program
from limbeck.models.sources import Source
from limbeck.objectives import AnyObjective, CrossEntropy, Objective
from limbeck.recipes.data import Data
from limbeck.recipes.protocol import Protocol
from limbeck.spec import Spec
from limbeck.teachers import AnyLabelling
from limbeck.training import Device, Train

_CHANNELS = 3  # of every data set's pictures


class Weights(Spec):
    """A teacher that limbeck trained already."""

    name: Literal["weights"] = "weights"
    later: ClassVar[tuple[str, ...]] = ("code",)

    path: Path = Field(description="A weights.safetensors that limbeck wrote.")
    code: tuple[Path, ...] = Field(
        (), description="Files of your own that its network is made by, and that may be run to make it again."
    )

    def named_code(self) -> tuple[Path, ...]:
        return self.code


class Teachers(Spec):
    """Several teachers that answer together: the mean of their logits. In Python, a list of them will do.

    Those that are trained start from seeds of their own: the first one's, and the numbers after it.
    """

    members: tuple[Teacher, ...] = Field(min_length=2)

    @field_validator("members", mode="before")
    @classmethod
    def _only_their_trainings(cls, members: Any) -> Any:
        return [_without_the_rest(member) for member in members] if isinstance(members, (list, tuple)) else members


def _without_the_rest(teacher: Any) -> Any:
    """A whole recipe may be given as a teacher: its data, protocol and device are those of its student's recipe."""
    if not isinstance(teacher, Recipe):
        return teacher
    return Training(**{name: getattr(teacher, name) for name in Training.model_fields})


def _kind_of_teacher(teacher: Any) -> str:
    if isinstance(teacher, (list, tuple)):
        return "teachers"
    fields = teacher if isinstance(teacher, dict) else dir(teacher)
    if "path" in fields or "members" in fields:
        return "weights" if "path" in fields else "teachers"
    return "training" if "student" in fields or "name" not in fields else "source"


def _listed(teachers: Any) -> Any:
    return {"members": teachers} if isinstance(teachers, (list, tuple)) else teachers


Teacher = Annotated[
    Annotated["Training", Tag("training")]
    | Annotated[Weights, Tag("weights")]
    | Annotated[Source, Tag("source")]
    | Annotated[Teachers, BeforeValidator(_listed), Tag("teachers")],
    Discriminator(_kind_of_teacher),
]


class Training(Spec):
    """How one network is trained: on which views, by which teacher, for what."""

    views: Views = Views()
    teacher: Teacher | None = Field(
        None,
        description="Who labels the views; none: nobody. What is trained already is a file that limbeck wrote, "
        f"or {FORMS}, whose code is run. Several, joined by +, answer together.",
    )
    student: Model = Model(name="nin_cifar")
    train: Train = Train()
    objective: AnyObjective = Field(CrossEntropy(), description="What is learned; several, joined by +, are added up.")

    @model_validator(mode="after")
    def _teacher_where_needed(self) -> Training:
        if self.objective.needs_teacher and self.teacher is None:
            raise ValueError(f"objective {self.objective.name!r} needs a teacher; give one, or choose cross_entropy")
        return self

    @model_validator(mode="after")
    def _can_be_trained(self) -> Training:
        if is_program(self.student.name):
            raise ValueError(
                f"student.name = {self.student.name!r} is a program, which cannot be trained; it can be a teacher, and "
                "a student can be path/to/file.py:FUNCTION"
            )
        return self

    def chain(self, above: str = "") -> Iterator[tuple[str, Training | Weights | Source]]:
        """This training, its teacher, its teacher's teacher and so on, each with what stands before its fields' names.

        "" for this one, "teacher." for its teacher: "teacher.student.width" is an option of the command line.
        """
        yield above, self
        yield from chain(self.teacher, f"{above}teacher.")

    @field_validator("teacher", mode="before")
    @classmethod
    def _only_its_training(cls, teacher: Any) -> Any:
        return _without_the_rest(teacher)


def chain(teacher: Teacher | None, above: str = "") -> Iterator[tuple[str, Training | Weights | Source]]:
    """A teacher, its teacher and so on, as `Training.chain` has them; of several teachers, the lines of all."""
    if isinstance(teacher, Teachers):
        for number, member in enumerate(teacher.members):
            yield from chain(member, f"{above}members.{number}.")
    elif isinstance(teacher, Training):
        yield from teacher.chain(above)
    elif teacher is not None:
        yield above, teacher


def seed_above(how: Training, seed: int, last: int) -> int:
    """The seed of a network's teacher: ``seed``, or the one after ``last`` where both are networks of one make.

    A teacher and a student with equal seeds see the pictures in one order; of one make, they would begin alike, too.
    """
    teachers = how.teacher.members if isinstance(how.teacher, Teachers) else (how.teacher,)
    alike = any(isinstance(teacher, Training) and teacher.student == how.student for teacher in teachers)
    return last + 1 if alike else seed


def given_weights(teacher: Teacher | None) -> list[Path]:
    """The files with weights, made elsewhere, that networks of a teacher's chain are or start from."""
    found = []
    for _, how in chain(teacher):
        if isinstance(how, Weights):
            found.append(how.path)
        elif weights := (how.student if isinstance(how, Training) else how).weights:
            found.append(weights)
    return list(dict.fromkeys(found))


class Recipe(Training):
    """An experiment: a network distilled from a teacher, and the same network alone, on the same data and seeds.

    The student alone is trained with `alone` in place of `objective`; all else is equal.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$", description="Names the run's folder.")
    data: Data = Data()
    alone: AnyObjective | None = Field(
        CrossEntropy(), description="What the student alone is trained for; none: nobody is trained alone."
    )
    logits: AnyLabelling | None = Field(
        None,
        description="stored: the teacher's answers are kept for all seeds; table: so are those to every crop and flip, "
        "asked beforehand; live: it is asked anew; none: stored, but live where the objective needs features or "
        "pictures are mixed.",
    )
    protocol: Protocol = Protocol()
    device: Device = Device()

    @model_validator(mode="after")
    def _alone_is_alone(self) -> Recipe:
        if self.alone is not None and self.alone.needs_teacher:
            raise ValueError(f"alone = {self.alone.name!r} needs a teacher; choose cross_entropy")
        return self

    @model_validator(mode="after")
    def _views_can_be_labelled(self) -> Recipe:
        for above, how in self.chain():
            views = how.views if isinstance(how, Training) and how.teacher else None
            if self.logits and views and (why := self.logits.unsuited(views, above)):
                raise ValueError(why)
        return self

    @model_validator(mode="after")
    def _a_number_a_channel(self) -> Recipe:
        for above, training in self.chain():
            model = training.student if isinstance(training, Training) else training
            student = "student." if isinstance(training, Training) else ""
            for name in ("mean", "std"):
                numbers = getattr(model, name, None)
                if numbers is not None and len(numbers) != _CHANNELS:
                    raise ValueError(
                        f"{above}{student}{name} has {len(numbers)} numbers, but the pictures of {self.data.name} have "
                        f"{_CHANNELS} channels; give one number a channel, or none for the training set's own"
                    )
        return self

    def held_out(self) -> int:
        """The pictures that selection is done on: the data set's own val split, or those taken from its training set.

        Pictures of one's own are counted with the broken ones among them.
        """
        own = resolve(self.data.name, self.data)
        return own.counts["val"] if "val" in own.splits else self.protocol.holdout

    @property
    def listened_to(self) -> Teacher | None:
        """The teacher, where a student learns from it."""
        return self.teacher if any(how.teacher for how in self.students().values()) else None

    @property
    def teacher_seed(self) -> int:
        """The first student's seed; one that no student has, where a student would begin as its teacher did."""
        return seed_above(self, self.protocol.seeds[0], max(self.protocol.seeds))

    def students(self) -> dict[str, Training]:
        """The students of each seed by role, in the order in which they are trained.

        "alone" is as "distilled" in everything but the objective and the teacher. A teacher whom the objective does not
        listen to is nobody's; there is no "distilled" where it would be the same training once more.
        """
        students = {}
        if self.alone is not None:
            students["alone"] = self._student(None, self.alone)
        if self.objective != self.alone:
            teacher = self.teacher if self.objective.needs_teacher else None
            students["distilled"] = self._student(teacher, self.objective)
        return students

    def _student(self, teacher: Teacher | None, objective: Objective) -> Training:
        return Training(views=self.views, teacher=teacher, student=self.student, train=self.train, objective=objective)

    def digest(self) -> str:
        """Eight hexadecimal characters that stand for everything in the recipe.

        They stand for its fields; and, where it uses classes or networks from outside limbeck (an objective of one's
        own, a network by path/to/file.py:FUNCTION), for the whole text of each file that defines one, so that an edit
        makes another run. What such a file imports from yet other files does not count, nor does the text of a file
        that defines no class and is not named, nor what a file with weights holds.
        """
        texts = own.texts(self)
        fields = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256("\0".join([fields, *texts]).encode()).hexdigest()[:8]


def from_json(text: str, source: str) -> Recipe:
    """The recipe that a run was started with.

    Raises:
        LimbeckError: the text is not a recipe.
    """
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise LimbeckError(
            f"{source} is damaged: it is not JSON ({error}). The command that started its run writes it anew."
        ) from error
    try:
        return Recipe(**fields)
    except (ValueError, TypeError, LimbeckError) as error:
        raise LimbeckError(
            f"{source} is not a recipe of this version of limbeck: {error}\n"
            "Where it uses what a recipe file of your own defines, run that file instead."
        ) from error


def read_recipe(path: Path) -> Recipe:
    """As `from_json`, from a file."""
    try:
        return from_json(path.read_text(encoding="utf-8", errors="replace"), str(path))
    except OSError as error:
        raise LimbeckError(f"{path} cannot be read: {error.strerror}.") from error
