"""The options of what is done with a student that is trained: `limbeck export`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from limbeck.errors import LimbeckError
from limbeck.options.commands import parsed, refuse_what_is_not_trained
from limbeck.spec import Spec


class ExportOptions(Spec):
    """Options of `limbeck export`."""

    out: Path | None = Field(None, description="The folder to write to; by default RUN/export, or beside the file.")
    role: Literal["distilled", "alone", "teacher"] | None = Field(
        None, description="Which network of a run; none: the distilled student, or else the one that there is."
    )
    seed: int | None = Field(None, description="Of which seed; none: the first.")
    quiet: bool = Field(False, description="Show nothing but the result.")


def parse_export(words: Sequence[str], head: str) -> tuple[Path, ExportOptions]:
    """The run or weights file, which is there, and the options of `limbeck export`; raises as `parse_run` does."""
    (options,), paths = parsed([ExportOptions()], words, head)
    if len(paths) != 1:
        what = f"which one of {', '.join(paths)}" if paths else "which run's folder, or which weights file"
        raise LimbeckError(f"{what}? Type it first: limbeck export runs/RUN")
    refuse_what_is_not_trained(Path(paths[0]))
    return Path(paths[0]), options
