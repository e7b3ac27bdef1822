"""How a command begins and ends: which one it is, its exit code, what is said when it fails or is stopped."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence

from limbeck.commands import COMMANDS
from limbeck.errors import LimbeckError, unknown
from limbeck.processes import ranks
from limbeck.usage import USAGE


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
        the exit code: 0; 1 for a fault that `check` found; 2 for an error that the user can mend; 130 when interrupted;
        141 (as shells count SIGPIPE) when whoever reads the output has ended.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    ranks.hush()
    try:
        code = _command(words)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        return _unread()
    except LimbeckError as error:
        if ranks.speaks():
            print(f"error: {ranks.blaming(error)}{error}", file=sys.stderr)
        return 2
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # rich's way to end
            return _unread()
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt:
        if ranks.speaks():
            print(f"\nstopped. {_continuing(words)}".rstrip(), file=sys.stderr)
        return 130


def _continuing(words: list[str]) -> str:
    """How to go on with a command that was stopped, where that is more than to type it again."""
    before = ["torchrun", "...", "-m"] if ranks.size() > 1 else []
    again = shlex.join([*before, "limbeck", *(word for word in words if word != "--fresh")])
    if _trains(words):
        return f"What was finished and the last checkpoint are kept; type `{again}` to continue."
    return f"Type `{again}` to get what is missing." if words[:2] == ["data", "fetch"] else ""


def _trains(words: list[str]) -> bool:
    return words[:1] in (["run"], ["sweep"]) and not {"--dry-run", "--dry_run"} & set(words)


def _unread() -> int:
    """Points the standard output nowhere, so that Python does not complain of it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def _command(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0
    name, rest = words[0], words[1:]
    if name == "--version":
        from importlib.metadata import version

        print(f"limbeck {version('limbeck')}")
        return 0
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS, "Type `limbeck --help`.")
    if not _trains(words) and not ranks.withdraw():
        return 0  # the first of several processes does it
    return COMMANDS[name](rest)
