"""The forms of the names of networks that limbeck did not make.

    path/to/file.py:FUNCTION   what the function returns; it is given num_classes where it takes that, and nothing else
    FILE.pt2                   an exported program (torch.export.save): it answers, and cannot be trained
    FILE.pt, FILE.ts           TorchScript (torch.jit.save): likewise
    torchvision/NAME           torchvision's
    timm/NAME                  timm's, where that is installed

All of them run the code that they are made of: name only what you trust.
"""

from __future__ import annotations

from pathlib import Path

KINDS = ("path/to/file.py:FUNCTION", "FILE.pt2", "FILE.pt (TorchScript)", "torchvision/NAME", "timm/NAME")
FORMS = f"{', '.join(KINDS[:-1])} or {KINDS[-1]}"
_LIBRARIES = ("torchvision/", "timm/")
_PROGRAMS = (".pt2", ".pt", ".ts")


def is_library(name: str) -> bool:
    """Whether a network is one of a library's."""
    return name.startswith(_LIBRARIES)


def is_program(name: str) -> bool:
    """Whether a network is a program in a file, which nobody can look into, edit or train."""
    return not is_library(name) and Path(name).suffix in _PROGRAMS


def is_source(name: str) -> bool:
    """Whether a name is of one of these forms."""
    where, colon, _ = name.rpartition(":")
    return is_library(name) or bool(colon and where.endswith(".py")) or is_program(name)


def code_of(name: str) -> Path | None:
    """The file with code that a name leads to; None where it is a library's, or limbeck's own."""
    if is_library(name) or not is_source(name):
        return None
    return Path(name) if is_program(name) else Path(name.rpartition(":")[0])


def of_file(name: str, file: str) -> str:
    """The name of a network of code, with another file in the place of its own."""
    return file if is_program(name) else f"{file}:{name.rpartition(':')[2]}"


def short(name: str) -> str:
    """What tables call it."""
    return name if code_of(name) is None else Path(name).name
