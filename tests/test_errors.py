"""The wording of the errors that a user sees."""

from __future__ import annotations

import pytest

from limbeck.errors import LimbeckError, nearest, unknown


@pytest.mark.parametrize(
    ("typed", "near"),
    [("epoch", "epochs"), ("epohcs", "epochs"), ("optimiser", "optimizer"), ("zzz", None), ("", None)],
)
def test_the_nearest_name(typed: str, near: str | None) -> None:
    assert nearest(typed, ["optimizer", "epochs", "clip"]) == near


def test_nothing_is_near_where_nothing_is_known() -> None:
    assert nearest("epochs", []) is None


def test_an_unknown_name_with_one_that_is_near() -> None:
    error = unknown("model", "nin", ["nin_cifar", "alexnet_cifar"], "Type `limbeck summary NAME`.")
    assert isinstance(error, LimbeckError)
    assert str(error) == (
        "unknown model 'nin'. Did you mean 'nin_cifar'? Known: alexnet_cifar, nin_cifar. Type `limbeck summary NAME`."
    )


def test_an_unknown_name_with_none_that_is_near() -> None:
    assert str(unknown("colour", "xyz", iter(["red", "blue"]))) == "unknown colour 'xyz'. Known: blue, red."


def test_an_unknown_name_where_nothing_is_known() -> None:
    assert str(unknown("function", "f", [])) == "unknown function 'f'. Known: none."
