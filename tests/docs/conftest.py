"""The reader of a page: an empty folder to work in, small data sets, narrow networks, short trainings."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from given import few
from torch import Tensor, nn

from limbeck import data, distillation, experiment, own, planning, recipes
from limbeck.data import Dataset, Entry
from limbeck.evaluation import cost
from limbeck.models import libraries
from limbeck.models.libraries import Made
from limbeck.recipes import Recipe, Training
from limbeck.shipping import exporting
from limbeck.training import Device, Job, Train

COUNTS = {"train": 40, "test": 40}
SMALL = {
    "timm/resnet50": "timm/test_resnet",
    "timm/mobilenetv3_small_100": "timm/test_resnet",
    "torchvision/mobilenet_v3_small": "torchvision/squeezenet1_1",
}
"""Networks of a page, and the small ones in their place."""


def _read(entry: Entry, folder: Path, split: str) -> Dataset:
    """A few digits by the name of another data set."""
    pictures = few(split, COUNTS[split])
    return Dataset(entry.name, entry.classes, pictures.images, pictures.labels)


def _smaller(make: Callable[[], Recipe]) -> Callable[[], Recipe]:
    """A recipe's smaller relative, of the same name and description."""

    def train(how: Train) -> Train:
        return how.with_(epochs=1, batch_size=16, chunk=2)

    @functools.wraps(make)
    def smaller() -> Recipe:
        recipe = make()
        teacher = recipe.teacher
        if isinstance(teacher, Training):
            student = teacher.student.with_(width=0.0625)
            teacher = teacher.with_(train=train(teacher.train), student=student)
        return recipe.with_(
            train=train(recipe.train),
            student=recipe.student.with_(width=0.0625),
            teacher=teacher,
            protocol=recipe.protocol.with_(seeds=(0,)),
            device=Device(name="cpu", precision="fp32", compile="off", threads=1),
        )

    return smaller


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a reader works in. The data sets are a few digits, the recipes' networks narrow, and every
    training ends after an epoch, whatever a page asks for; pretrained weights are random ones, and a fifth of the
    pictures is held out at most."""
    folder = tmp_path / "reader"
    folder.mkdir()
    monkeypatch.chdir(folder)
    own.read_anew()
    for name in ("digits", "cifar10", "cifar10_1", "cifar100"):
        entry = data.CATALOGUE[name]
        counts = {split: COUNTS[split] for split in entry.counts}
        small = Entry(name, entry.description, entry.classes, counts, 0, functools.partial(_read, entry))
        monkeypatch.setitem(data.CATALOGUE, name, small)
    for name, make in list(recipes.CATALOGUE.items()):
        monkeypatch.setitem(recipes.CATALOGUE, name, _smaller(make))
        monkeypatch.setattr(recipes, name, recipes.CATALOGUE[name])
    fit, hold_out = experiment.fit, data.hold_out

    def briefly(job: Job) -> nn.Module:
        job.train = job.train.with_(epochs=1 if job.train.epochs > 2 else job.train.epochs)
        return fit(job)

    def some_held_out(dataset: Dataset, count: int, *rest: int) -> tuple[Tensor, Tensor]:
        return hold_out(dataset, min(count, len(dataset) // 5), *rest)

    monkeypatch.setattr(data, "hold_out", some_held_out)
    for room in (experiment, distillation):
        monkeypatch.setattr(room, "fit", briefly)
    build = libraries.build

    def built(name: str, num_classes: int, pretrained: bool, *rest: Any) -> Made:
        return build(SMALL.get(name, name), num_classes, False, *rest)

    monkeypatch.setattr(libraries, "build", built)
    monkeypatch.setattr(planning, "_ENOUGH_SECONDS", 0.0)
    monkeypatch.setattr(os, "fsync", lambda stream: None)  # nobody unplugs this machine
    monkeypatch.setattr(exporting, "costs", cost.costs)  # at once, as everywhere in the tests
    return folder
