"""Writing and reading files so that nothing is ever half there.

Every file is written beside its final name, flushed to disk and renamed. An operating-system error that a user can
mend (disk full, read-only, no permission) becomes a `LimbeckError` that says so.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import filelock
import safetensors
import safetensors.torch
from torch import Tensor

from limbeck.errors import LimbeckError, nearest

_MENDABLE = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EACCES: "permission denied; choose a folder that you may use",
    errno.EPERM: "permission denied; choose a folder that you may use",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another folder",
    errno.EEXIST: "a file of that name is in the way; choose another folder",
    errno.EISDIR: "a folder of that name is in the way; remove it or choose another folder",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.ENOENT: "there is no such folder and none can be made there; choose another folder",
    errno.ELOOP: "a link of the path leads back to itself; choose another folder",
    errno.EINVAL: "the file system does not allow that name; choose another folder",
    errno.EBUSY: "something else uses that place; choose another folder",
    errno.ENOTSUP: "the file system does not allow that; choose another folder",
    errno.ENOLCK: "the file system has no locks; choose a folder on another one",
}


@contextlib.contextmanager
def mendable(path: Path, verb: str = "write") -> Iterator[None]:
    """Turns an `OSError` that a user can mend into a `LimbeckError` that names ``path``, and what it is needed for."""
    try:
        yield
    except OSError as error:
        if error.errno in _MENDABLE:
            raise LimbeckError(
                f"cannot {verb} {path}: {_MENDABLE[error.errno]} and run the same command again."
            ) from error
        raise


def near(path: Path, fits: Callable[[Path], bool]) -> Path | None:
    """What fits, lies beside a path and is called almost so, its suffix apart; None where there is nothing such."""
    try:
        there = sorted(other.name for other in path.parent.iterdir() if other.name[0] != "." and fits(other))
    except (OSError, ValueError):  # there is no such folder, it may not be looked into, or could not be called so
        return None
    stem = nearest(path.stem, [Path(name).stem for name in there], alike=0.6)
    name = nearest(path.name, [name for name in there if Path(name).stem == stem], alike=0)
    return path.with_name(name) if name else None


def meant(path: Path, fits: Callable[[Path], bool]) -> str:
    """ " Did you mean tr3.pth?", where there is nothing at a path but something `near` it."""
    other = near(path, fits)
    return f" Did you mean {other}?" if other else ""


def make_folder(path: Path) -> Path:
    """Creates ``path`` and its parents; raises `LimbeckError` where that is not possible."""
    with mendable(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Opens a temporary file beside ``path`` for writing; on success it takes the place of ``path`` in one step.

    On any failure, an interruption included, ``path`` is left as it was and the temporary file is removed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    make_folder(path.parent)
    with mendable(path):
        try:
            with temporary.open("wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Writes ``content`` to ``path`` atomically."""
    with replacing(path) as stream:
        stream.write(content)


def add_line(path: Path, line: str) -> None:
    """Adds a line of text to a file; several processes may. One that was not written to its end is not continued."""
    make_folder(path.parent)
    with mendable(path):
        torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
        with path.open("ab") as stream:
            stream.write(b"\n" * torn + line.encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())


def write_json(path: Path, content: object, indent: int | None = 2) -> None:
    """Writes ``content`` as JSON, atomically; on one line where ``indent`` is None."""
    write_bytes(path, (json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_json(
    path: Path, keys: Mapping[str, type] | None = None, remedy: str = "Remove that file and run again."
) -> Any:
    """Reads a JSON file.

    Args:
        path: the file.
        keys: what it must have, each with the type of its value; none: it may hold anything.
        remedy: the end of the error's message.

    Raises:
        LimbeckError: it cannot be read, is not valid JSON, or lacks a key.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        for key, kind in (keys or {}).items():
            if not isinstance(content, dict) or not isinstance(content.get(key), kind):
                raise ValueError(f"it has no {key!r}, or not as limbeck writes it")
    except (ValueError, OSError) as error:
        raise LimbeckError(f"cannot read {path}: {error}. {remedy}") from error
    return content


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Writes named tensors as safetensors, atomically; equal tensors and metadata make equal files."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = memoryview(safetensors.torch.save(plain, dict(metadata or {})))
    begin = 8 + int.from_bytes(content[:8], "little")
    # safetensors shuffles the metadata each time, so the header is written anew, in the order of the names.
    header = json.dumps(json.loads(bytes(content[8:begin])), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    with replacing(path) as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        stream.write(content[begin:])


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file; empty where there is none, or the file is damaged."""
    try:
        with safetensors.safe_open(path, framework="pt") as opened:
            return opened.metadata() or {}
    except (safetensors.SafetensorError, OSError):
        return {}


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Reads a safetensors file onto the CPU.

    Raises:
        LimbeckError: the file does not exist, is damaged, or is not safetensors.
    """
    try:
        return safetensors.torch.load_file(path)
    except FileNotFoundError as error:
        raise LimbeckError(f"weights file {path} does not exist. Check the path.") from error
    except (safetensors.SafetensorError, OSError) as error:
        if other := _something_else(path):
            raise LimbeckError(
                f"{path} is {other}. Type the path of a weights.safetensors in a run's folder."
            ) from error
        raise LimbeckError(
            f"weights file {path} is damaged ({error}). Replace it with a good copy; if a run made it, removing it and "
            "running again has it made again."
        ) from error


def _something_else(path: Path) -> str | None:
    """What a file is that never was safetensors; None where it may be a damaged one."""
    if path.is_dir():
        return "a folder, not a weights file"
    with contextlib.suppress(OSError), path.open("rb") as stream:
        begin = stream.read(9)  # the header's length, and the header, which is JSON
        if begin[8:] != b"{" and (begin[8:] or path.suffix != ".safetensors"):
            return "not a weights file: it is no safetensors file"
    return None


def digest(path: Path, algorithm: str = "sha256", progress: Callable[[int], None] | None = None) -> str:
    """The hexadecimal digest of a file, read in pieces; ``progress`` is told the bytes read so far."""
    state, done = hashlib.new(algorithm, usedforsecurity=False), 0
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            state.update(piece)
            done += len(piece)
            if progress:
                progress(done)
    return state.hexdigest()


@contextlib.contextmanager
def locked(path: Path, refusal: str | None = None) -> Iterator[None]:
    """Holds the kernel's lock on ``path`` (flock; released by the kernel when the process dies, however it dies).

    Args:
        path: the lock file; made when it is not there, and left in place.
        refusal: the message of the `LimbeckError` raised at once when another process holds the lock. None waits.
    """
    make_folder(path.parent)
    lock = filelock.FileLock(path, timeout=-1 if refusal is None else 0)
    try:
        with mendable(path):
            lock.acquire()
    except filelock.Timeout as error:
        raise LimbeckError(str(refusal)) from error
    try:
        yield
    finally:
        lock.release()
