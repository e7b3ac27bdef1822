"""Fields by path, and where several descriptions are not the same."""

from __future__ import annotations

from limbeck.recipes.fields import ABSENT, apart, leaves


def test_leaves_are_fields_by_their_path() -> None:
    description = {"name": "x", "train": {"epochs": 3, "schedule": {"warmup": 1}}, "seeds": [0, 1], "teacher": None}
    paths = {"name": "x", "train.epochs": 3, "train.schedule.warmup": 1, "seeds": [0, 1], "teacher": None}
    assert leaves(description) == paths


def test_only_what_differs_with_the_values_of_all() -> None:
    one = {"train": {"epochs": 3, "clip": None}, "objective": {"name": "kd", "temperature": 4}}
    two = {"train": {"epochs": 3, "clip": 2.0}, "objective": {"name": "dkd", "temperature": 4, "beta": 8}}
    assert apart([one, two, one]) == {
        "train.clip": [None, 2.0, None],
        "objective.name": ["kd", "dkd", "kd"],
        "objective.beta": [ABSENT, 8, ABSENT],
    }
    assert apart([one, one]) == {}


def test_what_is_of_another_kind_differs_as_a_whole_and_its_like_in_fields() -> None:
    trained, longer = ({"student": {"width": 1}, "train": {"epochs": epochs}} for epochs in (3, 4))
    weights = {"name": "weights", "path": "w.safetensors"}
    found = apart([{"teacher": each} for each in (trained, weights, None, longer)])
    assert found == {"teacher": [trained, weights, None, longer], "teacher.train.epochs": [3, ABSENT, ABSENT, 4]}
    assert apart([{"teacher": trained}, {"teacher": weights}]) == {"teacher": [trained, weights]}
    assert apart([{"teacher": trained}, {"teacher": longer}]) == {"teacher.train.epochs": [3, 4]}
