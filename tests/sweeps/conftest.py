"""The tiny recipe for a sweep: one epoch, one seed, so that a training takes a few steps."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from torch import nn

from limbeck import experiment, recipes
from limbeck.console import Console
from limbeck.recipes import Recipe, Training
from limbeck.training import Job

QUIET = Console(quiet=True, file=io.StringIO())


@pytest.fixture
def brief(tiny: Recipe, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """The tiny recipe with one epoch and one seed, known to the command line as `brief`."""
    train = tiny.train.with_(epochs=1)
    assert isinstance(tiny.teacher, Training)
    recipe = tiny.with_(
        name="brief",
        train=train,
        teacher=tiny.teacher.with_(train=train),
        protocol=tiny.protocol.with_(seeds=(0,)),
    )
    monkeypatch.setitem(recipes.CATALOGUE, "brief", lambda: recipe)
    return recipe


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Every training that is begun during a test."""
    jobs: list[Job] = []
    fit = experiment.fit

    def remembering(job: Job) -> nn.Module:
        jobs.append(job)
        return fit(job)

    monkeypatch.setattr(experiment, "fit", remembering)
    return jobs


@pytest.fixture
def refusal(fails: Callable[..., str], brief: Recipe, trained: list[Job]) -> Callable[..., str]:
    """What `limbeck sweep brief` says of a mistake, which it must find before anything is trained."""

    def said(*words: Any) -> str:
        message = fails("sweep", "brief", *words)
        assert trained == []
        return message

    return said


@pytest.fixture
def stopped(trained: list[Job], monkeypatch: pytest.MonkeyPatch) -> Callable[[int, type[BaseException]], Any]:
    """A context in which the training after so many raises an error in place of beginning."""

    @contextlib.contextmanager
    def after(count: int, error: type[BaseException]) -> Iterator[None]:
        with monkeypatch.context() as patched:
            fit = experiment.fit

            def stopping(job: Job) -> nn.Module:
                if len(trained) == count:
                    raise error
                return fit(job)

            patched.setattr(experiment, "fit", stopping)
            yield

    return after
