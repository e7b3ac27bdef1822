"""Which network of a run, or of a file, is meant where one is to be shipped, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from limbeck import data, files
from limbeck.data import Reading
from limbeck.data.pictures.hub import PREFIX
from limbeck.data.views import Views
from limbeck.errors import LimbeckError
from limbeck.evaluation.assessment import SCALING, Who
from limbeck.judging import trained
from limbeck.judging.trained import Logged, Planned
from limbeck.models.weights import Saved, load_network
from limbeck.runs import RunFolder


class Learned(NamedTuple):
    """On what a network was trained: the data set, how many of its pictures were held out, by which views."""

    data: str
    holdout: int = 0
    views: Views = Views()
    view_seed: int = 0


class Student(NamedTuple):
    """What is to be exported.

    Attributes:
        saved: the network.
        weights: its file.
        role, seed: which one of a run; "network" and None of a file.
        test: the data set that it is judged on.
        learned: the pictures that it was trained on, as far as that is known.
        home: where the forms go, where nothing else is said.
        run: the run that it belongs to.
        logged: where its looks at test sets are logged; a file may be of a run, too.
        reading: how both data sets are read, where they are pictures of one's own.
    """

    saved: Saved
    weights: Path
    role: str
    seed: int | None
    test: str
    learned: Learned
    home: Path
    run: RunFolder | None
    logged: Logged | None
    reading: Reading = Reading()

    def looked_at(self, form: str) -> None:
        """Logs that a form is about to be shown the test set, where there is a run to log it in."""
        if self.logged is not None:
            self.logged.look(data.title(self.test), "test", form)


def chosen(path: Path, role: str | None = None, seed: int | None = None, code: Sequence[Path] = ()) -> Student:
    """The network that is meant.

    Raises:
        LimbeckError: there is no such one.
    """
    if not path.is_dir():
        saved = load_network(path, code)
        if saved.data is None:
            raise LimbeckError(f"{path} does not say what it was trained on. Export from the run's folder.")
        home = path.parent / f"{path.stem}-export"
        logged, reading = trained.logged_of(path), trained.reading_of(path)
        return Student(saved, path, "network", None, saved.data, Learned(saved.data), home, None, logged, reading)
    plan, who, weights = chosen_of_run(path, role, seed)
    recipe = files.read_json(path / "recipe.json")
    how = (recipe["teacher"] or {}) if who[0] == "teacher" else recipe
    views = Views(**{**how["views"], "mix": None}) if "views" in how else Views()
    learned = Learned(plan.data, int(recipe["protocol"]["holdout"]), views, int(recipe["protocol"]["view_seed"]))
    saved = load_network(weights, code)
    logged = Logged(plan.folder, *who)
    return Student(saved, weights, *who, plan.tests[0], learned, path / "export", plan.folder, logged, plan.reading)


def chosen_of_run(path: Path, role: str | None = None, seed: int | None = None) -> tuple[Planned, Who, Path]:
    """Which network of a run is meant, and its weights, as the run made them; no code is run.

    Raises:
        LimbeckError: it is no run, has no such network, or its weights were altered.
    """
    plan = trained.read_plan(path)
    there = plan.finished()
    whose = [
        who
        for who in sorted(there, key=lambda who: (who[0] != "distilled", who[0] != "alone", who[1] or 0))
        if (who[0] != "teacher" if role is None else who[0] == role)
        and (seed in (None, who[1]) or role == who[0] == "teacher")
    ]
    if not whose:
        able = ", ".join(sorted({f"{each} (seed {number})" if number is not None else each for each, number in there}))
        wanted = f"{role or 'student'}{'' if seed is None else f' of seed {seed}'}"
        raise LimbeckError(
            f"{path} has no finished {wanted}. It has: {able or 'nothing yet'}. Choose one by --role and --seed, or "
            f"type `limbeck run {path}` to finish what is missing."
        )
    plan.folder.compare(there[whose[0]])
    return plan, whose[0], there[whose[0]]


def told(student: Student) -> dict[str, str]:
    """What the card says of a student beside its figures."""
    if student.run is None or not student.run.results.exists():
        return {
            "what": f"A network for {data.title(student.test)}, with {len(student.saved.classes)} classes.",
            "made": "By limbeck; its file does not say more.",
            "limits": "",
            "hub": _on_the_hub(student.test),
        }
    from limbeck import report
    from limbeck.report.wording import network_of

    results = student.run.read_results()
    sentences = [
        f"This is {network_of(student.role, student.seed)}, from a limbeck run of the recipe "
        f"`{results['recipe']['name']}`.",
        _among(student, results),
        report.verdict(results) if student.role == "distilled" else "",
    ]
    recipe = (student.run.path / "recipe.json").read_text(encoding="utf-8")
    return {
        "what": " ".join(filter(None, sentences)),
        "made": "`limbeck run recipe.json`, with this recipe.json:\n\n```json\n" + recipe.strip() + "\n```",
        "limits": " ".join(f"Not measured: {what}." for what in _absent(student, results)),
        "hub": _on_the_hub(student.test),
    }


def _on_the_hub(name: str) -> str:
    """What the Hugging Face hub calls a data set; nothing for pictures of one's own, of which it knows none."""
    if name in data.CATALOGUE:
        return name
    return name.removeprefix(PREFIX).partition(":")[0] if name.startswith(PREFIX) else ""


def _among(student: Student, results: Mapping[str, Any]) -> str:
    """The accuracy over all seeds, of which the student is one; nothing where there is one alone."""
    from limbeck import report

    roles = results["summary"].get(data.title(student.test), {}).get("accuracy", {})
    over = roles.get(student.role) if student.seed is not None else None
    if over is None or over["n"] < 2:
        return ""
    figure = f"{report.percent(over)} % (mean and 95 % interval over seeds)"
    return f"It is one of {over['n']} that differ by their seeds, whose accuracy on the test set is {figure}."


def _absent(student: Student, results: Mapping[str, Any]) -> list[str]:
    """What was not measured, temperature scaling of others than this student left out."""
    scaled = any(
        (m["role"], m["seed"]) == (student.role, student.seed) and m["metric"].endswith("_scaled")
        for m in results["measurements"]
    )
    absent = dict.fromkeys(each["what"] for each in results["not_measured"])
    return [what for what in absent if what != SCALING or not scaled]
