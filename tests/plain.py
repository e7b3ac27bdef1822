"""A recipe to type options for, and what is said to them."""

from __future__ import annotations

from typing import Any

import pytest

from limbeck.data.views import RandAugment, Views
from limbeck.errors import LimbeckError
from limbeck.models.model import Model
from limbeck.objectives import KD
from limbeck.options import parse
from limbeck.recipes import Recipe, Training
from limbeck.training import AdamW, Train

PLAIN = Recipe(
    name="plain",
    views=Views(crop=3, flip=False),
    teacher=Training(student=Model(name="alexnet_cifar", width=0.5), train=Train(epochs=20)),
    train=Train(epochs=15, clip=2.0),
    objective=KD(),
)
AUGMENTED = PLAIN.with_(teacher=Training(views=Views(policy=RandAugment()), train=Train(optimizer=AdamW())))


def parsed(*words: str, recipe: Recipe = PLAIN) -> Recipe:
    return parse(recipe, words, "limbeck run plain")[0]


def at(recipe: Recipe, path: str) -> Any:
    value: Any = recipe
    for part in path.split("."):
        value = getattr(value, part)
    return value


def refusal(*words: str, recipe: Recipe = PLAIN) -> str:
    """The message of a `LimbeckError`."""
    with pytest.raises(LimbeckError) as caught:
        parsed(*words, recipe=recipe)
    return str(caught.value)
