"""Finding a recipe: by name, or as a Python file of one's own."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path

from limbeck import own
from limbeck.errors import LimbeckError, unknown
from limbeck.recipes.cifar10 import cifar10, cifar10_best, cifar10_cpu
from limbeck.recipes.cifar100 import cifar100, cifar100_fast
from limbeck.recipes.digits import digits
from limbeck.recipes.folder import folder
from limbeck.recipes.lab3 import lab3
from limbeck.recipes.recipe import Recipe, read_recipe

CATALOGUE: dict[str, Callable[[], Recipe]] = {
    "digits": digits,
    "cifar10": cifar10,
    "cifar10_best": cifar10_best,
    "cifar10_cpu": cifar10_cpu,
    "cifar100": cifar100,
    "cifar100_fast": cifar100_fast,
    "folder": folder,
    "lab3": lab3,
}


def find(name: str) -> Recipe:
    """The recipe of that name, the one that a Python file describes, or the recipe.json of an earlier run.

    A Python file describes a recipe by a function that takes nothing and returns one; `path/to/file.py:function`
    chooses among several. The file's code is run: name only files that you trust.

    Raises:
        LimbeckError: there is no such recipe, file or function.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]()
    path, _, function = name.partition(":")
    if path.endswith(".py"):
        return _from_file(Path(path), function)
    if name.endswith(".json"):
        return _from_json(Path(name))
    raise unknown("recipe", name, CATALOGUE, "Type `limbeck recipes` to see them, or give the path of a recipe.py.")


def recipe_of(recipe: Recipe | str | Path, taker: str) -> Recipe:
    """What was given as a recipe; ``taker`` is the function that it was given to.

    Raises:
        LimbeckError: it is none, and no name or path of one.
    """
    if isinstance(recipe, (str, Path)):
        return find(str(recipe))
    if not isinstance(recipe, Recipe):
        called = " Call it: it is a function." if callable(recipe) else ""
        raise LimbeckError(f"{taker} takes a Recipe, or the name or path of one, not {type(recipe).__name__}.{called}")
    return recipe


def describe(name: str) -> str:
    """A recipe's name and what its author says of it: purpose, time, results.

    Raises:
        LimbeckError: there is no such recipe.
    """
    if name not in CATALOGUE:
        raise unknown("recipe", name, CATALOGUE, "Type `limbeck recipes` to see them.")
    said = inspect.getdoc(CATALOGUE[name]) or ""
    return f"{name}\n{textwrap.indent(said, '  ')}\n"


def _from_json(path: Path) -> Recipe:
    if not path.is_file():
        raise LimbeckError(f"recipe file {path} does not exist. Check the path, or type `limbeck recipes`.")
    return read_recipe(path)


def _from_file(path: Path, wanted: str) -> Recipe:
    # A copy that defines an objective of the same name replaces it, as the file itself does when it is read anew.
    module = own.run_file(path, "recipes", "Type `limbeck recipes` to see those that limbeck has.", apart=False)
    functions = {
        name: function
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and not name.startswith("_")
        and not inspect.signature(function).parameters
    }
    if wanted and wanted not in functions:
        raise unknown(f"function in {path}", wanted, functions)
    if not wanted and len(functions) != 1:
        found = f"has {len(functions)}: {', '.join(functions)}" if functions else "has none"
        raise LimbeckError(
            f"recipe file {path} should have one public function that takes nothing and returns a Recipe, but {found}. "
            f"Type {path}:FUNCTION to choose one."
        )
    name = wanted or next(iter(functions))
    with own.running(f"{path}:{name}", path), own.beside(path.resolve().parent):
        recipe = functions[name]()
    if not isinstance(recipe, Recipe):
        raise LimbeckError(f"{path}:{name} returned {type(recipe).__name__}, not a limbeck.Recipe.")
    return recipe
