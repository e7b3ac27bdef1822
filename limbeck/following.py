"""The trainings of a run in several processes: the first one calls the others to each, and they follow."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import nn

from limbeck.errors import TrainingError
from limbeck.processes import ranks
from limbeck.recipes.recipe import Recipe, Training

if TYPE_CHECKING:
    from limbeck.experiment import Experiment


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


def follow(made: Callable[[], Experiment]) -> Any:
    """Takes part in every training that the first process calls to.

    Args:
        made: makes this process's experiment, once the first training begins: the first process has fetched the data
            by then.

    Returns:
        what the first process tells at the end.

    Raises:
        SystemExit: the first process ends with an error, of which it has spoken.
    """
    experiment: Experiment | None = None
    teachers: dict[Path, nn.Module] = {}
    while isinstance(told := ranks.told(), Call):
        experiment = experiment or made()
        how, teacher = _trainings(experiment.recipe)[told.place], None
        if told.teacher is not None:
            if told.teacher not in teachers:
                teachers = {told.teacher: experiment.engine.place(experiment.loaded(told.teacher))}
            teacher = teachers[told.teacher]
        try:
            experiment.train(how, told.folder, told.title, told.seed, teacher)
        except TrainingError as error:
            if not error.lasting:
                raise  # nobody else knows of it
    if told is None:
        raise SystemExit(2)
    return told


def _trainings(recipe: Recipe) -> list[Training]:
    """All that are described in a recipe, in an order that every process finds."""
    chains = (how for student in recipe.students().values() for _, how in student.chain())
    return [how for how in chains if isinstance(how, Training)]
