"""Hugging Face data sets, from a folder that `save_to_disk` wrote; without the package it is said what is missing."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from limbeck.data import Collection, Reading
from limbeck.errors import LimbeckError

ALL = Reading(size=12, val_share=0, test_share=0)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LimbeckError) as caught:
        Collection("hf/owner/name", ALL)
    assert str(caught.value) == (
        "hf/owner/name needs the package datasets, which is not installed. Type: pip install datasets"
    )


@pytest.fixture
def saved(flowers: Path) -> Any:
    """Writes the flowers as a Hugging Face data set."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        datasets = pytest.importorskip("datasets", reason="needs limbeck[datasets]")
    files = sorted(flowers.rglob("*.png"))

    def table(some: list[Path], kind: str = "names") -> Any:
        labels = [("rose", "tulip").index(file.relative_to(flowers).parts[0]) for file in some]
        features = {"picture": datasets.Image(), "name": datasets.Value("string")}
        rows = {"picture": [str(file) for file in some], "name": [file.name for file in some]}
        if kind == "names":
            features["kind"], rows["kind"] = (
                datasets.ClassLabel(names=["tulip", "rose"]),
                [1 - label for label in labels],
            )
        elif kind == "texts":
            features["label"], rows["label"] = datasets.Value("string"), [("rose", "tulip")[label] for label in labels]
        return datasets.Dataset.from_dict(rows, features=datasets.Features(features))

    def save(kind: str = "names", **splits: slice) -> str:
        datasets.disable_progress_bars()
        made = {split: table(files[some], kind) for split, some in splits.items()}
        (datasets.DatasetDict(made) if splits else table(files, kind)).save_to_disk("saved")
        return "saved"

    return save


@pytest.mark.filterwarnings("ignore")  # of the package and what it brings along
class TestSaved:
    def test_the_pictures_are_those_of_the_folder(self, saved: Any, quiet) -> None:
        found = Collection(saved(), ALL)
        assert found.classes == ("tulip", "rose")  # in the order that it gives them
        made, plain = found.load("train", quiet), Collection("flowers", ALL).load("train", quiet)
        assert torch.equal(made.images, plain.images)
        assert torch.equal(made.labels, 1 - plain.labels)

    def test_its_splits(self, saved: Any) -> None:
        found = Collection(saved(train=slice(10), validation=slice(10, 14), test=slice(14, 20)), ALL)
        assert found.counts == {"train": 10, "val": 4, "test": 6}

    def test_labels_may_be_texts(self, saved: Any) -> None:
        assert Collection(saved("texts"), ALL).classes == ("rose", "tulip")

    def test_columns_that_cannot_be_found(self, saved: Any) -> None:
        name = saved("none")
        with pytest.raises(
            LimbeckError, match=r"^saved has no column of labels. Its columns: picture, name\. Type --data"
        ):
            _ = Collection(name, ALL).listing
        assert len(Collection(name, ALL.with_(label="name")).classes) == 20
        with pytest.raises(
            LimbeckError, match=r"^saved has no column 'img'. It has: picture, name\. Type --data\.image"
        ):
            _ = Collection(name, ALL.with_(image="img")).listing
