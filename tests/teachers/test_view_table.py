"""The table of all crops and flips: what the live teacher says of any view, rounded, without asking it again."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from limbeck import streams
from limbeck.console import Console
from limbeck.data import Dataset
from limbeck.data.mixing import Mixup
from limbeck.data.views import RandAugment, Views, make_views, variants
from limbeck.errors import LimbeckError
from limbeck.models.model import Model
from limbeck.objectives import Outputs
from limbeck.teachers import Assignment, LiveTeacher, Stored, Table, labelling
from limbeck.training import Engine

VIEWS = Views(crop=1)  # 18 of each picture


@pytest.fixture
def asked(pictures: Dataset, engine: Engine, tmp_path: Path) -> Assignment:
    with streams.seeded(0, "weights"):
        network = Model(name="alexnet_cifar", width=0.0625).build(10, pictures.statistics())
    return Assignment(network, engine, pictures, VIEWS, 0, tmp_path, Console(file=io.StringIO()))


def live(asked: Assignment, index: Tensor, epoch: int) -> Tensor:
    """What the teacher says of some views of an epoch, asked about them together, and rounded."""
    views = make_views(asked.pictures.fetch(index), index, asked.views, asked.view_seed, epoch)
    return LiveTeacher(asked.network, asked.engine).outputs(index, views, epoch).logits.half().float()


@pytest.mark.parametrize("views", [VIEWS, Views(crop=0), Views(crop=0, flip=False), Views(crop=1, flip=False)])
def test_it_says_what_the_live_teacher_says(asked: Assignment, views: Views) -> None:
    """To the bit where as many pictures are asked about together; else batches may round a logit the other way."""
    asked = replace(asked, views=views)
    table, index = Table().build(asked), torch.arange(120)
    seen = [table.outputs(index, torch.empty(0), epoch).logits for epoch in range(3)]
    assert all(torch.equal(logits, live(asked, index, epoch)) for epoch, logits in enumerate(seen))
    assert (variants(views) == 1) == torch.equal(seen[0], seen[1])
    some = streams.order(3, 0, 120)[:50]
    torch.testing.assert_close(
        table.outputs(some, torch.empty(0), 1).logits, live(asked, some, 1), rtol=2e-3, atol=1e-5
    )


def test_it_asks_once_for_all_epochs_and_view_seeds(asked: Assignment, views_asked: list[int]) -> None:
    Table().build(asked)
    assert sum(views_asked) == 18 * 120
    index = torch.arange(120)
    other = replace(asked, view_seed=5)
    found = Table().build(other).outputs(index, torch.empty(0), 2)
    assert sum(views_asked) == 18 * 120
    assert torch.equal(found.logits, live(other, index, 2))
    assert not torch.equal(found.logits, live(asked, index, 2))


def test_one_that_was_stopped_goes_on_where_it_was(
    asked: Assignment, views_asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Table(folder=asked.folder / "whole").build(asked)
    views_asked.clear()
    answer = LiveTeacher.outputs

    def stopping(teacher: LiveTeacher, *rest: Any) -> Outputs:
        if len(views_asked) == 7:
            raise KeyboardInterrupt
        return answer(teacher, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(LiveTeacher, "outputs", stopping)
        with pytest.raises(KeyboardInterrupt):
            Table().build(asked)
    (folder,) = (path for path in asked.folder.iterdir() if path.name != "whole")
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["key.json", *(f"view{number:04d}.npz" for number in range(7))]
    (folder / "view0003.npz").write_bytes(b"damaged")
    table = Table().build(asked)
    assert sum(views_asked) == (7 + 11 + 1) * 120
    index = torch.arange(120)
    assert torch.equal(table.outputs(index, index, 0).logits, whole.outputs(index, index, 0).logits)
    said = asked.console.rich.file.getvalue()  # type: ignore[attr-defined]
    assert f"{folder / 'view0003.npz'} is damaged: the teacher is asked again wherever a table" in said


@pytest.mark.parametrize("way", [Stored(), Table()])
def test_features_and_mixed_views_are_refused(asked: Assignment, way: Stored | Table) -> None:
    with pytest.raises(
        LimbeckError, match=rf"logits = '{way.name}' keeps a teacher's logits, but the .*\(features\.a\)"
    ):
        way.check(replace(asked, taps=("features.a",)))
    with pytest.raises(LimbeckError, match=rf"logits = '{way.name}' keeps one answer a view, but views\.mix = 'mixup'"):
        way.check(replace(asked, views=Views(mix=Mixup())))
    way.check(asked)


@pytest.mark.parametrize(
    ("views", "which"),
    [
        (Views(policy=RandAugment()), "'randaugment'"),
        (Views(cutout=4), "4"),
        (Views(resized_crop=(0.3, 1)), r"\(0\.3, 1\.0\)"),
    ],
)
def test_other_augmentations_are_refused(asked: Assignment, views: Views, which: str) -> None:
    with pytest.raises(LimbeckError, match=rf"is of every crop and flip of a picture, but views\.\w+ = {which} makes"):
        Table().check(replace(asked, views=views))
    Stored().check(replace(asked, views=views))


def test_what_is_too_large_is_refused_before_it_begins(asked: Assignment, monkeypatch: pytest.MonkeyPatch) -> None:
    bytes_taken = 18 * 120 * 10 * 2
    monkeypatch.setattr(labelling, "capacity", lambda device: 2 * bytes_taken)
    Table().check(asked)
    monkeypatch.setattr(labelling, "capacity", lambda device: 2 * bytes_taken - 1)
    message = (
        r"would take 0\.1 MB of memory \(18 views x 120 pictures x 10 classes x 2 bytes\), more than half of the .*cpu"
    )
    with pytest.raises(LimbeckError, match=message):
        Table().check(asked)


def test_a_file_in_the_way_is_found_before_anything_is_trained(asked: Assignment, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(LimbeckError, match=r"^logits\.folder = .*file.*: .*file is a file\. Type --logits\.folder"):
            Stored(folder=folder).check(asked)
    Stored(folder=tmp_path / "not" / "yet" / "there").check(asked)
    assert not (tmp_path / "not").exists()
