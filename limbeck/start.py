"""A run from start to end: its folder and lock, the processes, the trackers, the experiment, the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck import files, own
from limbeck.console import Console
from limbeck.errors import LimbeckError
from limbeck.experiment import Experiment
from limbeck.folders import refuse_changed
from limbeck.following import Call
from limbeck.processes import ranks
from limbeck.recipes.catalogue import recipe_of
from limbeck.recipes.recipe import Recipe
from limbeck.runs import RunFolder, folder_of, open_run
from limbeck.trackers import refuse_absent, telling
from limbeck.training import choose


@dataclass(frozen=True)
class Result:
    """A finished run: its folder, the content of its results.json (keys: `limbeck.evaluation.results`), and its page;
    None where that was not wanted, or could not be made."""

    folder: Path
    results: dict[str, Any]
    page: Path | None = None


def run(
    recipe: Recipe | str | Path,
    out: str | Path | None = None,
    fresh: bool = False,
    console: Console | None = None,
    page: bool = True,
    tracker: str | Sequence[str] = (),
) -> Result:
    """Runs an experiment to its end, continuing where an earlier start of it stopped.

    Args:
        recipe: what to do; or a recipe's name or path, as `limbeck run` takes it.
        out: the run folder; by default runs/<name>-<digest of the recipe>.
        fresh: start over. What the folder has of an earlier run is removed as soon as this one is found able to begin.
        console: where progress goes; by default the standard output.
        page: make the run's page at the end. Where that fails it is said, and the run is finished nevertheless.
        tracker: one or several of tensorboard, wandb, mlflow and trackio, which are told what happens; by default none.
            One that was not there from the start is told what happened before.

    Raises:
        LimbeckError: a mistake that the user can mend; what was reached until then is kept.
    """
    own.read_anew()
    recipe = recipe_of(recipe, "run")
    trackers = (tracker,) if isinstance(tracker, str) else tracker
    refuse_absent(trackers)
    console = console or Console()
    engine = choose(recipe.device)
    folder = folder_of(recipe, Path(out) if out else None)
    with ranks.joined(engine.device), ranks.leading():
        if not ranks.first():
            return _follow(lambda: Experiment(recipe, folder, engine, Console(quiet=True)))
        with files.mendable(folder.path, "use"):
            complete = folder.results.exists() and not fresh
        experiment = None if complete else Experiment(recipe, folder, engine, console)
        with open_run(recipe, folder.path, fresh) as folder:
            if experiment is None:
                folder.check_all()
                results = folder.read_results()
                console.say(f"{folder.path} is complete already; --fresh starts it over.")
            else:
                refuse_changed(folder.path, experiment.pictures)
                folder.check_given(recipe)
                folder.note_environment(engine, recipe, experiment.pictures.notes)
                experiment.introduce()
            with telling(trackers, folder.path, recipe.model_dump(mode="json"), console) as tracking:
                if experiment is not None:
                    results = experiment.run(tracking)
                there = experiment is None and folder.page.exists()
                made = folder.page if there else page_of(folder, console) if page else None
                tracking.result(results)
            ranks.tell(result := Result(folder.path, results, made))
            return result


def _follow(made: Callable[[], Experiment]) -> Result:
    """Takes part in every training that the first process calls to.

    Args:
        made: makes this process's experiment, once the first training begins: the first process has fetched the data
            by then.

    Returns:
        what the first process tells at the end.

    Raises:
        SystemExit: the first process ends with an error, of which it has spoken.
    """
    experiment: Experiment | None = None
    while isinstance(told := ranks.told(), Call):
        experiment = experiment or made()
        experiment.take_part(told)
    if told is None:
        raise SystemExit(2)
    assert isinstance(told, Result)
    return told


def page_of(folder: RunFolder, console: Console) -> Path | None:
    """The page of a finished run, made now; where it cannot be, that is said and nothing else is lost."""
    from limbeck.report.page import write_page

    try:
        return write_page(folder.path)
    except Exception as error:  # whatever it is, the results are there
        said = str(error) if isinstance(error, LimbeckError) else f"{type(error).__name__}: {error}"
        console.show(f"The page could not be made: {said}\nType `limbeck report {folder.path}` to try it again.")
        return None
