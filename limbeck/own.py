"""What users define in files of their own: which classes a description has of them, and whose mistake an error is."""

from __future__ import annotations

import contextlib
import functools
import inspect
import linecache
import sys
import traceback
import uuid
from collections.abc import Collection, Iterator, Mapping

from limbeck.errors import LimbeckError
from limbeck.spec import Spec


def is_own(kind: type) -> bool:
    """Whether a class is defined outside the package limbeck."""
    return kind.__module__.partition(".")[0] != "limbeck"


def classes(description: object) -> list[type[Spec]]:
    """The users' own classes that a description is made of, however deep, and those that they inherit from."""
    bases = dict.fromkeys(base for kind in _kinds(description) for base in kind.__mro__)
    return [base for base in bases if issubclass(base, Spec) and is_own(base)]


def _kinds(part: object) -> Iterator[type]:
    if isinstance(part, Spec):
        yield type(part)
        part = [getattr(part, name) for name in type(part).model_fields]
    if isinstance(part, Mapping):
        part = list(part.values())
    if isinstance(part, (list, tuple, set, frozenset)):
        for inner in part:
            yield from _kinds(inner)


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


def line(error: BaseException, files: Collection[str]) -> tuple[str, int] | None:
    """Where in these files an exception came about; None where it did not."""
    passed = [(frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)]
    return next((frame for frame in reversed(passed) if frame[0] in files), None)


def said(error: BaseException) -> str:
    """An exception's kind and the first line of its message."""
    return f"{type(error).__name__}: {error}".splitlines()[0].rstrip(": ")


@contextlib.contextmanager
def blamed(description: Spec) -> Iterator[None]:
    """Turns what the users' own classes in a description raise into a `LimbeckError` that names the file and line.

    Errors that come about elsewhere are let through.
    """
    try:
        yield
    except LimbeckError:
        raise
    except (Exception, SystemExit) as error:
        place = line(error, {file(kind) for kind in classes(description)})
        if place is None:
            raise
        where = "{}:{}".format(*place)
        raise LimbeckError(f"{where}: {said(error)}. limbeck's own pieces run; mend {where}.") from error
