"""The run folder: what lies where, whose it is, and where it was made."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Protocol

from limbeck import files, own
from limbeck.environment import environment
from limbeck.errors import LimbeckError
from limbeck.evaluation.results import KEYS
from limbeck.folders import UNFINISHED, busy, clear, names, refuse_foreign
from limbeck.recipes.fields import differences
from limbeck.recipes.recipe import Recipe, Teacher, Training, given_weights, read_recipe
from limbeck.training import Engine

# What a run writes, in the order in which --fresh removes it: what is left when that is cut short is a run still.
_CONTENTS = (
    *("results.json", "details.json", "report.html", "report", "export", "evaluations.jsonl"),
    *("answers", "teacher", "seed*", "trackers.json", "tensorboard", "wandb"),
    *("SHA256SUMS", "environment.json", "pictures.json", "recipe.json"),
)


class Digested(Protocol):
    """What is carried out: a recipe, or a sweep."""

    def digest(self) -> str:
        """A few characters that stand for all of it."""


class RunFolder:
    """One run on disk. Made by `open_run`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def results(self) -> Path:
        return self.path / "results.json"

    @property
    def details(self) -> Path:
        return self.path / "details.json"

    @property
    def page(self) -> Path:
        return self.path / "report.html"

    @property
    def teacher(self) -> Path:
        return self.path / "teacher"

    def student(self, seed: int, role: str) -> Path:
        return self.path / f"seed{seed}" / role

    def network(self, role: str, seed: int | None) -> Path:
        """The folder of a network; the teacher's has no seed."""
        return self.teacher if seed is None else self.student(seed, role)

    def above(self, folder: Path, teacher: Teacher, seed: int) -> Path:
        """The folder of a teacher's teacher; ``folder`` is the teacher's."""
        return folder / "teacher"

    def member(self, folder: Path, number: int, teacher: Teacher, seed: int) -> Path:
        """The folder of one of several teachers, counted from 1; ``folder`` is that of all together."""
        return folder / str(number)

    def identity(self, recipe: Recipe, how: Training, title: str) -> str:
        """What tells the checkpoint of a training from another's in the same place."""
        return f"recipe {recipe.digest()}, {title}"

    @property
    def answers(self) -> Path:
        """Where teachers' answers are kept until nobody needs them any more."""
        return self.path / "answers"

    def forget_answers(self) -> None:
        """Removes them."""
        shutil.rmtree(self.answers, ignore_errors=True)

    def read_results(self) -> dict[str, Any]:
        """The content of results.json.

        Raises:
            LimbeckError: it is damaged.
        """
        remedy = "Remove that file and run again: everything else is kept, and no test set is looked at again."
        return files.read_json(self.results, KEYS, remedy)

    @property
    def writable(self) -> bool:
        """Whether files may be made in the folder; of what is archived, nothing but the networks is used."""
        return os.access(self.path, os.W_OK)

    def alone(self) -> AbstractContextManager[None]:
        """Keeps other processes out of a run that is there already; out of one that cannot be written to, nobody."""
        if not self.writable:
            return contextlib.nullcontext()
        return files.locked(self.path / "lock", f"another process is working in {self.path}. Wait until it has ended.")

    def renew_cost(self, cost: dict[str, Any]) -> None:
        """Puts what networks cost in place of what results.json says of it, where the run has ended."""
        if self.results.exists():
            files.write_json(self.results, {**self.read_results(), "cost": cost})

    def note_environment(self, engine: Engine, what: Digested, pictures: Sequence[str] = ()) -> None:
        """Adds this start of the run to environment.json: versions, hardware, threads, revision, decisions.

        ``pictures`` is what there is to say of pictures of one's own.
        """
        start = {"when": _now(), **environment(engine), "recipe": what.digest()}
        start |= {"pictures": [*pictures]} if pictures else {}
        files.write_json(self.path / "environment.json", {"starts": [*self._starts(), start]})

    def noted_digest(self) -> str | None:
        """The digest of the recipe that was started here last; None where nothing says it."""
        return self.last_start().get("recipe")

    def last_start(self) -> dict[str, Any]:
        """What environment.json says of the last start; nothing where there is none."""
        starts = [start for start in self._starts() if isinstance(start, dict)]
        return starts[-1] if starts else {}

    def _starts(self) -> list[Any]:
        path = self.path / "environment.json"
        remedy = "Remove that file and run again: everything else is kept."
        return files.read_json(path, {"starts": list}, remedy)["starts"] if path.exists() else []

    def note_evaluation(self, role: str, seed: int | None, dataset: str, split: str) -> None:
        """Logs that a test set is about to be looked at, in evaluations.jsonl, where it can be written.

        A line is added and nothing rewritten: who looks need not hold the run's lock.
        """
        line = json.dumps({"when": _now(), "role": role, "seed": seed, "dataset": dataset, "split": split})
        if self.writable:
            files.add_line(self.path / "evaluations.jsonl", line)

    def unlogged(self) -> list[str]:
        """What has to be said of looks at test sets where they cannot be logged; nothing where they can."""
        return [] if self.writable else [f"{self.path} cannot be written to: this look at a test set is not logged."]

    def seal(self, path: Path) -> None:
        """Notes the SHA-256 of a finished file in SHA256SUMS, as `sha256sum --check` reads it."""
        sums = {**self._sums(), self._name(path): files.digest(path)}
        text = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
        files.write_bytes(self.path / "SHA256SUMS", text.encode())

    def check(self, path: Path) -> None:
        """Compares a file with its seal; seals it where there is none yet. Who calls it holds the run's lock.

        A file of this run has none where a process was killed before it could seal it; a file from elsewhere, with a
        teacher's weights or those that a student starts from, gets one when the run first uses it.

        Raises:
            LimbeckError: the file was altered.
        """
        if self._name(path) not in self._sums():
            self.seal(path)
        self.compare(path)

    def compare(self, path: Path) -> None:
        """Compares a file with its seal, where it has one; nothing is written.

        Raises:
            LimbeckError: the file was altered.
        """
        name = self._name(path)
        expected = self._sums().get(name)
        if expected is not None and expected != files.digest(path):
            remedy = "Replace it with a good copy; if the run made it, removing it has it made again."
            if Path(name).is_absolute():
                remedy = "Put it back as it was; or type --fresh to start over, or --out with the name of a new folder."
            raise LimbeckError(
                f"{path} was altered since this run first had it: it has another SHA-256 than in "
                f"{self.path / 'SHA256SUMS'}. {remedy}"
            )

    def check_given(self, recipe: Recipe) -> None:
        """As `check`, for the files with weights that a recipe's networks are or start from.

        Raises:
            LimbeckError: one was altered.
        """
        for student in recipe.students().values():
            for path in given_weights(student):
                self.check(path)

    def check_all(self) -> None:
        """Compares every file that this run made and sealed with its seal.

        Raises:
            LimbeckError: one is gone or was altered.
        """
        for name, expected in self._sums().items():
            path = self.path / name
            if not Path(name).is_absolute() and (not path.is_file() or files.digest(path) != expected):
                raise LimbeckError(
                    f"{path} is gone, or was altered since this run made it: its SHA-256 is not the one in "
                    f"{self.path / 'SHA256SUMS'}. Put a good copy there; or remove it and {self.results}, and the same "
                    "command makes both again."
                )

    def _sums(self) -> dict[str, str]:
        path = self.path / "SHA256SUMS"
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}

    def _name(self, path: Path) -> str:
        """How SHA256SUMS calls a file: from the run's folder on, or in full where it lies elsewhere."""
        path, home = path.parent.resolve() / path.name, self.path.resolve()  # a link may come to lead elsewhere
        return (path.relative_to(home) if path.is_relative_to(home) else path).as_posix()


