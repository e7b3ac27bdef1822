"""What users define in files of their own: which classes a description has of them, and whose mistake an error is."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import inspect
import linecache
import re
import sys
import traceback
import uuid
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import ModuleType

from limbeck import files
from limbeck.errors import LimbeckError
from limbeck.spec import Spec

_BESIDE: set[Path] = set()  # folders that somebody imported from


def is_own(kind: type) -> bool:
    """Whether a class is defined outside the package limbeck."""
    return kind.__module__.partition(".")[0] != "limbeck"


def classes(description: object) -> list[type[Spec]]:
    """The users' own classes that a description is made of, however deep, and those that they inherit from."""
    bases = dict.fromkeys(base for spec in _specs(description) for base in type(spec).__mro__)
    return [base for base in bases if issubclass(base, Spec) and is_own(base)]


def named(description: object) -> list[Path]:
    """The files with code that a description names, however deep: networks of the user's own."""
    return list(dict.fromkeys(path for spec in _specs(description) for path in spec.named_code()))


def code_files(description: object) -> list[str]:
    """All files of the user's own that a description depends on: they define its classes, or it names them."""
    return list(dict.fromkeys([*map(file, classes(description)), *map(str, named(description))]))


def texts(description: object) -> list[str]:
    """What stands for the content of those files."""
    return sorted({*map(source, classes(description)), *map(stamp, named(description))})


def _specs(part: object) -> Iterator[Spec]:
    if isinstance(part, Spec):
        yield part
        part = [getattr(part, name) for name in type(part).model_fields]
    if isinstance(part, Mapping):
        part = list(part.values())
    if isinstance(part, (list, tuple, set, frozenset)):
        for inner in part:
            yield from _specs(inner)


def file(kind: type) -> str:
    """The file that a class is defined in, or what Python calls the notebook's cell."""
    for member in vars(kind).values():
        if inspect.isfunction(member) and member.__module__ == kind.__module__:
            return inspect.unwrap(member).__code__.co_filename
    return getattr(sys.modules.get(kind.__module__), "__file__", None) or "<unknown>"


@functools.cache
def source(kind: type) -> str:
    """The whole text of the file or cell that defines a class, as it was when first asked for.

    Asked again, it says the same, since the class that is running is the same, too. What nobody can read, such as a
    class typed at a prompt, is like no other.
    """
    path = file(kind)
    linecache.checkcache(path)
    return "".join(linecache.getlines(path)) or uuid.uuid4().hex


def stamp(path: Path) -> str:
    """The SHA-256 of a file with code, as it was when first asked for (see `read_anew`); "" where it is gone."""
    return _stamp(path.resolve())


@functools.cache
def _stamp(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


@functools.cache
def module_of(path: Path, purpose: str, advice: str) -> ModuleType:
    """As `run_file`, once: what was run stays what it was, though the file be edited."""
    return run_file(path, purpose, advice)


def read_anew() -> None:
    """Forgets the files that descriptions named: a run that begins takes them as they are now, and keeps to that."""
    _stamp.cache_clear()
    module_of.cache_clear()


def line(error: BaseException, files: Collection[str]) -> tuple[str, int] | None:
    """Where in these files an exception came about; None where it did not."""
    passed = [(frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)]
    return next((frame for frame in reversed(passed) if frame[0] in files), None)


def said(error: BaseException) -> str:
    """An exception's kind and the first line of its message, without a terminal's codes."""
    return re.sub(r"\x1b\[[\d;]*m", "", f"{type(error).__name__}: {error}".splitlines()[0]).rstrip(": ")


def required(parameter: inspect.Parameter) -> bool:
    """Whether a function cannot be called without it."""
    varies = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not varies


def refuse_absent(path: Path, advice: str = "") -> None:
    """Refuses a Python file that is not there, with one that is called nearly so; ``advice`` ends the message."""
    if not path.is_file():
        hint = files.meant(path, lambda other: other.suffix == ".py")
        raise LimbeckError(f"file {path} does not exist.{hint} {advice}".rstrip())


def run_file(path: Path, purpose: str, advice: str, apart: bool = True) -> ModuleType:
    """Runs a Python file, which may import what lies beside it, and gives what it defines.

    Args:
        path: the file.
        purpose: what it is run for, as the module is called: "checks".
        advice: the end of the message where there is no such file.
        apart: whether a file of that name in another folder is another module, or the same one in another state.

    Raises:
        LimbeckError: there is no such file, or it cannot be run.
    """
    refuse_absent(path, advice)
    place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8] if apart else ""
    spec = importlib.util.spec_from_file_location(f"limbeck_{purpose}_{path.stem}_{place}", path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look there
    with running(str(path), path), beside(path.resolve().parent):
        spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def beside(folder: Path) -> Iterator[None]:
    """Lets a file import what lies in that folder, and not what another file found by the same name in another."""
    others = _BESIDE - {folder}
    for name, module in list(sys.modules.items()) if others else ():
        found = Path(getattr(module, "__file__", None) or "").parent in others
        if found and ((folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()):
            del sys.modules[name]  # who has it keeps it
    _BESIDE.add(folder)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))


@contextlib.contextmanager
def running(name: str, path: Path | None) -> Iterator[None]:
    """Turns whatever code of that name raises, its own end included, into a `LimbeckError` with the file's line."""
    try:
        yield
    except (Exception, SystemExit) as error:
        place = line(error, {str(path.resolve())}) if path else None
        where = f", line {place[1]}," if place else ""
        what = str(error) if isinstance(error, LimbeckError) else f"{type(error).__name__}: {error}"
        raise LimbeckError(f"{name}{where} cannot be run: {what}") from error


@contextlib.contextmanager
def blamed(description: Spec) -> Iterator[None]:
    """Turns what users' own classes and networks in a description raise into a `LimbeckError` with the file and line.

    Errors that come about elsewhere are let through.
    """
    try:
        yield
    except LimbeckError:
        raise
    except (Exception, SystemExit) as error:
        place = line(error, {*map(file, classes(description)), *(str(path.resolve()) for path in named(description))})
        if place is None:
            raise
        where = "{}:{}".format(*place)
        raise LimbeckError(f"{where}: {said(error)}. limbeck's own pieces run; mend {where}.") from error
