from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
import torch

from limbeck import data
from limbeck.data import DataUnavailable, cifar10_1
from limbeck.data.fetch import KnownFile
from limbeck.errors import LimbeckError

COUNT = 9


def saved(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def known(name: str, content: bytes) -> KnownFile:
    return KnownFile(name, "git", hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest())


IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)
LABELS = (np.arange(COUNT) % 10).astype(np.int32)
CONTENTS = {"cifar10.1_v6_data.npy": saved(IMAGES), "cifar10.1_v6_labels.npy": saved(LABELS)}


@pytest.fixture
def entry(server):
    return cifar10_1.entry(*(known(name, content) for name, content in CONTENTS.items()), url=server.url)


def is_loaded(dataset) -> bool:
    return np.array_equal(dataset.images.numpy(), IMAGES) and dataset.labels.tolist() == LABELS.tolist()


def test_the_published_file_of_labels_has_the_form_that_is_tested_here():
    assert cifar10_1.ENTRY.files[1].size == len(saved(np.zeros(2000, np.int32)))


def test_downloaded_verified_and_loaded(entry, server, console, tmp_path):
    server.contents = dict(CONTENTS)
    loaded = entry.load("test", tmp_path / "cache" / "cifar10_1", console)
    assert is_loaded(loaded)
    assert loaded.labels.dtype == torch.int64
    assert loaded.classes[0] == "airplane"
    assert entry.status(tmp_path / "cache" / "cifar10_1").state == "ready"
    entry.load("test", tmp_path / "cache" / "cifar10_1", console)
    assert len(server.ranges) == 2


@pytest.mark.parametrize("place", ["cache", "cache/CIFAR-10.1/datasets", "here/data", "home/data/new", "anywhere"])
def test_found_in_the_users_folders(entry, server, console, tiny, tmp_path, monkeypatch, place):
    tiny.written(tmp_path / place, CONTENTS)
    if place == "anywhere":
        monkeypatch.setenv("LIMBECK_CIFAR10_1", str(tmp_path / place))
    assert is_loaded(entry.load("test", tmp_path / "cache" / "cifar10_1", console))
    assert server.ranges == []


def test_half_of_it_is_completed_from_the_next_source(entry, server, console, said, tiny, tmp_path):
    tiny.written(tmp_path / "cache", {"cifar10.1_v6_data.npy": CONTENTS["cifar10.1_v6_data.npy"]})
    server.contents = dict(CONTENTS)
    assert is_loaded(entry.load("test", tmp_path / "cache" / "cifar10_1", console))
    assert f"not from {tmp_path}/cache: it has no cifar10.1_v6_labels.npy" in said.getvalue()
    assert len(server.ranges) == 1


def test_an_altered_file_is_not_loaded(entry, server, console, tiny, tmp_path):
    altered = {name: content[:-1] + b"!" for name, content in CONTENTS.items()}
    folder = tiny.written(tmp_path / "cache" / "cifar10_1", altered)
    expected = (
        r"cifar10.1_v6_data.npy is altered: its git digest is \w{40}, not \w{40}. Type `limbeck data fetch cifar10_1`"
    )
    with pytest.raises(LimbeckError, match=expected):
        entry.load("test", folder, console)
    server.contents = altered
    with pytest.raises(DataUnavailable, match=r"what 127.0.0.1 sent is altered"):
        entry.fetch(folder, console)
    server.contents = dict(CONTENTS)
    entry.fetch(folder, console)
    assert is_loaded(entry.load("test", folder, console))


def test_an_array_of_objects_is_not_unpickled(server, console, tiny, tmp_path):
    content = saved(np.array([print], dtype=object))
    names = tuple(CONTENTS)
    entry = cifar10_1.entry(known(names[0], content), known(names[1], CONTENTS[names[1]]), server.url)
    folder = tiny.written(tmp_path / "cache" / "cifar10_1", CONTENTS | {names[0]: content})
    with pytest.raises(ValueError, match=r"allow_pickle=False"):
        entry.load("test", folder, console)


def test_when_it_cannot_be_had_the_error_says_what_to_put_where(entry, console, tmp_path):
    with pytest.raises(DataUnavailable) as caught:
        entry.load("test", tmp_path / "cache" / "cifar10_1", console)
    url = entry.sources()[-1].label
    assert str(caught.value).splitlines() == [
        "cifar10_1 cannot be had. Tried:",
        f"  - your folders: nothing of it in {tmp_path}/cache, {tmp_path}/here/data, {tmp_path}/home/data",
        f"  - {url}: 127.0.0.1 answers 404 Not Found",
        f"Put cifar10.1_v6_data.npy and cifar10.1_v6_labels.npy (of {url}) into {tmp_path}/cache, "
        "or set LIMBECK_CIFAR10_1 to the folder that has them; then type `limbeck data fetch cifar10_1`.",
    ]


def test_there_is_nothing_to_train_on():
    with pytest.raises(
        LimbeckError, match=r"cifar10_1 has no train split, only test. Choose another data set to train on"
    ):
        data.load("cifar10_1", "train")
