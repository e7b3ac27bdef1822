"""Single pictures: what distillation lost and what it won, and the teacher's answers at several temperatures."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from limbeck.report.page.facts import Facts

TEMPERATURES = (1, 5, 10, 20, 35)
MOST = 24
_LARGEST = 96  # pixels of a picture's longer side on the page
_FEW_CLASSES = 12
_TOP = 3
_SHOWN = 10


class Answer(NamedTuple):
    """One class and its probability; whether that is the picture's."""

    name: str
    probability: float
    right: bool


class Example(NamedTuple):
    """One picture and what both networks say of it.

    Attributes:
        place: in its set, from 0.
        picture: a data: address; None where the picture cannot be had.
        label: its class.
        teacher, student: the most probable classes, the first first.
        wrong: how many of the students answer wrongly.
    """

    place: int
    picture: str | None
    label: str
    teacher: list[Answer]
    student: list[Answer]
    wrong: int


class Gallery(NamedTuple):
    """Pictures that changed sides.

    Attributes:
        role, seed: of the student.
        students: how many there are of that role.
        regressions, gains: at most `MOST` of the pictures that only the teacher, and only the student has right; the
            most confident mistake first.
        lost, won: how many there are of these pictures.
        pictures: of the set.
        without: why there are no pictures; empty where there are.
    """

    role: str
    seed: int | None
    students: int
    regressions: list[Example]
    gains: list[Example]
    lost: int
    won: int
    pictures: int
    without: str


class Softened(NamedTuple):
    """One of the teacher's answers.

    Attributes:
        place, picture, label: as in `Example`.
        names: the classes that are shown, the most probable ones where there are many.
        shown: their places in ``logits``.
        logits: of all classes.
    """

    place: int
    picture: str | None
    label: str
    names: list[str]
    shown: list[int]
    logits: list[float]

    def at(self, temperature: float) -> list[float]:
        """The probabilities of the classes that are shown."""
        probabilities = (torch.tensor(self.logits, dtype=torch.float64) / temperature).softmax(0)
        return [float(probabilities[place]) for place in self.shown]


def taught_at(facts: Facts) -> str:
    """The temperature of the run's objective; that of the default one where it has none, or one off the slider."""
    objective = facts.recipe.get("objective") or {}
    for term in (objective, *objective.get("terms", ())):
        temperature = term.get("temperature")
        if isinstance(temperature, (int, float)) and 1 <= temperature <= TEMPERATURES[-1]:
            return f"{temperature:g}"
    return "4"


def gallery(facts: Facts) -> Gallery | str:
    """The first seed's student against the teacher, on the test set; or why that cannot be shown."""
    role = facts.student
    if "teacher" not in facts.roles or role is None:
        return "There is no teacher to compare a student with."
    seeds = facts.seeds(role)
    of_teacher, of_students = facts.answers("teacher", None), [facts.answers(role, seed) for seed in seeds]
    first = next((number for number, found in enumerate(of_students) if found), None)
    if of_teacher is None or first is None or not facts.classes:
        return "The networks' answers were not kept, so that no picture can be told."
    theirs, labels = of_teacher[0].double().softmax(1), of_teacher[1]
    of_seeds = [found[0].double().softmax(1) for found in of_students if found and len(found[0]) == len(theirs)]
    ours, counted = of_seeds[0], labels >= 0
    wrong = torch.stack([each.argmax(1) != labels for each in of_seeds])
    right_teacher, right_student = theirs.argmax(1) == labels, ~wrong[0]

    def chosen(which: Tensor, mistaken: Tensor) -> tuple[list[Example], int]:
        places = (which & counted).nonzero().flatten()
        order = mistaken.amax(1)[places].argsort(descending=True, stable=True)
        some = places[order][:MOST].tolist()
        return [_example(facts, place, labels, theirs, ours, int(wrong[:, place].sum())) for place in some], len(places)

    regressions, lost = chosen(right_teacher & ~right_student, ours)
    gains, won = chosen(~right_teacher & right_student, theirs)
    without = facts.pictures if isinstance(facts.pictures, str) else ""
    return Gallery(role, seeds[first], len(of_seeds), regressions, gains, lost, won, int(counted.sum()), without)


def softened(facts: Facts) -> list[Softened] | str:
    """A few of the teacher's answers: three everyday ones, the first of their class that it has right, and the three
    pictures of different classes that it has right with the most doubt; or why there are none."""
    if "teacher" not in facts.roles:
        return "There is no teacher."
    answers = facts.answers("teacher", None)
    if answers is None or not facts.classes:
        return "The teacher's answers were not kept."
    logits, labels = answers[0].double(), answers[1]
    probabilities = logits.softmax(1)
    right = ((probabilities.argmax(1) == labels) & (labels >= 0)).nonzero().flatten()
    doubt = right[probabilities[right].topk(2, 1).values[:, 1].argsort(descending=True, stable=True)]
    places = _one_a_class(right.tolist(), labels, 3, set())
    places += _one_a_class(doubt.tolist(), labels, 3, set(places))
    return [_softened(facts, place, logits[place], labels) for place in places] or "The teacher has no picture right."


def _one_a_class(places: Sequence[int], labels: Tensor, number: int, but: set[int]) -> list[int]:
    chosen: dict[int, int] = {}
    for place in places:
        if place not in but and len(chosen) < number:
            chosen.setdefault(int(labels[place]), place)
    return list(chosen.values())


def _softened(facts: Facts, place: int, logits: Tensor, labels: Tensor) -> Softened:
    order = list(range(len(logits)))
    if len(logits) > _FEW_CLASSES:
        order = logits.argsort(descending=True, stable=True)[:_SHOWN].tolist()
    rounded = [round(value, 4) for value in logits.tolist()]
    names = [facts.classes[number] for number in order]
    return Softened(place, _picture(facts, place), facts.classes[int(labels[place])], names, order, rounded)


def _example(facts: Facts, place: int, labels: Tensor, theirs: Tensor, ours: Tensor, wrong: int) -> Example:
    label = int(labels[place])
    return Example(
        place, _picture(facts, place), facts.classes[label],
        _answers(facts, theirs[place], label), _answers(facts, ours[place], label), wrong,
    )  # fmt: skip


def _answers(facts: Facts, probabilities: Tensor, label: int) -> list[Answer]:
    """The most probable classes, and the right one in any case."""
    order = probabilities.argsort(descending=True, stable=True).tolist()
    shown = order[:_TOP] if label in order[:_TOP] else [*order[: _TOP - 1], label]
    return [Answer(facts.classes[number], float(probabilities[number]), number == label) for number in shown]


def _picture(facts: Facts, place: int) -> str | None:
    if isinstance(facts.pictures, str):
        return None
    picture = Image.fromarray(facts.pictures[place].numpy())
    picture.thumbnail((_LARGEST, _LARGEST))
    stream = io.BytesIO()
    picture.save(stream, format="png")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
