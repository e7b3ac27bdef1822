"""Procedures that are chains of trainings: each makes another recipe of a recipe."""

from __future__ import annotations

from limbeck.errors import LimbeckError
from limbeck.models.model import Model
from limbeck.recipes.recipe import Recipe, Training


def born_again(recipe: Recipe, generations: int = 1) -> Recipe:
    """Born-again networks (Furlanello, Lipton, Tschannen, Itti, Anandkumar, ICML 2018).

    The student that the recipe describes is distilled, and becomes the teacher of a student like itself, as often as
    there are generations, each from a seed of its own. The last generation is what is compared with the student alone.

    Args:
        recipe: its objective needs a teacher.
        generations: 1 or more.

    Raises:
        LimbeckError: no generation, or a recipe without a teacher.
    """
    if generations < 1:
        raise LimbeckError(f"generations = {generations} is not possible: it must be at least 1.")
    return assisted(recipe, *[recipe.student] * generations)


def assisted(recipe: Recipe, *assistants: Model) -> Recipe:
    """Teacher assistants (Mirzadeh, Farajtabar, Li, Levine, Matsukawa, Ghasemzadeh, AAAI 2020).

    The recipe's teacher teaches the first assistant, which teaches the next, and the last one teaches the student. Each
    is trained as the recipe's student is: on the same views, for the same objective, as long.

    Args:
        recipe: its objective needs a teacher.
        assistants: from the largest to the smallest, between the teacher and the student in size.

    Raises:
        LimbeckError: no assistant, or a recipe without a teacher.
    """
    if not assistants:
        raise LimbeckError("there is no assistant. Give at least one Model, between the teacher and the student.")
    if recipe.teacher is None:
        raise LimbeckError(f"recipe {recipe.name} has no teacher for the first of the line to learn from. Give it one.")
    teacher = recipe.teacher
    for model in assistants:
        teacher = Training(
            views=recipe.views, teacher=teacher, student=model, train=recipe.train, objective=recipe.objective
        )
    return recipe.with_(teacher=teacher)
