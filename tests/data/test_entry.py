from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest

import limbeck.data
from limbeck import data
from limbeck.data import cifar10
from limbeck.errors import LimbeckError

HALF = 16 * 4096  # of the archive's 126 kB
CHILD = """
import pickle, sys
from pathlib import Path
from limbeck.console import Console
from limbeck.data import cifar10
cifar10.entry(pickle.loads(Path(sys.argv[1]).read_bytes())).fetch(Path(sys.argv[2]), Console())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "cifar10"


@pytest.fixture
def child(tiny, tmp_path, folder):
    """Starts a process that fetches the tiny release."""
    (tmp_path / "release.pickle").write_bytes(pickle.dumps(tiny.release))
    environment = os.environ | {"PYTHONPATH": str(Path(limbeck.data.__file__).parents[2])}
    command = [sys.executable, "-c", CHILD, str(tmp_path / "release.pickle"), str(folder)]
    started: list[subprocess.Popen] = []

    def start() -> subprocess.Popen:
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def filled(tiny, folder):
    """The tiny release, complete in the cache."""
    tiny.written(folder, tiny.records)
    return tiny.entry


def until(condition, process: subprocess.Popen) -> None:
    """Waits until ``condition()``, for as long as the process lives."""
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_two_processes_at_once_fetch_it_once(tiny, server, child, folder):
    server.contents["cifar-10-binary.tar.gz"] = tiny.archive
    server.hold = HALF
    first = child()
    until(lambda: server.ranges, first)
    second = child()
    assert second.stdout.readline() == "another process is fetching cifar10; waiting for it to end\n"
    server.gate.set()
    said = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], said
    assert server.ranges == [None]
    assert tiny.is_in(folder)


def test_killed_in_the_middle_of_a_download_it_goes_on_from_there(tiny, server, child, console, folder):
    server.contents["cifar-10-binary.tar.gz"] = tiny.archive
    server.hold = HALF
    process, part = child(), folder / "unfinished" / "cifar-10-binary.tar.gz.part"
    until(lambda: part.exists() and part.stat().st_size == HALF, process)
    process.kill()
    process.wait()
    server.gate.set()
    tiny.entry.fetch(folder, console)
    assert server.ranges == [None, f"bytes={HALF}-"]
    assert tiny.is_in(folder)
    assert {path.name for path in folder.iterdir()} == {*tiny.records, "lock"}


def test_killed_while_it_was_written_it_is_completed_and_tidied(tiny, server, console, said, folder):
    server.contents["cifar-10-binary.tar.gz"] = tiny.archive
    first = "data_batch_1.bin"
    tiny.written(folder, {first: tiny.records[first], ".data_batch_2.bin.123.part": b"half"})
    tiny.written(folder / "unfinished", {"cifar-10-binary.tar.gz": tiny.archive})
    written = (folder / first).stat().st_mtime_ns
    assert tiny.entry.status(folder).state == "incomplete"
    tiny.entry.fetch(folder, console)
    assert tiny.is_in(folder)
    assert server.ranges == []
    assert (folder / first).stat().st_mtime_ns == written
    assert f"not from {folder}:" not in said.getvalue()  # the cache is no source of itself
    assert {path.name for path in folder.iterdir()} == {*tiny.records, "lock"}


def test_what_is_whole_is_not_fetched_again(filled, server, console, folder):
    filled.fetch(folder, console)
    assert len(filled.load("train", folder, console)) == 35
    assert server.ranges == []


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda content: content[:1000], r"is truncated: 1,000 of 21,511 bytes"),
        (lambda content: content[:1000] + b"!" + content[1001:], r"is altered: its md5 digest is \w{32}, not \w{32}"),
    ],
)
def test_a_spoilt_file_is_named_and_mended(filled, tiny, server, console, folder, spoil, fault):
    path = folder / "data_batch_3.bin"
    path.write_bytes(spoil(path.read_bytes()))
    message = rf"{path} {fault}. Type `limbeck data fetch cifar10` to replace it\."
    with pytest.raises(LimbeckError, match=message):
        filled.load("train", folder, console)
    assert len(filled.load("test", folder, console)) == 7
    (line,) = filled.verify(folder, console)
    with pytest.raises(LimbeckError, match=message):
        raise LimbeckError(line)
    server.contents["cifar-10-binary.tar.gz"] = tiny.archive
    filled.fetch(folder, console)
    assert filled.verify(folder, console) == ()
    assert tiny.is_in(folder)


def test_verify_of_nothing_says_what_to_type(tiny, console, folder):
    assert tiny.entry.verify(folder, console) == (
        "cifar10 is not fetched. Type `limbeck data fetch cifar10` to fetch it.",
    )
    tiny.written(folder, dict([*tiny.records.items()][:-1]))
    assert tiny.entry.verify(folder, console) == (
        f"{folder / 'test_batch.bin'} is missing. Type `limbeck data fetch cifar10` to replace it.",
    )


def test_status_goes_by_names_and_sizes(tiny, folder):
    assert tiny.entry.status(folder).state == "not fetched"
    tiny.written(folder, tiny.records)
    assert tiny.entry.status(folder).state == "ready"
    tiny.written(folder, {"test_batch.bin": b"short"})
    status = tiny.entry.status(folder)
    assert (status.state, status.folder, status.counts) == ("incomplete", folder, {"train": 35, "test": 7})


def test_the_catalogue(tmp_path):
    assert list(data.CATALOGUE) == ["digits", "cifar10", "cifar10_1", "cifar100"]
    status = data.status("cifar10")
    assert (status.counts, status.classes, status.state) == ({"train": 50_000, "test": 10_000}, 10, "not fetched")
    assert status.folder == tmp_path / "cache" / "cifar10"
    assert data.CATALOGUE["cifar10"].files == cifar10.RELEASE.records


@pytest.mark.parametrize("call", [data.status, data.fetch, data.verify, lambda name: data.load(name, "train")])
def test_an_unknown_name(call):
    with pytest.raises(LimbeckError) as caught:
        call("cifar_10")
    assert str(caught.value) == (
        "unknown data set 'cifar_10'. Did you mean 'cifar10'? Known: cifar10, cifar100, cifar10_1, digits. "
        "Type `limbeck data list` for what each is, or give a folder of pictures or a CSV."
    )


def test_an_unknown_split():
    with pytest.raises(LimbeckError, match=r"unknown split 'tests'. Did you mean 'test'\? Known: test, train"):
        data.load("digits", "tests")  # type: ignore[arg-type]
