"""The folder of a sweep: every training lies under a digest of what it is, so that trials share what is the same."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from limbeck import files, own
from limbeck.errors import LimbeckError
from limbeck.folders import busy, clear, refuse_foreign
from limbeck.recipes import Recipe, Training
from limbeck.recipes.fields import differences
from limbeck.recipes.recipe import Teacher, chain, given_weights
from limbeck.runs import RunFolder
from limbeck.sweeps.axes import Plan

_CONTENTS = (
    *("results.json", "table.md", "answers", "trainings"),
    *("SHA256SUMS", "environment.json", "pictures.json", "sweep.json"),
)
_KEYS = {"recipe": dict, "axes": dict, "trials": list, "digest": str}
MARKER = "sweep.json"


class Shelf(RunFolder):
    """Where the networks of one trial lie in its sweep's folder."""

    def __init__(self, path: Path, recipe: Recipe) -> None:
        super().__init__(path)
        self._recipe, self._students = recipe, recipe.students()

    @property
    def teacher(self) -> Path:
        return self._of(self._recipe.listened_to, self._recipe.teacher_seed)

    def student(self, seed: int, role: str) -> Path:
        return self._of(self._students.get(role), seed)

    def above(self, folder: Path, teacher: Teacher, seed: int) -> Path:
        return self._of(teacher, seed)

    def member(self, folder: Path, number: int, teacher: Teacher, seed: int) -> Path:
        return self._of(teacher, seed)

    def identity(self, recipe: Recipe, how: Training, title: str) -> str:
        return f"training {self._digest(how)}"  # whichever trial began it

    def trainings(self) -> dict[str, str]:
        """The digest of each role's training; roles that there are not are left out."""
        roles = {"teacher": self._recipe.listened_to, **self._students}
        return {role: self._digest(how) for role, how in roles.items() if how is not None}

    def _of(self, how: Teacher | None, seed: int) -> Path:
        return self.path / "trainings" / (self._digest(how) if how else "none") / f"seed{seed}"

    def _digest(self, how: Teacher) -> str:
        """What stands for everything that a training's weights, time and memory depend on, but its seed."""
        recipe = self._recipe
        taught = any(isinstance(part, Training) and part.teacher for _, part in chain(how))
        asked = recipe.logits if taught else None
        described = [how, recipe.device, *([asked] if asked else [])]
        read = recipe.data.model_dump(mode="json", exclude={"name", "tests"})
        around = [recipe.data.name, recipe.protocol.holdout, recipe.protocol.view_seed, *([read] if read else [])]
        weights = [own.stamp(file) for file in given_weights(how)]
        return _digest([around, *(part.model_dump(mode="json") for part in described), *weights], described)


def _digest(content: Any, described: Any) -> str:
    return hashlib.sha256("\0".join([json.dumps(content, sort_keys=True), *own.texts(described)]).encode()).hexdigest()[
        :12
    ]


def folder_of(plan: Plan, out: Path | None = None) -> Path:
    """Where a sweep is kept: ``out``, or sweeps/<recipe>-<digest>."""
    return out or Path("sweeps") / f"{plan.trials[0].recipe.name}-{plan.digest()}"


@contextlib.contextmanager
def open_sweep(plan: Plan, out: Path | None = None, fresh: bool = False) -> Iterator[RunFolder]:
    """Opens the folder of a sweep, new or to be continued, and keeps other processes out of it.

    Raises:
        LimbeckError: the folder is not a sweep's, or another one's; another process is working in it, or it cannot be
            written.
    """
    path = folder_of(plan, out)
    refuse_foreign(path, "sweep", MARKER)
    with files.locked(path / "lock", busy(path)):
        file, content = path / MARKER, _described(plan)
        if file.exists():
            _refuse_another(file, content, fresh)
        clear(path, _CONTENTS if fresh else ())
        if not file.exists():
            files.write_json(file, content)
        yield RunFolder(path)


def _described(plan: Plan) -> dict[str, Any]:
    return {
        "recipe": plan.recipe.model_dump(mode="json"),
        "axes": plan.axes(),
        "search": plan.search,
        "digest": plan.digest(),
        "trials": [{"varies": dict(trial.varies), "recipe": trial.recipe.digest()} for trial in plan.trials],
    }


def _refuse_another(file: Path, wanted: dict[str, Any], fresh: bool) -> None:
    try:
        remedy = "Type --fresh to start over there, or --out with the name of a new folder."
        found = files.read_json(file, _KEYS, remedy)
    except LimbeckError:
        if fresh:
            return  # nobody's any more
        raise
    if found["digest"] == wanted["digest"]:
        return
    before, now = ({name: content.get(name) for name in ("axes", "search", "recipe")} for content in (found, wanted))
    changes = differences(before, now) or ["other options, or an edited file of your own"]
    raise LimbeckError(
        f"{file.parent} belongs to another sweep ({'; '.join(changes[:3])}). "
        "Type --out with another folder, or leave --out away to get one of its own."
    )
