"""The one exception that a user is meant to see, and how its messages are worded."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Iterator


class LimbeckError(Exception):
    """A mistake that the user can mend.

    The message says what is wrong, the offending value, the alternatives and what to type next. The command line
    prints it without a traceback and exits with code 2.
    """


class TrainingError(LimbeckError):
    """One training cannot be brought to its end, though nothing is wrong elsewhere: it diverged, or memory ran out.

    Attributes:
        short: what happened, in a few words.
        lasting: whether it would happen again.
    """

    def __init__(self, message: str, short: str, lasting: bool) -> None:
        super().__init__(message)
        self.short, self.lasting = short, lasting


def nearest(name: str, known: Iterable[str], alike: float = 0.5) -> str | None:
    """The known name most like ``name``, or None when nothing is near; ``alike`` is the least share, in [0, 1]."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=alike)
    return close[0] if close else None


@contextlib.contextmanager
def concerning(typed: str) -> Iterator[None]:
    """Begins the message of a `LimbeckError` with what was typed that it is about: "--teacher net.py:big"."""
    try:
        yield
    except TrainingError:
        raise
    except LimbeckError as error:
        raise LimbeckError(f"{typed}: {error}") from error


def unknown(kind: str, name: str, known: Iterable[str], then: str = "", beside: Iterable[str] = ()) -> LimbeckError:
    """The error for a name that does not exist, with the nearest one and all the alternatives.

    Args:
        kind: what was looked up, in the singular ("model").
        name: the name as the user typed it.
        known: the names that exist.
        then: a last sentence that says what to type next.
        beside: others that may have been meant, and are not listed.
    """
    names = sorted(known)
    near = nearest(name, [*names, *beside])
    hint = f" Did you mean {near!r}?" if near else ""
    message = f"unknown {kind} {name!r}.{hint} Known: {', '.join(names) or 'none'}."
    return LimbeckError(f"{message} {then}".rstrip())
