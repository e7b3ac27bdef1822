"""A CIFAR-10 of seven pictures a batch in all its published forms, a web server that breaks off, a stand-in npm."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import pickle
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from limbeck.console import Console
from limbeck.data import cifar10
from limbeck.data.fetch import KnownFile

PICTURES = 7
_PIECE = 4096


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own data is seen, no program of its is run, and nothing is left on it."""
    for name in ("here", "home", "bin"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LIMBECK_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("LIMBECK_CIFAR10", "LIMBECK_CIFAR10_1", "LIMBECK_CIFAR100"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def console(said: io.StringIO) -> Console:
    return Console(file=said)


class _Python2Pickler(pickle._Pickler):  # type: ignore[name-defined]
    """Pickles strings as Python 2 did, in which CIFAR-10's python version was written."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def _save_string(self, content: bytes | str) -> None:
        plain = content.encode() if isinstance(content, str) else content
        self.write(pickle.BINSTRING + len(plain).to_bytes(4, "little") + plain)
        self.memoize(content)

    dispatch[bytes] = dispatch[str] = _save_string


def known(name: str, content: bytes, algorithm: str = "md5") -> KnownFile:
    return KnownFile(name, algorithm, hashlib.new(algorithm, content).hexdigest(), len(content))  # type: ignore[arg-type]


def pickled(batch: dict[bytes, object]) -> bytes:
    """A pickle as the python versions have it."""
    stream = io.BytesIO()
    _Python2Pickler(stream, protocol=2).dump(batch)
    return stream.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def packed(contents: dict[str, bytes]) -> bytes:
    """A .tar.gz of these files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def written(folder: Path, contents: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


class Tiny:
    """A release of seven pictures a batch, and its published forms."""

    known, pickled = staticmethod(known), staticmethod(pickled)
    packed, written = staticmethod(packed), staticmethod(written)

    def __init__(self, url: str = "http://127.0.0.1:9/") -> None:
        random = np.random.default_rng(0)
        self.planes = random.integers(0, 256, (6, PICTURES, 3072), dtype=np.uint8)
        self.labels = random.integers(0, 10, (6, PICTURES), dtype=np.uint8)
        self.records = {
            f"{name}.bin": np.concatenate([labels[:, None], planes], axis=1).tobytes()
            for name, labels, planes in zip(cifar10.BATCHES, self.labels, self.planes, strict=True)
        }
        self.pickles = {
            name: pickled(
                {b"batch_label": b"a batch", b"labels": labels.tolist(), b"data": planes, b"filenames": [b"a.png"]}
            )
            for name, labels, planes in zip(cifar10.BATCHES, self.labels, self.planes, strict=True)
        }
        self.archive = packed({f"cifar-10-batches-bin/{name}": content for name, content in self.records.items()})
        self.tarball = packed({f"package/{name}": content for name, content in self._package().items()})
        self.release = replace(
            cifar10.RELEASE,
            records=tuple(known(name, content) for name, content in self.records.items()),
            pickles=tuple(known(name, content) for name, content in self.pickles.items()),
            url=f"{url}cifar-10-binary.tar.gz",
            archive=known("cifar-10-binary.tar.gz", self.archive),
            package="tiny-cifar10@1.0.0",
            tarball=known("tiny-cifar10-1.0.0.tgz", self.tarball, "sha256"),
        )
        self.entry = cifar10.entry(self.release)

    def _package(self) -> dict[str, bytes]:
        contents = {}
        for name, planes in zip(cifar10.BATCHES, self.planes, strict=True):
            stream = io.BytesIO()
            Image.fromarray(np.stack(np.split(planes, 3, axis=1), axis=-1)).save(stream, "png")
            contents[f"{name}.png"] = stream.getvalue()
        contents["test_lables.json"] = json.dumps(self.labels[-1].tolist()).encode()
        contents["train_lables.json"] = json.dumps(self.labels[:-1].ravel().tolist()).encode()
        return contents

    def python_archive(self) -> bytes:
        return packed({f"cifar-10-batches-py/{name}": content for name, content in self.pickles.items()})

    def is_in(self, folder: Path) -> bool:
        return all((folder / name).read_bytes() == content for name, content in self.records.items())


class Server:
    """Serves ``contents`` on 127.0.0.1.

    Attributes:
        contents: what it has, by path without the first slash.
        ranges: the Range header of every request so far; None where there was none.
        sent: the bytes sent so far.
        hold: the byte of a file before which it waits for ``gate``.
        cuts: for each request to come, after how many bytes the connection breaks.
        continues: whether it honours Range.
    """

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.ranges: list[str | None] = []
        self.sent, self.cuts, self.continues = 0, [], True
        self.hold, self.gate = float("inf"), threading.Event()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *args: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/"

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        asked = request.headers["Range"]
        self.ranges.append(asked)
        content = self.contents.get(request.path[1:])
        if content is None:
            return request.send_error(404)
        begin = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.continues else 0
        if begin >= len(content):
            return request.send_error(416)
        request.send_response(206 if begin else 200)
        request.send_header("Content-Length", str(len(content) - begin))
        request.end_headers()
        end = begin + self.cuts.pop(0) if self.cuts else len(content)
        try:
            for at in range(begin, min(end, len(content)), _PIECE):
                if at >= self.hold:
                    self.gate.wait(60)
                piece = content[at : min(at + _PIECE, end)]
                self.sent += len(piece)
                request.wfile.write(piece)
        except ConnectionError:
            pass  # the client was killed
        return None


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.gate.set()
    server.http.shutdown()
    server.http.server_close()
    thread.join()


@pytest.fixture
def tiny(server: Server) -> Tiny:
    """The release, as yet published nowhere."""
    return Tiny(server.url)


@pytest.fixture
def npm(tmp_path: Path) -> Callable[[str], None]:
    """Makes a command named npm whose body is Python; it has ``sys``."""

    def install(body: str) -> None:
        command = tmp_path / "bin" / "npm"
        command.write_text(f"#!{sys.executable} -IS\nimport sys\n{body}\n")
        command.chmod(0o755)

    return install
