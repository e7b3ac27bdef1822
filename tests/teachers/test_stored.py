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
from limbeck.files import read_json
from limbeck.models.model import Model
from limbeck.objectives import Outputs
from limbeck.teachers import Answers, LiveTeacher, StoredLogits
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


def kept(teacher: Counting, folder: Path, said: list[str] | None = None, of: str = "this") -> StoredLogits:
    """The teacher with its answers kept; ``of`` stands for all that they depend on."""
    say = (lambda text: None) if said is None else said.append
    return StoredLogits(teacher, Answers(folder, {"teacher": of}, (120, 10), "somebody on digits", say))


def only(folder: Path) -> Path:
    """The folder of the one key that there is."""
    (path,) = folder.iterdir()
    return path


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
    stored = kept(live, tmp_path / "answers")
    assert torch.equal(epoch(stored), expected)
    assert torch.equal(epoch(stored), expected)
    assert torch.equal(epoch(kept(live, tmp_path / "answers")), expected)


def test_they_are_asked_for_once_and_replayed_for_another_seed_and_order(
    live: Counting, epoch: Epoch, tmp_path: Path
) -> None:
    stored = kept(live, tmp_path)
    first = [epoch(stored, number, seed=0) for number in range(3)]
    assert live.asked == 3 * 120
    for replaying in (stored, kept(live, tmp_path)):
        again = [epoch(replaying, number, seed=1, chunk=17) for number in range(3)]
        assert all(map(torch.equal, first, again))
    assert live.asked == 3 * 120
    assert not torch.equal(first[0], first[1])
    folder = only(tmp_path)
    names = sorted(path.name for path in folder.iterdir())
    assert names == [*(f"epoch000{number}.npz" for number in (1, 2, 3)), "key.json"]
    assert read_json(folder / "key.json") == {"answers": "somebody on digits", "teacher": "this"}
    with np.load(folder / "epoch0002.npz") as table:
        assert (table["logits"].dtype, table["logits"].shape, table["key"]) == (np.float16, (120, 10), folder.name)


def test_a_partial_epoch_is_discarded(live: Counting, epoch: Epoch, tmp_path: Path) -> None:
    expected = epoch(live).half().float()
    epoch(kept(live, tmp_path), stop=100)
    assert not list(tmp_path.iterdir())
    live.asked = 0
    assert torch.equal(epoch(kept(live, tmp_path)), expected)
    assert live.asked == 120


def test_an_epoch_begun_twice_in_one_process_has_no_holes(live: Counting, epoch: Epoch, tmp_path: Path) -> None:
    expected = epoch(live).half().float()
    stored = kept(live, tmp_path)
    epoch(stored, seed=0, stop=100)
    assert torch.equal(epoch(stored, seed=1), expected)
    assert torch.equal(epoch(kept(live, tmp_path), seed=2), expected)


def test_two_at_once_end_with_the_first_ones_answers(live: Counting, epoch: Epoch, tmp_path: Path) -> None:
    late = kept(live, tmp_path)
    epoch(late, stop=100)  # it found nothing, and asks
    first = epoch(kept(live, tmp_path))
    written = (only(tmp_path) / "epoch0001.npz").stat().st_mtime_ns
    epoch(late, seed=1)
    assert (only(tmp_path) / "epoch0001.npz").stat().st_mtime_ns == written
    assert torch.equal(epoch(kept(live, tmp_path), seed=2), first)


def test_other_questions_have_answers_of_their_own(live: Counting, epoch: Epoch, tmp_path: Path) -> None:
    epoch(kept(live, tmp_path))
    epoch(kept(live, tmp_path, of="that"))
    assert live.asked == 2 * 120
    assert len(list(tmp_path.iterdir())) == 2


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def _altered(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _other_pictures(path: Path) -> None:
    np.savez(path, logits=np.zeros((119, 10), np.float16), key=path.parent.name)


def _other_precision(path: Path) -> None:
    np.savez(path, logits=np.zeros((120, 10), np.float32), key=path.parent.name)


def _other_key(path: Path) -> None:
    np.savez(path, logits=np.zeros((120, 10), np.float16), key="0123456789abcdef")


def _no_key(path: Path) -> None:
    np.savez(path, logits=np.zeros((120, 10), np.float16))


def _other_file(path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, np.zeros((120, 10), np.float16))


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        *((damage, "is damaged") for damage in (_truncated, _altered, _other_file, _empty, _no_key)),
        (_other_pictures, "is float16 (119, 10), not float16 (120, 10)"),
        (_other_precision, "is float32 (120, 10), not float16 (120, 10)"),
        (_other_key, "has the answers to something else (key 0123456789abcdef)"),
        (Path.unlink, ""),
    ],
)
def test_a_damaged_table_is_made_again_and_it_is_said_once(
    live: Counting, epoch: Epoch, tmp_path: Path, damage: Callable[[Path], None], what: str
) -> None:
    first = kept(live, tmp_path)
    expected = [epoch(first, number) for number in (0, 1)]
    paths = [only(tmp_path) / f"epoch000{number}.npz" for number in (1, 2)]
    for path in paths:
        damage(path)
    live.asked, said = 0, list[str]()
    again = kept(live, tmp_path, said)
    assert all(torch.equal(epoch(again, number), expected[number]) for number in (0, 1))
    assert live.asked == 2 * 120
    assert said == [f"{paths[0]} {what}: the teacher is asked again wherever a table cannot be used"] * bool(what)
    with np.load(paths[1]) as table:
        assert np.array_equal(table["logits"], expected[1].numpy())


@pytest.mark.parametrize("damage", [lambda path: path.write_text("{"), Path.unlink])
def test_what_the_tables_are_of_is_said_again(
    live: Counting, epoch: Epoch, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    stored = kept(live, tmp_path)
    epoch(stored, 0)
    note = only(tmp_path) / "key.json"
    before = note.read_bytes()
    damage(note)
    epoch(stored, 1)
    assert note.read_bytes() == before
