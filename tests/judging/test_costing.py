"""Whose cost a run measures, and what it says where that cannot be done."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from torch import nn

from limbeck import start
from limbeck.console import Console
from limbeck.evaluation import cost
from limbeck.evaluation.cost import Cost
from limbeck.judging import evaluating
from limbeck.judging.costing import cost_of
from limbeck.models.ensemble import Ensemble
from limbeck.models.model import Model
from limbeck.recipes import Recipe
from limbeck.training import Engine

QUIET = Console(quiet=True, file=io.StringIO())
STATISTICS = ([0.5] * 3, [0.2] * 3)
SHAPE = (32, 32, 3)


def network(width: float = 0.0625) -> nn.Module:
    return Model(name="nin_cifar", width=width).build(10, STATISTICS)


def measured(networks: dict, engine: Engine) -> list[tuple[str, int | None]]:
    found, absent = cost_of(networks, SHAPE, engine, 1.0)
    assert found is not None
    assert absent == []
    return [(row["role"], row["seed"]) for row in found["networks"]]


def test_the_teacher_and_one_student_of_the_first_seed(engine: Engine) -> None:
    students = {(role, seed): network() for seed in (3, 1) for role in ("alone", "distilled")}
    networks = {("teacher", None): network(0.125), **students}
    assert measured(networks, engine) == [("teacher", None), ("distilled", 3)]
    networks["distilled", 3] = Ensemble([network(), network()])
    assert measured(networks, engine) == [("teacher", None), ("alone", 3), ("distilled", 3)]
    assert measured({("alone", 0): network()}, engine) == [("alone", 0)]
    assert measured({("network", None): nn.Flatten()}, engine) == [("network", None)]


def test_what_cannot_be_measured_loses_no_run(tiny: Recipe, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_memory(*_: object, **__: object) -> dict[str, Cost]:
        raise RuntimeError("not enough memory: you tried to allocate 64 GB\nat some place")

    monkeypatch.setattr(cost, "costs", without_memory)
    results = start.run(tiny.with_(protocol=tiny.protocol.with_(seeds=(0,))), Path("out"), console=QUIET).results
    assert results["cost"] is None
    why = "It could not be measured: not enough memory: you tried to allocate 64 GB"
    assert {"what": "cost", "why": why} in results["not_measured"]


def test_it_is_measured_anew_only_where_it_is_asked_for(tiny: Recipe, engine: Engine) -> None:
    recipe = tiny.with_(protocol=tiny.protocol.with_(seeds=(0,)))
    folder = start.run(recipe, Path("out"), console=QUIET).folder
    assert evaluating.evaluate(folder, engine=engine, console=QUIET)["cost"] is None
    found = evaluating.evaluate(folder, engine=engine, console=QUIET, cost=True)["cost"]
    assert found["precision"] == "fp32"
    assert found["device"].endswith("cores")
    assert list(found["networks"][0]) == ["role", "seed", *Cost._fields]
