"""`limbeck.check_setup`: mistakes in the pictures that networks are given are named."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from setups import CLASSES, MEAN, STD, Setup, raw, wrong
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from limbeck.errors import LimbeckError
from limbeck.models.normalised import Normalised


@pytest.fixture
def setup() -> Setup:
    return Setup()


@pytest.mark.parametrize("given", ["raw", "bytes", "half"])
def test_pictures_normalised_otherwise(setup: Setup, given: str) -> None:
    pictures, labels = raw(256, 1)
    tested, marks = raw(128, 2)
    how = {"raw": lambda x: x, "bytes": lambda x: 255 * x, "half": lambda x: 2 * x - 1}[given]
    setup.loader = DataLoader(TensorDataset(how(pictures), labels), 64)
    setup.more["test"] = DataLoader(TensorDataset(how(tested), marks), 64)
    report = setup.check()
    assert wrong(report) == {"normalisation"}
    assert "and on 100% with ImageNet's mean and deviation" in report["normalisation"].finding


def test_a_teacher_that_knows_nothing(setup: Setup) -> None:
    setup.teacher = nn.Sequential(nn.Flatten(), nn.Linear(192, CLASSES)).eval().requires_grad_(False)
    nn.init.zeros_(setup.teacher[1].weight)
    report = setup.check()
    assert report["normalisation"].verdict == "look"
    assert "as by chance" in report["normalisation"].finding


def test_normalised_twice(setup: Setup) -> None:
    setup.student = Normalised(setup.student, MEAN, STD)
    report = setup.check()
    assert wrong(report) == {"student's pixels"}
    assert "though it normalises [0, 1] by itself" in report["student's pixels"].finding


class Shifted(Dataset[Any]):
    """Random crops, as in training."""

    def __init__(self, of: Dataset[Any]) -> None:
        self.of = of

    def __len__(self) -> int:
        return len(self.of)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Any:
        picture, label = self.of[index]
        return picture.roll(int(torch.randint(8, ())), 2), label


@pytest.mark.parametrize("shuffle", [False, True])
def test_an_augmented_test_set(setup: Setup, shuffle: bool) -> None:
    setup.more["test"] = DataLoader(Shifted(setup.tests), 64, shuffle=shuffle)
    report = setup.check()
    assert wrong(report) == {"test set"}
    assert report["test set"].finding.startswith("augmented")
    setup.more["test"] = DataLoader(setup.tests, 64, shuffle=shuffle)
    assert setup.check()["test set"].verdict == "ok"


def test_a_test_set_normalised_otherwise(setup: Setup) -> None:
    tested, marks = raw(128, 2)
    setup.more["test"] = [(tested, marks)]
    report = setup.check()
    assert wrong(report) == {"test pictures"}
    assert "normalised otherwise (training and test: " in report["test pictures"].finding


def test_selection_by_the_test_set(setup: Setup) -> None:
    setup.more["selection"] = DataLoader(setup.tests, 32)
    report = setup.check()
    assert wrong(report) == {"selection"}
    assert report["selection"].finding == "the very test set"
    copied = TensorDataset(*(x.clone() for x in setup.tests.tensors))  # type: ignore[attr-defined]
    setup.more["selection"] = DataLoader(copied, 32)
    assert setup.check()["selection"].finding == "128 of 128 pictures are test pictures"


def test_training_on_test_pictures(setup: Setup) -> None:
    images, labels = setup.tests.tensors  # type: ignore[attr-defined]
    setup.loader = [(setup.images, setup.labels), (images[:9], labels[:9])]
    report = setup.check()
    assert wrong(report) == {"test pictures in training"}
    assert report["test pictures in training"].finding == "9 of 265 pictures are test pictures"


@pytest.mark.parametrize(
    ("spoil", "finding"),
    [
        (lambda said: said, "the teacher says the same"),
        (lambda said: said.half(), "the teacher says the same"),
        (lambda said: said.roll(1, 0), "those of other pictures: the order differs"),
        (lambda said: torch.randn(said.shape), "not what the teacher says now"),
    ],
)
def test_stored_outputs(setup: Setup, spoil: Any, finding: str) -> None:
    with torch.no_grad():
        said = spoil(setup.teacher(setup.images))
    setup.loader = DataLoader(TensorDataset(setup.images, setup.labels, said), 64)
    report = setup.check()
    assert report["stored outputs"].finding.startswith(finding)
    assert report.ok == (finding == "the teacher says the same")


@pytest.mark.parametrize(
    ("loader", "message"),
    [
        ([], "loader yields nothing"),
        ([3], "loader yields int, not batches"),
        ([(torch.zeros(2, 3), torch.zeros(2))], r"loader yields \(2, 3\), not batches"),
    ],
)
def test_a_loader_of_something_else(setup: Setup, loader: Any, message: str) -> None:
    setup.loader = loader
    with pytest.raises(LimbeckError, match=message):
        setup.check()
