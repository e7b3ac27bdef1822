"""How pictures of one's own are read; data sets of the catalogue are as they were published."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from limbeck.spec import Spec

SIZE = 32
_GIB = 1 << 30
_MOST_WORKERS = 16


class Reading(Spec):
    """How pictures of one's own (a folder, a CSV, a Hugging Face data set) become pictures of one size."""

    later: ClassVar[tuple[str, ...]] = (
        *("size", "fit", "val_share", "test_share", "broken"),
        *("memory", "workers", "image", "label"),
    )

    size: int | None = Field(
        None, ge=4, le=1024, description=f"Side in pixels that own pictures are brought to; none: {SIZE}."
    )
    fit: Literal["crop", "pad", "stretch"] = Field(
        "crop",
        description="How own pictures are brought to it: crop resizes the shorter side and takes the centre, pad "
        "resizes the longer side and fills up with grey, stretch resizes both.",
    )
    val_share: float = Field(
        0.1, ge=0, lt=1, description="Share held out of own training pictures where they have no val split."
    )
    test_share: float = Field(
        0.2, ge=0, le=1, description="Share of own pictures kept for the test where they have no test split."
    )
    broken: Literal["refuse", "skip"] = Field("refuse", description="What is done about files that cannot be read.")
    memory: float = Field(
        4.0,
        ge=0,
        description="GiB that the pictures of a split may take, decoded; larger ones are read anew in every epoch.",
    )
    workers: int | None = Field(
        None, ge=1, description=f"Threads that decode own pictures; none: one a core, up to {_MOST_WORKERS}."
    )
    image: str | None = Field(None, description="Column of a Hugging Face data set; none: its only pictures.")
    label: str | None = Field(None, description="Column of a Hugging Face data set; none: its only classes, or label.")

    @model_validator(mode="after")
    def _something_is_left(self) -> Self:
        if self.test_share < 1 and self.val_share + self.test_share >= 1:
            raise ValueError("val_share and test_share together must be below 1, so that pictures are left to train on")
        return self

    def whole(self) -> Reading:
        """As this, of pictures that are only judged on: where there are no splits, all are for the test."""
        kept = {name: getattr(self, name) for name in Reading.model_fields}
        return Reading(**{**kept, "val_share": 0, "test_share": 1})

    def of(self, name: str, trained_on: str | None) -> Reading:
        """How a data set is read by whoever reads so what it was trained on: of others, nothing is for training."""
        return self if trained_on is not None and _same(name, trained_on) else self.whole()

    @property
    def side(self) -> int:
        """Pixels, of every picture."""
        return self.size or SIZE

    @property
    def threads(self) -> int:
        """That decode."""
        return self.workers or min(os.cpu_count() or 1, _MOST_WORKERS)

    def fits(self, pictures: int) -> bool:
        """Whether so many may be kept in memory, decoded."""
        return pictures * self.side**2 * 3 <= self.memory * _GIB


def _same(name: str, other: str) -> bool:
    """Whether two names lead to one place; where the other leads nowhere from here, whether they end alike."""
    here, there = (Path(os.path.expanduser(each)).absolute() for each in (name, other))  # noqa: PTH111 (never raises)
    if os.path.exists(there):  # noqa: PTH110 (false, too, where no file could have such a name)
        return os.path.exists(here) and here.samefile(there)  # noqa: PTH110
    return here.name == there.name
