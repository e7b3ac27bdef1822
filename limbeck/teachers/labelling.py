"""How a teacher's answers come to a student's views, as a recipe says it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, SerializeAsAny

from limbeck import files
from limbeck.console import size
from limbeck.data.views import Views, variants
from limbeck.errors import LimbeckError
from limbeck.processes import ranks
from limbeck.spec import Family
from limbeck.teachers.answers import Answers
from limbeck.teachers.assignment import Assignment
from limbeck.teachers.live import LiveTeacher
from limbeck.teachers.stored import StoredLogits, of_epoch
from limbeck.teachers.table import ViewTable, every_answer, of_variant
from limbeck.training.job import LabelsViews
from limbeck.training.memory import capacity

HALF = 2  # bytes of a logit that is kept


class Labelling(Family):
    """Base of the ways to ask a teacher: a subclass has a ``name`` and `build`."""

    def build(self, asked: Assignment) -> LabelsViews:
        """Who labels views for a training; it has passed `check`."""
        raise NotImplementedError

    def check(self, asked: Assignment) -> None:
        """Finds before anything is trained what would go wrong.

        Args:
            asked: with a network such as the teacher will be, where it is not trained yet.

        Raises:
            LimbeckError: this way cannot answer, or not here.
        """

    def unsuited(self, views: Views, above: str = "") -> str | None:
        """Why views of this kind cannot be labelled in this way; None where they can.

        ``above`` is what stands before ``views`` in a field's path.
        """


class Live(Labelling):
    """Asks the teacher about every view, in every training."""

    name: Literal["live"] = "live"

    def build(self, asked: Assignment) -> LabelsViews:
        return LiveTeacher(asked.network, asked.engine, asked.taps)


class Kept(Labelling):
    """Base of the ways that keep answers, rounded to half precision: a subclass has `tables` and `build`."""

    later: ClassVar[tuple[str, ...]] = ("folder",)

    folder: Path | None = Field(
        None,
        description="Where answers are kept for good, for every run with this teacher, these pictures and these views; "
        "none: in the run, until it is complete.",
    )

    def tables(self, views: Views, epochs: int) -> list[str]:
        """What the tables are called that a training of so many epochs needs; each is of one view of every picture."""
        raise NotImplementedError

    def answers(self, asked: Assignment) -> Answers:
        """Where they are kept."""
        shape, say = (len(asked.pictures), len(asked.pictures.classes)), asked.console.say
        return Answers(self.folder or asked.folder, self._key(asked), shape, asked.title(), say)

    def there(self, asked: Assignment, epochs: int) -> tuple[int, int]:
        """How many of the tables that a training of so many epochs needs are in `folder`, and how many it needs."""
        tables = self.tables(asked.views, epochs)
        return (sum(map(self.answers(asked).has, tables)) if self.folder is not None else 0), len(tables)

    def check(self, asked: Assignment) -> None:
        if asked.taps:
            raise LimbeckError(
                f"logits = {self.name!r} keeps a teacher's logits, but the objective needs features "
                f"({', '.join(asked.taps)}). Type --logits live, or an --objective on logits"
            )
        if why := self.unsuited(asked.views):
            raise LimbeckError(f"{why}.")
        if self.folder is not None and (file := _in_the_way(self.folder)):
            raise LimbeckError(f"logits.folder = {self.folder}: {file} is a file. Type --logits.folder with a folder.")

    def unsuited(self, views: Views, above: str = "") -> str | None:
        if views.mix is None:
            return None
        return (
            f"logits = {self.name!r} keeps one answer a view, but {above}views.mix = {views.mix.name!r} makes other "
            "pictures of them for every seed; type --logits live"
        )

    def _key(self, asked: Assignment) -> dict[str, Any]:
        return asked.key()


class Stored(Kept):
    """Asks the teacher about each view once, and keeps its answers for all seeds, rounded to half precision."""

    name: Literal["stored"] = "stored"

    def tables(self, views: Views, epochs: int) -> list[str]:
        return [of_epoch(epoch) for epoch in range(epochs)]

    def build(self, asked: Assignment) -> LabelsViews:
        return StoredLogits(LiveTeacher(asked.network, asked.engine), self.answers(asked))


class Table(Kept):
    """Asks the teacher about every crop and flip of every picture beforehand, for all seeds, epochs and view seeds."""

    name: Literal["table"] = "table"

    def tables(self, views: Views, epochs: int) -> list[str]:
        return [of_variant(number) for number in range(variants(views) or 0)]

    def build(self, asked: Assignment) -> LabelsViews:
        teacher = LiveTeacher(asked.network, asked.engine)
        with ranks.ahead():
            table = every_answer(teacher, self.answers(asked), asked)
        return ViewTable(table, asked.views, asked.view_seed)

    def check(self, asked: Assignment) -> None:
        super().check(asked)
        factors = (variants(asked.views) or 0, len(asked.pictures), len(asked.pictures.classes))
        taken, room = math.prod(factors) * HALF, capacity(asked.engine.device)
        if taken > room / 2:
            raise LimbeckError(
                f"logits = 'table' would take {size(taken)} of memory ({factors[0]} views x {factors[1]:,} pictures x "
                f"{factors[2]:,} classes x {HALF} bytes), more than half of the {size(room)} of "
                f"{asked.engine.device}. Type --logits stored, which holds one view of each picture at a time"
            )

    def unsuited(self, views: Views, above: str = "") -> str | None:
        if mixed := super().unsuited(views, above):
            return mixed
        others = {name: getattr(views, name) for name in ("resized_crop", "policy", "cutout")}
        return next(
            (
                f"logits = 'table' is of every crop and flip of a picture, but {above}views.{name} = "
                f"{getattr(value, 'name', value)!r} makes other views, without number; type --logits stored"
                for name, value in others.items()
                if value
            ),
            None,
        )

    def _key(self, asked: Assignment) -> dict[str, Any]:
        """Whatever the epoch and the seed, the views are among those that are kept."""
        return {name: value for name, value in asked.key().items() if name != "view_seed"}


def _in_the_way(folder: Path) -> Path | None:
    """What is no folder on the path of one."""
    with files.mendable(folder, "use"):
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        return None if there.is_dir() else there


AnyLabelling = SerializeAsAny[Labelling]
