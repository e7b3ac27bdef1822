"""How a comparison is kept honest, as a recipe says it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from limbeck.spec import Spec


class Protocol(Spec):
    """How the comparison is kept honest."""

    later: ClassVar[tuple[str, ...]] = ("corruptions",)

    seeds: tuple[int, ...] = Field(
        (0, 1, 2), min_length=1, description="Fixed before the run; one pair of students each."
    )
    view_seed: int = Field(0, description="Seed of the views, shared by every network.")
    holdout: int = Field(
        0,
        ge=0,
        description="Training pictures held out for selection, never trained on; a data set's own val split is in "
        "their place.",
    )
    corruptions: bool = Field(
        False,
        description="Judge the first seed's networks on 75 corrupted copies of the first test set as well; of 10,000 "
        "pictures, 10 to 20 minutes a network on a CPU.",
    )

    @field_validator("seeds")
    @classmethod
    def _different(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds):
            raise ValueError("seeds must differ from each other, for example 0 1 2")
        return seeds
