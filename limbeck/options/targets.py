"""What a command works on, as it was typed: the folder of a run, a weights file, someone else's network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from limbeck import own
from limbeck.errors import LimbeckError, nearest
from limbeck.models.programs import with_function
from limbeck.models.sources import FORMS, is_source

A_FILE = "FOLDER/weights.safetensors"
TRAINED = ("the folder of a run", f"a weights file ({A_FILE})")
JUDGED = (*TRAINED, f"a network's name ({FORMS})")
ASKED = (*TRAINED, "a student.onnx of `limbeck export`")


def _there(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    for path in paths:
        try:
            own.refuse_absent(path)
        except LimbeckError as error:
            raise ValueError(str(error).rstrip(".")) from error
    return paths


Code = Annotated[tuple[Path, ...], AfterValidator(_there)]
"""Files of the user's own that may be run, each of which is there."""


def refuse_others(name: str, takes: Sequence[str]) -> None:
    """Refuses what is no run's folder and no weights file, with what is meant instead.

    Args:
        name: what was typed.
        takes: what the command takes.

    Raises:
        LimbeckError: the name stands for nothing of that kind.
    """
    path, give = Path(name), f"Give {', '.join(takes[:-1])}, or {takes[-1]}."
    if is_source(name) and not path.is_dir():
        beside = path.with_name("student.onnx")
        there = f" There is {beside}." if takes == ASKED and beside.is_file() else ""
        raise LimbeckError(
            f"{name} does not say what its classes are called, nor what it was trained on. {give}{there}"
        )
    if not path.exists():
        runs = {found.parent.name: found.parent for found in sorted(Path("runs").glob("*/recipe.json"))}
        near = nearest(path.name, runs) or next(iter(runs), None)
        then = f"There is {runs[near]}." if near else "`limbeck run` makes a run, in the folder runs."
        raise LimbeckError(f"{name} does not exist. {give} {then}")
    if path.name == "recipe.json" or path.suffix == ".py":
        function = path.suffix == ".py" and takes == JUDGED
        network = f" Of a file with a network of your own, give {with_function(path)}" if function else ""
        raise LimbeckError(
            f"{name} is a recipe, not something trained. Type `limbeck run {name}` to train it, and give the run's "
            f"folder.{network}"
        )
    if path.is_file() and path.suffix != ".safetensors":
        raise LimbeckError(f"{name} is no weights file: those end in .safetensors. {give}")
