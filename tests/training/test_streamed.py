"""Pictures from the disk train the same weights as pictures in memory, bit for bit; those without a label, too."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from limbeck.console import Console
from limbeck.data import Collection, Dataset, Reading
from limbeck.data.mixing import Mixup
from limbeck.data.views import Views
from limbeck.evaluation import predict
from limbeck.evaluation.metrics import accuracy
from limbeck.objectives import KD
from limbeck.teachers import LiveTeacher
from limbeck.training import SGD, Engine, Job, Train, fit

Make = Callable[..., Job]
READING = Reading(val_share=0, test_share=0, workers=3)


@pytest.fixture
def folder(pictures: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty digits as files."""
    monkeypatch.setenv("LIMBECK_DATA", str(tmp_path / "cache"))
    for number in range(40):
        place = tmp_path / "digits" / str(int(pictures.labels[number]))
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pictures.images[number].numpy()).resize((40, 36)).save(place / f"{number}.png")
    return tmp_path / "digits"


def read(folder: Path, memory: float) -> Dataset:
    return Collection(str(folder), READING.with_(memory=memory)).load("train", Console(quiet=True))


@pytest.mark.parametrize("ema", [None, 0.9])
def test_the_same_weights(
    make: Make,
    folder: Path,
    network: Callable[..., torch.nn.Module],
    engine: Engine,
    tmp_path: Path,
    ema: float | None,
) -> None:
    trained = []
    for memory in (1, 0):
        job = make(
            pictures=read(folder, memory),
            objective=KD(temperature=4).build(),
            teacher=LiveTeacher(network("alexnet_cifar", seed=9), engine),
            views=Views(crop=2, resized_crop=(0.5, 1), mix=Mixup(probability=0.5)),
            train=Train(epochs=2, batch_size=8, optimizer=SGD(lr=0.05), chunk=2, ema=ema),
        )
        student = fit(job)
        trained.append((student.state_dict(), predict(student, job.pictures, engine, at_once=7)))
    (resident, said), (streamed, also) = trained
    assert all(torch.equal(resident[name], streamed[name]) for name in resident)
    assert torch.equal(said, also)


@pytest.mark.parametrize("every", [1, 2, 40])
def test_accuracy_is_of_those_that_have_a_label(make: Make, pictures: Dataset, engine: Engine, every: int) -> None:
    labels = torch.full((40,), -1)
    labels[::every] = pictures.labels[:40:every]
    some = Dataset("some", pictures.classes, pictures.images[:40], labels)
    train = Train(epochs=1, batch_size=20, optimizer=SGD(lr=1e-12))  # so that the weights stay what they are
    job = make(dropout=False, pictures=some, train=train, views=Views(crop=0, flip=False))
    network = fit(job)
    (row,) = map(json.loads, (job.folder / "metrics.jsonl").read_text().splitlines())
    assert row["accuracy"] == pytest.approx(accuracy(predict(network, some, engine), labels))


def test_without_any_label_there_is_no_accuracy(make: Make, pictures: Dataset) -> None:
    none = Dataset("none", pictures.classes, pictures.images[:40], torch.full((40,), -1))
    job = make(pictures=none)
    fit(job)
    assert all("accuracy" not in json.loads(row) for row in (job.folder / "metrics.jsonl").read_text().splitlines())
