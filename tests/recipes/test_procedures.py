"""Chains of trainings: who teaches whom, and that they run."""

from __future__ import annotations

from pathlib import Path

import pytest

import limbeck
from limbeck.errors import LimbeckError
from limbeck.models.model import Model
from limbeck.objectives import KD, CrossEntropy
from limbeck.recipes import Recipe, Training, assisted, born_again, digits


def line(recipe: Recipe) -> list[str]:
    """The networks from the student up to the first teacher."""
    titles, training = [recipe.student.title()], recipe.teacher
    while isinstance(training, Training):
        titles.append(training.student.title())
        training = training.teacher
    return titles


def test_a_student_teaches_its_like() -> None:
    recipe = digits()
    student, teacher = recipe.student.title(), line(recipe)[1]
    assert line(born_again(recipe)) == [student, student, teacher]
    twice = born_again(recipe, generations=2)
    assert line(twice) == [student, student, student, teacher]
    assert isinstance(twice.teacher, Training)
    assert (twice.teacher.train, twice.teacher.views, twice.teacher.objective) == (
        recipe.train,
        recipe.views,
        recipe.objective,
    )
    assert twice.with_(teacher=recipe.teacher) == recipe


def test_assistants_stand_between() -> None:
    recipe = digits()
    models = Model(name="nin_cifar", width=0.5), Model(name="nin_cifar", width=0.375)
    student, teacher = line(recipe)
    assert line(assisted(recipe, *models)) == [student, "nin_cifar x0.375", "nin_cifar x0.5", teacher]


def test_every_generation_is_trained_once(tiny_recipe: Recipe, tmp_path: Path) -> None:
    folder = limbeck.run(born_again(tiny_recipe.with_(objective=KD())), tmp_path / "out").folder
    found = {path.parent.relative_to(folder).as_posix() for path in folder.rglob("weights.safetensors")}
    students = {f"seed{seed}/{role}" for seed in (0, 1) for role in ("alone", "distilled")}
    assert found == {"teacher/teacher", "teacher", *students}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: born_again(digits(), 0), "generations = 0 is not possible: it must be at least 1"),
        (lambda: assisted(digits()), "there is no assistant"),
        (
            lambda: born_again(digits().with_(teacher=None, objective=CrossEntropy())),
            "recipe digits has no teacher for the first of the line",
        ),
    ],
)
def test_mistakes(make, message: str) -> None:
    with pytest.raises(LimbeckError, match=message):
        make()
