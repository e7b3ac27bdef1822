"""Telling the trackers of a run what its files say, each thing once, and never letting one of them end a training."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from limbeck import files, own
from limbeck.console import Console
from limbeck.errors import LimbeckError
from limbeck.trackers.tracker import RESULT, TRACKERS, Run, Tracker, refuse_unknown

NOTE = "trackers.json"
_ARTIFACTS = ("recipe.json", "environment.json", "results.json", "details.json", "report.html")


def refuse_absent(names: Sequence[str]) -> None:
    """Finds out, before anything is done, that a tracker is unknown or its package is not installed.

    Raises:
        LimbeckError: one is.
    """
    for name in map(refuse_unknown, names):
        package = find_spec(name)
        if package is None or package.origin is None:  # without an origin it is a mere folder of that name
            raise LimbeckError(
                f"the tracker {name} needs the package {name}, which is not installed. Type: pip install {name}"
            )


class Tracking:
    """The trackers of a run, and how much each of them was told.

    Only what is in metrics.jsonl already is told, so that a run that is killed goes on where its trackers are. How far
    that is lies in the run's folder, and is noted before it is told: a kill in between may lose points of a curve where
    the tracker cannot be asked for them, and doubles none. Whoever makes one of these is the one who tells: where
    several processes train together, that is the first.
    """

    def __init__(self, path: Path, console: Console) -> None:
        self._path, self._console = path, console
        self._trackers: dict[str, Tracker] = {}
        self._id, self._told = "", dict[str, dict[str, int]]()

    def start(self, names: Sequence[str], recipe: Mapping[str, Any]) -> None:
        """Has trackers follow the run.

        Raises:
            LimbeckError: one of them cannot.
        """
        if names:
            self._id, self._told = _noted(self._path / NOTE)
            self._note()  # first: what is begun under a name that is not kept would be begun once more
        for name in dict.fromkeys(names):
            self._start(name, recipe)

    def _start(self, name: str, recipe: Mapping[str, Any]) -> None:
        folder = self._path.resolve()
        try:
            tracker: Tracker = getattr(import_module(f"limbeck.trackers.{name}"), TRACKERS[name])()
            where = tracker.start(Run(self._id, folder.name, recipe, folder))
            told = {stage: tracker.has(stage, upto) for stage, upto in self._told.get(name, {}).items()}
        except Exception as error:
            raise LimbeckError(
                f"the tracker {name} cannot be started: {_said(error)}. Mend that, or leave --tracker {name} away: the "
                "same command with it tells everything later."
            ) from error
        self._trackers[name], self._told[name] = tracker, told
        self._console.say(f"  tracker {name}: {where or 'told'}")

    def epochs(self, home: Path, rows: Sequence[Mapping[str, Any]]) -> None:
        """Tells the rows of a training's metrics.jsonl, all that there are so far; ``home`` is its folder."""
        stage = home.relative_to(self._path).as_posix()
        for name in list(self._trackers):
            told = self._told.get(name, {}).get(stage, 0)
            new = [row for row in rows if row["epoch"] > told]
            if new:
                self._tell(name, stage, new[-1]["epoch"], partial(_log, stage, new))

    def trained(self, folder: Path) -> None:
        """Tells what there is of finished trainings in a folder of the run's: a network's own, and its teachers'."""
        for path in sorted(folder.rglob("metrics.jsonl")) if self._trackers else ():
            with contextlib.suppress(ValueError, KeyError, TypeError):  # who reads it for the results says so
                self.epochs(path.parent, [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()])

    def result(self, results: Mapping[str, Any]) -> None:
        """Tells what a finished run came to, and everything that was not told before."""
        self.trained(self._path)
        figures = _figures(results["summary"])
        for name in list(self._trackers):
            if not self._told.get(name, {}).get(RESULT):
                self._tell(name, RESULT, 1, partial(_conclude, figures, self._path))

    def close(self, finished: bool) -> None:
        """Lets the trackers go."""
        while self._trackers:
            name, tracker = self._trackers.popitem()
            try:
                tracker.close(finished)
            except Exception as error:
                self._warn(name, error)

    def _tell(self, name: str, stage: str, upto: int, tell: Callable[[Tracker], None]) -> None:
        tracker, stages = self._trackers[name], self._told.setdefault(name, {})
        before = stages.get(stage, 0)
        stages[stage] = upto
        try:
            self._note()
            tell(tracker)
        except Exception as error:
            stages[stage] = before
            del self._trackers[name]
            self._warn(name, error)
            with contextlib.suppress(LimbeckError):
                self._note()

    def _warn(self, name: str, error: Exception) -> None:
        self._console.show(
            f"warning: the tracker {name} failed and is told nothing more: {_said(error)}. The run goes on; the same "
            f"command with --tracker {name} tells it the rest later."
        )

    def _note(self) -> None:
        files.write_json(self._path / NOTE, {"id": self._id, "told": self._told})


@contextlib.contextmanager
def telling(names: Sequence[str], path: Path, recipe: Mapping[str, Any], console: Console) -> Iterator[Tracking]:
    """The trackers of these names, while they follow a run; nobody where there are none.

    Args:
        names: of trackers; see `TRACKERS`.
        path: the run folder, which is there.
        recipe: as recipe.json has it.
        console: where it is said where to look, and that a tracker failed.

    Raises:
        LimbeckError: one cannot be started.
    """
    tracking = Tracking(path, console)
    try:
        tracking.start(names, recipe)
        yield tracking
    except BaseException:
        tracking.close(finished=False)
        raise
    tracking.close(finished=True)


def _noted(path: Path) -> tuple[str, dict[str, dict[str, int]]]:
    """The id by which trackers know a run, and what each was told: of every stage the last epoch."""
    if not path.exists():
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", path.resolve().parent.name)[:60]
        return f"{name}-{secrets.token_hex(4)}", {}
    note = files.read_json(path, {"id": str, "told": dict}, "Remove that file: the trackers begin the run once more.")
    return note["id"], note["told"]


def _said(error: Exception) -> str:
    return textwrap.shorten(own.said(error), 200, placeholder=" ...").rstrip(".")


def _log(stage: str, rows: Sequence[Mapping[str, Any]], tracker: Tracker) -> None:
    for row in rows:
        tracker.log(stage, row["epoch"], {name: value for name, value in row.items() if name != "epoch"})


def _conclude(figures: Mapping[str, float], path: Path, tracker: Tracker) -> None:
    tracker.result(figures)
    for name in _ARTIFACTS:
        if (path / name).exists():
            tracker.artifact(path / name)


def _figures(summary: Mapping[str, Any]) -> dict[str, float]:
    """The means of a summary, and their half-widths where there are any: "digits/accuracy/gain", ".../gain_ci95"."""
    figures = {}
    for dataset, metrics in summary.items():
        for metric, roles in metrics.items():
            for role, estimate in roles.items():
                name = f"{dataset}/{metric}/{role}"
                figures[name] = estimate["mean"]
                if estimate["ci95"] is not None:
                    figures[f"{name}_ci95"] = estimate["ci95"]
    return figures
