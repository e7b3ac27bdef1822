"""Starting a sweep, or going on with one: many trials of one recipe, judged on the held-out split alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck import files
from limbeck.console import Console
from limbeck.errors import LimbeckError
from limbeck.folders import refuse_foreign
from limbeck.processes import ranks
from limbeck.recipes import CATALOGUE, Recipe
from limbeck.recipes.catalogue import recipe_of
from limbeck.report import all_failed, sweep_markdown
from limbeck.sweeps.axes import Plan, Trial, planned
from limbeck.sweeps.settings import SweepOptions, given
from limbeck.sweeps.shelf import MARKER, Shelf, folder_of, open_sweep
from limbeck.sweeps.work import Work

_KEYS = {"schema": int, "status": str, "trials": list, "trained": dict, "axes": list, "seeds": list}


@dataclass(frozen=True)
class Sweep:
    """A finished sweep.

    Attributes:
        folder: where it is kept.
        results: the content of its results.json (keys: `limbeck.sweeps.work`).
        trials: what was trained, in the order of ``results["trials"]``.
    """

    folder: Path
    results: dict[str, Any]
    trials: tuple[Trial, ...]

    @property
    def best(self) -> Recipe:
        """The recipe of the best trial, to be run for good.

        Raises:
            LimbeckError: every trial failed.
        """
        if self.results["best"] is None:
            raise LimbeckError(all_failed(self.results))
        return self.trials[self.results["best"]].recipe


def sweep(
    recipe: Recipe | str | Path,
    axes: Mapping[str, Any],
    *,
    search: int | None = None,
    out: str | Path | None = None,
    fresh: bool = False,
    console: Console | None = None,
) -> Sweep:
    """Trains many variants of a recipe and judges them on its held-out split; continues where an earlier start stopped.

    ``sweep("digits", {"objective": ["kd", DKD(beta=2)], "train.epochs": "18,36"})``

    Args:
        recipe: what is varied; or a recipe's name or path.
        axes: fields by path, each with a sequence of values (texts and numbers as they are typed, tuples for fields
            that hold several, descriptions such as objectives), or with a text as it is typed after `limbeck sweep`.
            The trials are the product; a field that only some objectives have varies only the trials with those.
        search: draw so many trials by Optuna in place of the product; ranges are "1e-4..1e-2".
        out: the sweep's folder; by default sweeps/<recipe>-<hash>.
        fresh: start over.
        console: where progress goes; by default the standard output.

    Raises:
        LimbeckError: a mistake that the user can mend, in any trial, found before anything is trained; or a trial
            cannot be carried out for a reason that is not its own.
    """
    start = recipe_of(recipe, "sweep")
    if isinstance(recipe, Recipe):
        known = recipe.name in CATALOGUE and CATALOGUE[recipe.name]() == recipe
        name = recipe.name if known else None
    else:
        name = str(recipe)
    plan, _ = planned(start, given(axes), SweepOptions(search=search), name)
    return carry_out(plan, Path(out) if out else None, fresh, console or Console())


def carry_out(plan: Plan, out: Path | None, fresh: bool, console: Console) -> Sweep:
    """Carries a plan out to its end; what is finished already is kept.

    Raises:
        LimbeckError: as `sweep` does, or the folder is not this sweep's.
    """
    if ranks.size() > 1:
        raise LimbeckError(
            f"a sweep trains in one process, and torchrun started {ranks.size()}. Type the command without torchrun; "
            "one of its trials can be run by several: torchrun --nproc-per-node 2 -m limbeck run RECIPE"
        )
    path = folder_of(plan, out)
    work = Work(plan, path, _earlier(path, fresh), console)
    if not work.complete:
        work.prepare()
    with open_sweep(plan, path, fresh) as folder:
        work.begin(folder)
        if plan.search is None:
            for trial in plan.trials:
                work.carry_out(trial)
        else:
            from limbeck.sweeps.search import search

            search(plan, work)
        folder.forget_answers()
        results = work.results("complete")
        files.write_bytes(path / "table.md", sweep_markdown(results).encode())
        files.write_json(folder.results, results)  # last: a complete sweep is never taken up again
    return Sweep(path, results, tuple(work.trials))


def rehearsed(plan: Plan, out: Path | None, console: Console) -> str:
    """Rehearses what is still to be done of a plan, trains nothing, and says how many trainings there are.

    Raises:
        LimbeckError: a trial could not be carried out.
    """
    path = folder_of(plan, out)
    Work(plan, path, _earlier(path, fresh=False), console).prepare()
    different: dict[str, set[str]] = {"teacher": set(), "alone": set(), "distilled": set()}
    for trial in plan.trials:
        for role, training in Shelf(path, trial.recipe).trainings().items():
            different[role].add(training)
    one = plan.trials[0].recipe
    counts = ", ".join(f"{len(trainings)} {role}" for role, trainings in different.items() if trainings)
    seeds = len(one.protocol.seeds)
    if plan.search is not None:
        return f"{one.name}: up to {plan.search} trials drawn for each side, x {seeds} seeds; the ends, rehearsed:"
    return f"{one.name}: {len(plan.trials)} trials; trainings: {counts} (each student x {seeds} seeds)"


def _earlier(path: Path, fresh: bool) -> dict[str, Any] | None:
    """What an earlier start left in results.json."""
    refuse_foreign(path, "sweep", MARKER)
    file = path / "results.json"
    with files.mendable(file, "use"):
        if fresh or not file.exists():
            return None
    remedy = "Remove that file and type the same command again: every training is kept."
    results: dict[str, Any] = files.read_json(file, _KEYS, remedy)
    return results
