"""Trainings of the narrow student on a few digits."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from limbeck import streams
from limbeck.data import Dataset
from limbeck.data.views import Views
from limbeck.models.model import Model
from limbeck.objectives import CrossEntropy, Objective
from limbeck.training import SGD, Engine, Job, Schedule, Train

VIEWS = Views(crop=2, flip=True, cutout=4)


@pytest.fixture
def train() -> Train:
    """Three epochs of four steps, the last of them smaller, made two at a time."""
    sgd = SGD(lr=0.02, momentum=0.9, nesterov=True, weight_decay=5e-4)
    return Train(epochs=3, batch_size=32, optimizer=sgd, schedule=Schedule(warmup=1), chunk=2)


@pytest.fixture
def network(pictures: Dataset) -> Callable[..., nn.Module]:
    """Makes a narrow network; equal seeds give equal weights."""

    def make(name: str = "nin_cifar", seed: int = 0, dropout: bool = True) -> nn.Module:
        with streams.seeded(seed, "weights"):
            made = Model(name=name, width=0.0625).build(len(pictures.classes), pictures.statistics())
        for module in made.modules():
            if isinstance(module, nn.Dropout) and not dropout:
                module.p = 0.0
        return made

    return make


@pytest.fixture
def make(
    pictures: Dataset, engine: Engine, train: Train, network: Callable[..., nn.Module], tmp_path: Path
) -> Callable[..., Job]:
    """Makes a job in a folder of its own: the student on labels alone, unless told otherwise."""
    numbers = itertools.count()

    def job(dropout: bool = True, objective: Objective | nn.Module = CrossEntropy(), **changes: Any) -> Job:  # noqa: B008
        plain = {
            "pictures": pictures,
            "teacher": None,
            "views": VIEWS,
            "train": train,
            "seed": 0,
            "view_seed": 5,
            "identity": "a test",
        }
        return Job(
            network=engine.place(network(seed=changes.get("seed", 0), dropout=dropout)),
            objective=objective.build() if isinstance(objective, Objective) else objective,
            engine=engine,
            **{"folder": tmp_path / str(next(numbers)), **plain, **changes},
        )

    return job


@pytest.fixture
def same_bits() -> Callable[[nn.Module, nn.Module], bool]:
    """Whether two networks have the same weights to the last bit."""

    def same(one: nn.Module, other: nn.Module) -> bool:
        pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
        return all(torch.equal(*pair) for pair in pairs)

    return same