@contextlib.contextmanager
def open_run(recipe: Recipe, out: Path | None = None, fresh: bool = False) -> Iterator[RunFolder]:
    """Opens the folder of a run, new or to be continued, and keeps other processes out of it.

    Args:
        recipe: what is run.
        out: the folder; by default runs/<name>-<digest of the recipe>.
        fresh: throw away what an earlier run of the recipe left there. Other files are left alone.

    Raises:
        LimbeckError: the folder belongs to another recipe, or to an earlier text of its own classes; another process is
            working in it, or it cannot be written.
    """
    folder = folder_of(recipe, out)
    path = folder.path
    refuse_foreign(path, "run", "recipe.json")
    with files.locked(path / "lock", busy(path)):
        recipe_file, content = path / "recipe.json", (recipe.model_dump_json(indent=2) + "\n").encode()
        if recipe_file.exists():
            _refuse_another(recipe, folder, fresh)
        clear(path, _CONTENTS if fresh else ())
        if not recipe_file.exists() or recipe_file.read_bytes() != content:
            files.write_bytes(recipe_file, content)
        yield folder


def folder_of(recipe: Recipe, out: Path | None = None) -> RunFolder:
    """The folder that a recipe is run in: ``out``, or runs/<name>-<digest of the recipe>."""
    return RunFolder(out or Path("runs") / f"{recipe.name}-{recipe.digest()}")


def _refuse_another(recipe: Recipe, folder: RunFolder, fresh: bool) -> None:
    """Refuses a folder whose recipe.json, or what is noted of its last start, is not of this recipe."""
    path, noted = folder.path, None if fresh else folder.noted_digest()
    try:
        found = read_recipe(path / "recipe.json")
    except LimbeckError as error:
        if noted == recipe.digest() or (fresh and _plainly_a_run(path)):
            return  # it is of this recipe, or of none any more, and is written anew
        over = "" if fresh or not _plainly_a_run(path) else f"--fresh to start over in {path}, or "
        raise LimbeckError(f"{error}\nType {over}--out with the name of a new folder.") from error
    if found != recipe:
        changes = differences(found.model_dump(mode="json"), recipe.model_dump(mode="json"))
        raise LimbeckError(
            f"{path} belongs to another recipe ({'; '.join(changes[:5])}). "
            "Type --out with another folder, or leave --out away to get one of its own."
        )
    if noted not in (None, recipe.digest()):
        edited = ", ".join(own.code_files(recipe)) or path / "recipe.json"
        raise LimbeckError(
            f"{edited} was edited since the run in {path} was started (recipe {noted}, now {recipe.digest()}). Type "
            "--fresh to start over there, --out with another folder, or leave --out away to get one of its own."
        )


def _plainly_a_run(path: Path) -> bool:
    """Whether a folder holds what a run writes, and nothing else."""
    ours = ("lock", UNFINISHED, *_CONTENTS)
    there = names(path)
    return "environment.json" in there and all(any(fnmatch(name, pattern) for pattern in ours) for name in there)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
