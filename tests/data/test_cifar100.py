"""CIFAR-100, on files of the published form; what it shares with CIFAR-10 is tested beside this."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from limbeck import data
from limbeck.console import Console
from limbeck.data import DataUnavailable, cifar, cifar100
from limbeck.data.entry import Entry
from limbeck.errors import LimbeckError

MACHINE_CACHE = data.cache_folder() / "cifar100"  # before the tests move it
COUNTS = {"train": 8, "test": 5}


class Tiny:
    """A release of a few pictures, and its published forms."""

    def __init__(self, made: type, url: str) -> None:
        random = np.random.default_rng(0)
        self.planes, self.groups, self.kinds = (
            {split: random.integers(0, below, (count, *shape), dtype=np.uint8) for split, count in COUNTS.items()}
            for below, shape in ((256, (3072,)), (20, ()), (100, ()))
        )
        self.kinds["train"][0] = 99
        self.records = {
            f"{split}.bin": np.column_stack([self.groups[split], self.kinds[split], self.planes[split]]).tobytes()
            for split in COUNTS
        }
        self.pickles = {split: made.pickled(self._batch(split)) for split in COUNTS}
        others = {"meta": b"not read", "file.txt~": b"nor this"}
        self.binary_archive = made.packed({f"cifar-100-binary/{k}": v for k, v in (self.records | others).items()})
        self.python_archive = made.packed({f"cifar-100-python/{k}": v for k, v in (self.pickles | others).items()})
        self.release = replace(
            cifar100.RELEASE,
            records=tuple(made.known(name, content, "sha256") for name, content in self.records.items()),
            pickles=tuple(made.known(name, content) for name, content in self.pickles.items()),
            url=f"{url}cifar-100-binary.tar.gz",
            archive=made.known("cifar-100-binary.tar.gz", self.binary_archive),
        )
        self.entry: Entry = cifar.entry(self.release)

    def _batch(self, split: str) -> dict[bytes, object]:
        return {
            b"filenames": [b"a.png"],
            b"batch_label": b"a batch",
            b"fine_labels": self.kinds[split].tolist(),
            b"coarse_labels": self.groups[split].tolist(),
            b"data": self.planes[split],
        }

    def is_in(self, folder: Path) -> bool:
        return all((folder / name).read_bytes() == content for name, content in self.records.items())


@pytest.fixture
def hundred(tiny, server) -> Tiny:
    return Tiny(type(tiny), server.url)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "cifar100"


LAYOUTS = {
    "binary": lambda hundred: {f"cifar-100-binary/{name}": content for name, content in hundred.records.items()},
    "python": lambda hundred: {f"cifar-100-python/{name}": content for name, content in hundred.pickles.items()},
    "binary archive": lambda hundred: {"cifar-100-binary.tar.gz": hundred.binary_archive},
    "python archive": lambda hundred: {"cifar-100-python.tar.gz": hundred.python_archive},
}


def lay(root: Path, contents: dict[str, bytes]) -> None:
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def test_the_digests_are_those_that_torchvision_knows():
    from torchvision.datasets import CIFAR100

    assert [[file.name, file.digest] for file in cifar100.RELEASE.pickles] == CIFAR100.train_list + CIFAR100.test_list
    assert (CIFAR100.filename, CIFAR100.base_folder) == ("cifar-100-python.tar.gz", "cifar-100-python")
    assert cifar100.RELEASE.python_archive == CIFAR100.filename
    assert CIFAR100.base_folder in cifar100.RELEASE.folders


def test_a_hundred_classes_in_the_order_of_the_alphabet():
    assert len(cifar100.CLASSES) == len(set(cifar100.CLASSES)) == 100
    assert list(cifar100.CLASSES) == sorted(cifar100.CLASSES)
    # Places that are known from elsewhere: the first training picture shows cattle and has the label 19.
    assert [cifar100.CLASSES[label] for label in (0, 19, 49, 99)] == ["apple", "cattle", "mountain", "worm"]


def test_the_catalogues_entry():
    status = data.status("cifar100")
    assert (status.counts, status.classes, status.state) == ({"train": 50_000, "test": 10_000}, 100, "not fetched")
    assert [file.size for file in cifar100.RELEASE.records] == [153_700_000, 30_740_000]


@pytest.mark.parametrize("root", ["cache", "cache/torchvision", "here/data", "home/data/sets"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_users_own_folders_come_first(hundred, server, console, said, tmp_path, folder, layout, root):
    lay(tmp_path / root, LAYOUTS[layout](hundred))
    hundred.entry.fetch(folder, console)
    assert hundred.is_in(folder)
    assert {path.name for path in folder.iterdir()} == {"train.bin", "test.bin", "lock"}
    assert server.ranges == []
    assert f"cifar100: from {tmp_path / root}" in said.getvalue()


def test_the_variable_names_the_folder(hundred, server, console, tmp_path, folder, monkeypatch):
    lay(tmp_path / "mine", LAYOUTS["python"](hundred))
    monkeypatch.setenv("LIMBECK_CIFAR100", str(tmp_path / "mine"))
    hundred.entry.fetch(folder, console)
    assert hundred.is_in(folder)
    monkeypatch.setenv("LIMBECK_CIFAR100", str(tmp_path / "typo"))
    with pytest.raises(DataUnavailable, match=rf"- LIMBECK_CIFAR100={tmp_path}/typo: nothing of it in"):
        hundred.entry.fetch(folder.with_name("other"), console)
    assert server.ranges == []


def test_the_official_download_comes_next(hundred, server, console, said, folder):
    server.contents["cifar-100-binary.tar.gz"] = hundred.binary_archive
    hundred.entry.fetch(folder, console)
    assert hundred.is_in(folder)
    assert f"cifar100: from {server.url}cifar-100-binary.tar.gz, verified, in {folder}" in said.getvalue()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_pictures_with_their_classes(hundred, console, tmp_path, folder, layout):
    lay(tmp_path / "cache", LAYOUTS[layout](hundred))
    for split, count in COUNTS.items():
        dataset = hundred.entry.load(split, folder, console)
        assert dataset.labels.tolist() == hundred.kinds[split].tolist()
        assert dataset.classes == cifar100.CLASSES
        assert (dataset.images.permute(0, 3, 1, 2).reshape(count, 3072).numpy() == hundred.planes[split]).all()


def test_when_it_cannot_be_had_the_error_says_what_was_tried_and_what_to_do(hundred, server, console, tmp_path, folder):
    with pytest.raises(DataUnavailable) as caught:
        hundred.entry.load("train", folder, console)
    assert str(caught.value).splitlines() == [
        "cifar100 cannot be had. Tried:",
        f"  - your folders: nothing of it in {tmp_path}/cache, {tmp_path}/here/data, {tmp_path}/home/data",
        f"  - {server.url}cifar-100-binary.tar.gz: 127.0.0.1 answers 404 Not Found",
        "Put cifar-100-python.tar.gz or cifar-100-binary.tar.gz "
        f"(or the folder cifar-100-python or cifar-100-binary) into {tmp_path}/cache, "
        "or set LIMBECK_CIFAR100 to the folder that has one of them; then type `limbeck data fetch cifar100`.",
    ]


def altered(content: bytes) -> bytes:
    return content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]


SPOILT = {
    "binary": (
        lambda hundred: {"cifar-100-binary/train.bin": altered(hundred.records["train.bin"])},
        r"cifar-100-binary: train.bin is altered: its sha256 digest is \w{64}, not \w{64}",
    ),
    "python": (
        lambda hundred: {"cifar-100-python/test": altered(hundred.pickles["test"])},
        r"cifar-100-python: test is altered: its md5 digest is \w{32}, not \w{32}",
    ),
    "no archive": (
        lambda hundred: {"cifar-100-python.tar.gz": hundred.python_archive[:9000]},
        r"cifar-100-python.tar.gz: it cannot be read: Compressed file ended before",
    ),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_what_is_altered_is_passed_over_and_named(hundred, server, console, tmp_path, folder, spoilt):
    contents, reason = SPOILT[spoilt]
    if spoilt in LAYOUTS:
        lay(tmp_path / "cache", LAYOUTS[spoilt](hundred))
    lay(tmp_path / "cache", contents(hundred))
    with pytest.raises(DataUnavailable, match=reason):
        hundred.entry.fetch(folder, console)
    server.contents["cifar-100-binary.tar.gz"] = hundred.binary_archive
    hundred.entry.fetch(folder, console)
    assert hundred.is_in(folder)


def test_an_altered_file_of_the_cache_is_not_loaded(hundred, console, tmp_path, folder):
    lay(folder, hundred.records | {"test.bin": altered(hundred.records["test.bin"])})
    hundred.entry.load("train", folder, console)
    message = rf"^{folder}/test.bin is altered: its sha256 .*\. Type `limbeck data fetch cifar100` to replace it\.$"
    with pytest.raises(LimbeckError, match=message):
        hundred.entry.load("test", folder, console)


def test_the_pictures_of_cifar10_are_not_taken_for_it(hundred, tiny, console, tmp_path, folder):
    tiny.written(tmp_path / "cache" / "cifar10", tiny.records)
    tiny.written(tmp_path / "cache" / "cifar-10-batches-py", tiny.pickles)
    with pytest.raises(DataUnavailable, match=r"your folders: nothing of it in"):
        hundred.entry.fetch(folder, console)


def test_the_real_pictures_have_the_published_statistics():
    if cifar100.ENTRY.status(MACHINE_CACHE).state != "ready":
        pytest.skip("CIFAR-100 is not in this machine's cache; `limbeck data fetch cifar100` puts it there")
    train = cifar100.ENTRY.load("train", MACHINE_CACHE, Console(quiet=True))
    mean, deviation = train.statistics()
    assert [round(value, 4) for value in mean] == [0.5071, 0.4865, 0.4409]
    assert [round(value, 4) for value in deviation] == [0.2673, 0.2564, 0.2762]
    assert train.labels.bincount().tolist() == [500] * 100
    assert train.labels[0] == 19
