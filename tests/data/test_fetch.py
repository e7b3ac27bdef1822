from __future__ import annotations

import hashlib
import socket
from pathlib import Path

import pytest

from limbeck.data.fetch import DataUnavailable, KnownFile, cache_folder, download
from limbeck.errors import LimbeckError

CONTENT = bytes(range(256)) * 200
FILE = KnownFile("thing.bin", "md5", hashlib.md5(CONTENT).hexdigest(), len(CONTENT))


@pytest.fixture
def fetched(server, console, tmp_path):
    """Downloads `FILE` from the server into the folder that it returns beside the path."""
    server.contents["thing.bin"] = CONTENT

    def fetched(file: KnownFile = FILE, timeout: float = 15) -> Path:
        return download(f"{server.url}{file.name}", file, tmp_path / "to", console, timeout)

    return fetched


def leave_part(tmp_path: Path, content: bytes) -> Path:
    part = tmp_path / "to" / "thing.bin.part"
    part.parent.mkdir()
    part.write_bytes(content)
    return part


def test_git_blob_ids_are_those_of_git():
    # printf 'hello\n' | git hash-object --stdin
    assert KnownFile("hello", "git", "ce013625030ba8dba906f756967f9e9ca394464a").fault(b"hello\n") is None


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (CONTENT, None),
        (CONTENT[:-1], "is truncated: 51,199 of 51,200 bytes"),
        (CONTENT + b"!", "is not the published file: 51,201 bytes instead of 51,200"),
        (b"!" + CONTENT[1:], f"is altered: its md5 digest is 04c6969fb3c0a654a2d459dfa10e6d7b, not {FILE.digest}"),
    ],
)
def test_a_fault_says_what_is_wrong(content, fault):
    assert FILE.fault(content) == fault


def test_a_missing_or_unreadable_file_is_a_fault(tmp_path):
    assert FILE.fault_in(tmp_path) == "is missing"
    (tmp_path / "thing.bin").mkdir()
    assert FILE.fault_in(tmp_path) == "cannot be read: Is a directory"


def test_the_cache_is_where_the_variable_says_or_the_users_own(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.setenv("LIMBECK_DATA", "~/elsewhere")
    assert cache_folder() == tmp_path / "home" / "elsewhere"
    monkeypatch.delenv("LIMBECK_DATA")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder().name == "limbeck"
    assert cache_folder().is_relative_to(tmp_path / "home")


def test_a_whole_download(fetched, server, tmp_path):
    assert fetched().read_bytes() == CONTENT
    assert server.ranges == [None]
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["thing.bin"]
    fetched()
    assert len(server.ranges) == 1  # it is there: the server is not asked again


def test_a_broken_connection_is_taken_up_again_at_once(fetched, server):
    server.cuts = [10_000, 20_000]
    assert fetched().read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=10000-", "bytes=30000-"]


def test_what_an_earlier_attempt_left_is_continued(fetched, server, tmp_path):
    leave_part(tmp_path, CONTENT[:12_345])
    assert fetched().read_bytes() == CONTENT
    assert server.ranges == ["bytes=12345-"]
    assert server.sent == len(CONTENT) - 12_345


def test_an_attempt_killed_just_before_its_end_asks_for_nothing(fetched, server, tmp_path):
    leave_part(tmp_path, CONTENT)
    assert fetched().read_bytes() == CONTENT
    assert server.ranges == []


def test_a_server_that_does_not_continue_sends_everything_again(fetched, server, tmp_path):
    leave_part(tmp_path, b"x" * 12_345)
    server.continues = False
    assert fetched().read_bytes() == CONTENT
    assert server.ranges == ["bytes=12345-"]


@pytest.mark.parametrize("left", [b"x" * 12_345, CONTENT + b"too long"])
def test_a_beginning_of_another_file_is_thrown_away(fetched, server, tmp_path, left):
    leave_part(tmp_path, left)
    assert fetched().read_bytes() == CONTENT
    assert server.ranges[-1] is None


def test_a_file_of_unknown_size(fetched, server, tmp_path):
    leave_part(tmp_path, CONTENT)  # complete, which only the server knows: it answers 416
    assert fetched(KnownFile("thing.bin", "md5", FILE.digest)).read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT)}-", None]


def test_another_file_than_the_published_one_is_refused(fetched, server, tmp_path):
    server.contents["thing.bin"] = b"!" + CONTENT[1:]
    with pytest.raises(DataUnavailable, match=r"what 127.0.0.1 sent is altered: its md5 digest is \w{32}, not "):
        fetched()
    assert list((tmp_path / "to").iterdir()) == []
    server.contents["thing.bin"] = b"<html>Please log in</html>"
    with pytest.raises(DataUnavailable, match=r"127.0.0.1 offers 26 bytes instead of 51,200"):
        fetched()


def test_a_missing_page_and_a_server_that_is_not_there(fetched, server, console, tmp_path):
    del server.contents["thing.bin"]
    with pytest.raises(DataUnavailable, match=r"127.0.0.1 answers 404 Not Found"):
        fetched()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound, but nobody listens
        with pytest.raises(DataUnavailable, match=r"127.0.0.1 cannot be reached .*refused"):
            download(f"http://127.0.0.1:{free.getsockname()[1]}/thing.bin", FILE, tmp_path, console)


def test_a_host_that_does_not_resolve(console, tmp_path, monkeypatch):
    def nobody(*args: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with pytest.raises(DataUnavailable, match=r"nowhere.invalid does not resolve \(is there a network\?\)"):
        download("http://nowhere.invalid/thing.bin", FILE, tmp_path, console)


def test_a_server_that_says_nothing_is_given_up(console, tmp_path):
    said = r"127.0.0.1 did not answer within 0.2 s"
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(DataUnavailable, match=said):
        download(f"http://127.0.0.1:{silent.getsockname()[1]}/thing.bin", FILE, tmp_path, console, timeout=0.2)


def test_a_server_that_falls_silent_is_asked_once_more(fetched, server, tmp_path):
    server.hold = 5 * 4096
    with pytest.raises(DataUnavailable, match=r"127.0.0.1 did not answer within 0.3 s"):
        fetched(timeout=0.3)
    assert server.ranges == [None, "bytes=20480-"]
    assert (tmp_path / "to" / "thing.bin.part").read_bytes() == CONTENT[:20_480]


def test_a_server_that_breaks_off_without_a_byte_is_given_up(fetched, server, tmp_path):
    server.cuts = [10_000, 0]
    with pytest.raises(DataUnavailable, match=r"127.0.0.1 closed the connection after 10,000 of 51,200 bytes"):
        fetched()
    assert (tmp_path / "to" / "thing.bin.part").read_bytes() == CONTENT[:10_000]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_said_to_be_full(fetched, tmp_path):
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "thing.bin.part").symlink_to("/dev/full")
    with pytest.raises(
        LimbeckError, match=r"cannot write .*thing.bin.part: the disk is full; free some space"
    ) as caught:
        fetched()
    assert not isinstance(caught.value, DataUnavailable)


def test_progress_is_told(fetched, server, said, monkeypatch):
    monkeypatch.setattr("limbeck.console._PLAIN_SECONDS", 0)
    fetched()
    assert "downloading thing.bin: 100 %  0 of 0 MB" in said.getvalue()
