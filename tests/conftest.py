"""A data set of a few pictures, and the smallest recipe that goes through every stage."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

if "PYTEST_XDIST_WORKER" in os.environ:  # a thread for each of several workers, and for what they start
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.pop("COLUMNS", None)

import pytest
import torch
from plain import PLAIN

from limbeck import data, recipes, start
from limbeck.cli import main
from limbeck.console import Console
from limbeck.data import CATALOGUE, Dataset, Entry, digits
from limbeck.data.views import Views
from limbeck.evaluation import cost
from limbeck.evaluation.cost import Cost
from limbeck.models.model import Model
from limbeck.objectives import KD
from limbeck.recipes import Data, Protocol, Recipe, Training
from limbeck.training import SGD, Device, Engine, Schedule, Train, choose

COUNTS = {"train": 120, "test": 40}


COST = Cost(1000, 2000, 4000, 0.5, 0.75, 1000.0, 256, None, 5)


@pytest.fixture(autouse=True)
def costs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every network costs the same, on an idle machine, and nobody waits for a stopwatch.

    `limbeck.evaluation.cost` has its own tests.
    """
    monkeypatch.setattr(cost, "costs", lambda networks, *rest, **more: dict.fromkeys(networks, COST))
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0), raising=False)


@functools.cache
def _read(split: str) -> Dataset:
    pictures = digits.read(Path(), split).subset(torch.arange(COUNTS[split]))
    return Dataset("few", pictures.classes, pictures.images, pictures.labels)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a data set of 120 + 40 digits, known to limbeck while the test runs."""
    entry = Entry(
        "few", "a few digits", tuple("0123456789"), COUNTS, download=0, read=lambda folder, split: _read(split)
    )
    monkeypatch.setitem(CATALOGUE, "few", entry)
    return "few"


@pytest.fixture(autouse=True)
def no_pages(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs make no pages, which take seconds, but in tests that are marked `page`."""
    if "page" not in request.keywords:
        monkeypatch.setattr(start, "page_of", lambda folder, console: None)


@pytest.fixture
def pictures() -> Dataset:
    """The 120 pictures that there are to train on."""
    return _read("train")


@pytest.fixture
def engine() -> Engine:
    """One CPU thread, float32: the same bits on every start."""
    return choose(Device(name="cpu", precision="fp32", compile="off", threads=1))


@pytest.fixture
def tiny_recipe(few: str) -> Recipe:
    """All the stages in a second: 88 pictures to train on, 32 held out, 40 to test on, two seeds."""
    train = Train(epochs=2, batch_size=32, optimizer=SGD(lr=0.02), schedule=Schedule(warmup=1), clip=2.0, chunk=2)
    views = Views(crop=2, flip=False)
    return Recipe(
        name="tiny",
        data=Data(name=few),
        views=views,
        teacher=Training(views=views, student=Model(name="alexnet_cifar", width=0.0625), train=train),
        student=Model(name="nin_cifar", width=0.0625),
        train=train,
        objective=KD(temperature=4, weight=0.9, labels=0.1),
        protocol=Protocol(seeds=(0, 1), holdout=32),
        device=Device(name="cpu", precision="fp32", compile="off", threads=1),
    )


@pytest.fixture
def tiny(tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """The tiny recipe, known to the command line as `tiny`, in an empty working folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setitem(recipes.CATALOGUE, "tiny", lambda: tiny_recipe)
    return tiny_recipe


@pytest.fixture
def fails(tiny: Recipe, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must fail as a user's mistake does; returns what it said on the error output."""

    def run(*words: str) -> str:
        code = main(words)
        said = capsys.readouterr()
        assert code == 2, said
        assert "Traceback" not in said.out + said.err
        return said.err

    return run


@pytest.fixture
def splits_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The splits that are loaded during a test, in that order."""
    splits: list[str] = []
    load = data.load

    def remembering(name: str, split: Any, console: Console | None = None, *more: Any) -> Dataset:
        splits.append(split)
        return load(name, split, console, *more)

    monkeypatch.setattr(data, "load", remembering)
    return splits


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run of the plain recipe, which is runs/x from where the test works."""
    monkeypatch.chdir(tmp_path)
    for network in ("teacher", "seed0/alone"):
        (tmp_path / "runs" / "x" / network).mkdir(parents=True)
        (tmp_path / "runs" / "x" / network / "weights.safetensors").touch()
    Path("runs/x/recipe.json").write_text(PLAIN.model_dump_json())
    return Path("runs/x")
