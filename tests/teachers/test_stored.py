"""Stored logits: the live ones rounded, asked for once, replayed to any seed and order, made again where damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from limbeck import streams
from limbeck.data import Dataset
from limbeck.data.views import Views, make_views
from limbeck.models.model import Model
from limbeck.objectives import Outputs
from limbeck.teachers import LiveTeacher, StoredLogits
from limbeck.training import Engine

VIEWS = Views(crop=2)


class Counting:
    """A live teacher that remembers how many views it was asked about."""

    def __init__(self, live: LiveTeacher) -> None:
        self.live, self.asked = live, 0

    def outputs(self, index: Tensor, views_NCHW: Tensor, epoch: int) -> Outputs:
        self.asked += len(index)
        return self.live.outputs(index, views_NCHW, epoch)


Epoch = Callable[..., Tensor]


@pytest.fixture
def live(pictures: Dataset, engine: Engine) -> Counting:
    with streams.seeded(0, "weights"):
        network = Model(name="alexnet_cifar", width=0.0625).build(10, pictures.statistics())
    return Counting(LiveTeacher(network, engine))


@pytest.fixture
def epoch(pictures: Dataset) -> Epoch:
    """Asks a teacher about every view of an epoch, in a seed's order; (pictures, classes) in the pictures' order."""

    def ask(
        teacher: StoredLogits | Counting, number: int = 0, seed: int = 0, chunk: int = 50, stop: int = 120
    ) -> Tensor:
        answers = torch.full((120, 10), torch.nan)
        for index in streams.order(seed, number, 120)[:stop].split(chunk):
            views = make_views(pictures.fetch(index), index, VIEWS, 0, number)
            answers[index] = teacher.outputs(index, views, number).logits
        return answers

    return ask


def test_they_are_the_live_ones_rounded_to_half_precision(live: Counting, epoch: Epoch, tmp_path: Path) -> None:
    expected = epoch(live).half().float()
    assert not torch.equal(expected, epoch(live))
    stored = StoredLogits(live, tmp_path / "logits", 120)
    assert torch.equal(epoch(stored), expected)
    assert torch.equal(epoch(stored), expected)
    assert torch.equal(epoch(StoredLogits(live, tmp_path / "logits", 120)), expected)


def test_they_are_asked_for_once_and_replayed_for_another_seed_and_order(
    live: Counting, epoch: Epoch, tmp_path: Path
) -> None:
    stored = StoredLogits(live, tmp_path, 120)
    first = [epoch(stored, number, seed=0) for number in range(3)]
    assert live.asked == 3 * 120
    for replaying in (stored, StoredLogits(live, tmp_path, 120)):
        again = [epoch(replaying, number, seed=1, chunk=17) for number in range(3)]
        assert all(map(torch.equal, first, again))
    assert live.asked == 3 * 120
    assert not torch.equal(first[0], first[1])
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"epoch000{number}.npz" for number in (1, 2, 3)]
    with np.load(tmp_path / "epoch0002.npz") as table:
        assert (table["logits"].dtype, table["logits"].shape) == (np.float16, (120, 10))


def test_a_partial_epoch_is_discarded(live: Counting, epoch: Epoch, tmp_path: Path) -> None:
    expected = epoch(live).half().float()
    epoch(StoredLogits(live, tmp_path, 120), stop=100)
    assert not list(tmp_path.iterdir())
    live.asked = 0
    assert torch.equal(epoch(StoredLogits(live, tmp_path, 120)), expected)
    assert live.asked == 120


def test_an_epoch_begun_twice_in_one_process_has_no_holes(live: Counting, epoch: Epoch, tmp_path: Path) -> None:
    expected = epoch(live).half().float()
    stored = StoredLogits(live, tmp_path, 120)
    epoch(stored, seed=0, stop=100)
    assert torch.equal(epoch(stored, seed=1), expected)
    assert torch.equal(epoch(StoredLogits(live, tmp_path, 120), seed=2), expected)


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def _altered(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _other_pictures(path: Path) -> None:
    np.savez(path, logits=np.zeros((119, 10), np.float16))


def _other_precision(path: Path) -> None:
    np.savez(path, logits=np.zeros((120, 10), np.float32))


def _other_file(path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, np.zeros((120, 10), np.float16))


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    "damage", [_truncated, _altered, _other_pictures, _other_precision, _other_file, _empty, Path.unlink]
)
def test_a_damaged_table_is_made_again(
    live: Counting, epoch: Epoch, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    expected = epoch(StoredLogits(live, tmp_path, 120))
    path = tmp_path / "epoch0001.npz"
    damage(path)
    live.asked = 0
    assert torch.equal(epoch(StoredLogits(live, tmp_path, 120)), expected)
    assert live.asked == 120
    with np.load(path) as table:
        assert np.array_equal(table["logits"], expected.numpy())
