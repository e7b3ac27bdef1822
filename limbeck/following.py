"""The trainings of a run in several processes: the first one calls the others to each."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

from limbeck.processes import ranks
from limbeck.recipes.recipe import Recipe, Training


class Call(NamedTuple):
    """A training to take part in.

    Attributes:
        place: of its description among those of the recipe.
        folder, title, seed: as `Experiment.train` has them.
        teacher: the file with its teacher's weights, where it has one.
    """

    place: int
    folder: Path
    title: str
    seed: int
    teacher: Path | None


def calling_others(
    recipe: Recipe, how: Training, folder: Path, title: str, seed: int, teacher: Path | None
) -> AbstractContextManager[None]:
    """What the first process trains while this is open, the others are called to."""
    if ranks.size() == 1:
        return nullcontext()
    return ranks.calling(Call(_trainings(recipe).index(how), folder, title, seed, teacher))


def called_to(recipe: Recipe, call: Call) -> Training:
    """The description of the training that a call is to."""
    return _trainings(recipe)[call.place]


def _trainings(recipe: Recipe) -> list[Training]:
    """All that are described in a recipe, in an order that every process finds."""
    chains = (how for student in recipe.students().values() for _, how in student.chain())
    return [how for how in chains if isinstance(how, Training)]
