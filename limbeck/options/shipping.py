"""The options of what is done with a student that is trained: `limbeck export`, `limbeck predict`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from limbeck.errors import LimbeckError
from limbeck.options.commands import parsed
from limbeck.options.targets import ASKED, TRAINED, Code, refuse_others
from limbeck.spec import Spec


class ExportOptions(Spec):
    """Options of `limbeck export`."""

    out: Path | None = Field(None, description="The folder to write to; by default RUN/export, or beside the file.")
    role: Literal["distilled", "alone", "teacher"] | None = Field(
        None, description="Which network of a run; none: the distilled student, or else the one that there is."
    )
    seed: int | None = Field(None, description="Of which seed; none: the first.")
    code: Code = Field((), description="Files of your own that the network is made by, and that may be run for it.")
    quiet: bool = Field(False, description="Show nothing but the result.")


def parse_export(words: Sequence[str], head: str) -> tuple[Path, ExportOptions]:
    """The run or weights file, which is there, and the options of `limbeck export`; raises as `parse_run` does."""
    (options,), paths = parsed([ExportOptions()], words, head)
    if len(paths) != 1:
        what = f"which one of {', '.join(paths)}" if paths else "which run's folder, or which weights file"
        raise LimbeckError(f"{what}? Type it first: limbeck export runs/RUN")
    refuse_others(paths[0], TRAINED)
    return Path(paths[0]), options


class PredictOptions(Spec):
    """Options of `limbeck predict`."""

    format: Literal["table", "json", "csv"] = Field(
        "table", description="What is printed; json and csv have all classes."
    )
    top: int = Field(3, ge=1, description="Classes a picture, in the table.")
    size: int | None = Field(None, ge=4, le=4096, description="Side that pictures are brought to; none: the network's.")
    code: Code = Field(
        (), description="Files of your own that the network is made by, and that may be run for it; typed last."
    )


def parse_predict(words: Sequence[str], head: str) -> tuple[Path, list[str], PredictOptions]:
    """The run or file, which is there, the pictures, and the options; raises as `parse_run` does."""
    (options,), given = parsed([PredictOptions()], words, head)
    if len(given) < 2:
        missing = f"{given[0]} is asked about nothing" if given else "who is asked, and about which pictures"
        raise LimbeckError(f"{missing}? Type limbeck predict runs/RUN picture.png, or a folder of pictures, or -")
    path = Path(given[0])
    if path.suffix != ".onnx" or not path.is_file():
        refuse_others(given[0], ASKED)
    return path, given[1:], options
