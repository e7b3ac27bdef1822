"""Getting published files onto this machine: the cache, the user's own folders, verified and continued downloads."""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import platformdirs

from limbeck import files
from limbeck.console import Bar, Console
from limbeck.errors import LimbeckError

_PIECE = 1 << 18


class DataUnavailable(LimbeckError):  # noqa: N818 (a state of affairs, as the reader meets it)
    """A data set, or one source of it, cannot be had here; the message says why and what to do about it."""


@dataclass(frozen=True)
class KnownFile:
    """A published file, told from an altered one by its size and digest.

    Args:
        name: the file's name, without a folder.
        algorithm: "md5", "sha256" or "git": git's blob id, the SHA-1 of ``"blob SIZE\\0"`` and the content.
        digest: the digest in hexadecimal.
        size: bytes; None where it was not published.
    """

    name: str
    algorithm: Literal["md5", "sha256", "git"]
    digest: str
    size: int | None = None

    def fault(self, content: bytes) -> str | None:
        """What is wrong with ``content``, worded to follow the file's name; None when it is the published file."""
        if self.size is not None and len(content) < self.size:
            return f"is truncated: {len(content):,} of {self.size:,} bytes"
        if self.size is not None and len(content) > self.size:
            return f"is not the published file: {len(content):,} bytes instead of {self.size:,}"
        if (found := _digest(self.algorithm, content)) != self.digest:
            return f"is altered: its {self.algorithm} digest is {found}, not {self.digest}"
        return None

    def fault_in(self, folder: Path) -> str | None:
        """As `fault`, for the file of this name in ``folder``."""
        return self.read(folder)[1]

    def read(self, folder: Path) -> tuple[bytes, str | None]:
        """The content of the file of this name in ``folder``, and its `fault`."""
        try:
            content = (folder / self.name).read_bytes()
        except FileNotFoundError:
            return b"", "is missing"
        except OSError as error:
            return b"", f"cannot be read: {error.strerror}"
        return content, self.fault(content)


def _digest(algorithm: str, content: bytes) -> str:
    if algorithm == "git":
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    return hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()


def cache_folder() -> Path:
    """Where data sets are kept: the folder that ``LIMBECK_DATA`` names, or the user's own cache."""
    named = os.environ.get("LIMBECK_DATA")
    return Path(named).expanduser().absolute() if named else Path(platformdirs.user_cache_dir("limbeck"))


def download(url: str, file: KnownFile, folder: Path, console: Console, timeout: float = 15) -> Path:
    """Downloads ``file`` into ``folder`` and verifies it; bytes that an earlier attempt left there are continued.

    Args:
        url: where the file is published.
        file: what must arrive.
        folder: where to put it; the unfinished file lies there with ``.part`` behind its name.
        console: shows the progress.
        timeout: seconds to wait for the server, at the start and between two pieces.

    Raises:
        DataUnavailable: no answer, a broken connection, or not the published file.
        LimbeckError: the folder cannot be written to.
    """
    path, part = folder / file.name, folder / f"{file.name}.part"
    if file.fault_in(folder) is None:
        return path
    files.make_folder(folder)
    continued = _size(part) > 0
    with console.bar(f"downloading {file.name}", file.size or 0) as bar:
        _download_all(url, part, file.size, bar, timeout)
    if fault := file.fault(part.read_bytes()):
        part.unlink()
        if continued:  # the first half may have been another file's
            return download(url, file, folder, console, timeout)
        raise DataUnavailable(f"what {urlsplit(url).hostname} sent {fault}")
    with files.mendable(path):
        part.replace(path)
    return path


def _download_all(url: str, part: Path, size: int | None, bar: Bar, timeout: float) -> None:
    """Asks for the rest of the file until all of it is there, for as long as each request brings more of it."""
    host = urlsplit(url).hostname
    while size is None or _size(part) < size:
        begun = _size(part)
        try:
            size = _request_rest(url, part, begun, size, bar, timeout)
        except urllib.error.HTTPError as error:
            if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not begun:
                raise DataUnavailable(f"{host} answers {error.code} {error.reason}") from error
            part.unlink()
            continue
        except (OSError, http.client.HTTPException) as error:
            if _size(part) <= begun:
                raise DataUnavailable(f"{host} {_reason(error, timeout)}") from error
            continue
        if _size(part) <= begun:
            raise DataUnavailable(f"{host} closed the connection after {begun:,} of {size:,} bytes")


def _request_rest(url: str, part: Path, begun: int, size: int | None, bar: Bar, timeout: float) -> int:
    """One request for the bytes from ``begun`` on, written behind what is there; returns the whole file's size."""
    headers = {"User-Agent": "limbeck"} | ({"Range": f"bytes={begun}-"} if begun else {})
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout) as answer:
        partial = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        begun = begun if partial else 0  # a server that does not continue sends the whole file
        length = answer.headers["Content-Length"]
        whole = begun + int(length) if length else None
        if None not in (size, whole) and whole != size:
            raise DataUnavailable(f"{urlsplit(url).hostname} offers {whole:,} bytes instead of {size:,}")
        # Unbuffered, and each piece as it comes: what has arrived survives a kill.
        with files.mendable(part), part.open("ab" if partial else "wb", buffering=0) as stream:
            while piece := answer.read1(_PIECE):
                stream.write(piece)
                begun += len(piece)
                bar.update(begun, f"{begun / 1e6:.0f} of {(whole or begun) / 1e6:.0f} MB")
    return size or whole or begun


def _reason(error: Exception, timeout: float) -> str:
    """Why a server could not be asked, worded to follow its name."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, socket.gaierror):
        return "does not resolve (is there a network?)"
    if isinstance(cause, TimeoutError):
        return f"did not answer within {timeout:g} s"
    return f"cannot be reached ({cause})"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
