"""The page of a run: from its folder to report.html and the figures in report/."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from limbeck.evaluation.results import ONE_TEACHER
from limbeck.report.cost import disturbed
from limbeck.report.page import examples, figures, repeating, summary
from limbeck.report.page.drawing import Drawn, Figure, draw
from limbeck.report.page.facts import Facts, read_facts
from limbeck.report.page.rendering import publish, render
from limbeck.report.table import set_name

_TITLES = {
    "replace": "May the small network replace the big one?",
    "learning": "How they learned",
    "cost": "Accuracy against size and latency",
    "calibration": "Can the probabilities be believed?",
    "classes": "Class by class",
    "shift": "Beyond the test set",
    "lost": "What was lost, what was won",
    "softened": "The teacher’s answer, softened",
    "repeat": "How it was done",
    "notes": "What was not measured",
}


def write_page(path: Path) -> Path:
    """Makes the page of a finished run, and each of its figures as PNG, SVG and CSV; equal runs make equal bytes.

    Args:
        path: the run's folder.

    Returns:
        the page, report.html in that folder; its figures are in the folder report beside it.

    Raises:
        LimbeckError: it is no run's folder, is not finished, is damaged, or cannot be written to.
    """
    facts = read_facts(path)
    answers = examples.softened(facts)
    wanted = {
        "seeds": figures.by_seed(facts),
        "curves": figures.learning_curves(facts),
        "cost": figures.accuracy_against_cost(facts),
        "reliability": figures.reliability_diagrams(facts),
        "classes": figures.class_changes(facts),
        "confusion": figures.confusions(facts),
        "shift": figures.accuracy_under_shift(facts),
        "corruptions": figures.corruption_accuracy(facts),
        "softened": figures.softened_answers(answers),
    }
    for name in (name for name, figure in wanted.items() if isinstance(figure, str)):
        for left in (path / "report").glob(f"{name}.*"):  # of an earlier page
            left.unlink()
    drawn = draw((figure for figure in wanted.values() if isinstance(figure, Figure)), path / "report")
    known: dict[str, Drawn | str] = {name: why for name, why in wanted.items() if isinstance(why, str)}
    page = path / "report.html"
    publish(page, render("run.html", figures=drawn | known, softened=answers, **_said(facts)))
    return page


def _said(facts: Facts) -> dict[str, Any]:
    """What the template says in words and tables."""
    columns = repeating.recipe_columns(facts)
    recipe = repeating.recipe_json(facts)
    start = facts.starts[-1] if facts.starts else {}
    return {
        "facts": facts,
        "file": facts.name,
        "titles": _TITLES,
        "sections": [("verdict", "Verdict"), *_TITLES.items()],
        "seeds": max((len(facts.seeds(role)) for role in facts.roles), default=0),
        "judged": set_name(facts.judged or ""),
        "when": str(start.get("when") or "")[:10],
        "where": start.get("accelerator") or start.get("processor") or "",
        "verdict": summary.verdict(facts),
        "table": summary.table(facts),
        "replacement": summary.replacement(facts),
        "costs": summary.cost_table(facts),
        "disturbed": disturbed(facts.results.get("cost") or {}),
        "metrics": summary.metrics(facts),
        "gallery": examples.gallery(facts),
        "temperatures": examples.TEMPERATURES,
        "taught_at": examples.taught_at(facts),
        "typed": repeating.typed(facts),
        "protocol": repeating.protocol(facts),
        "columns": columns,
        "recipe_parts": repeating.recipe_parts(columns),
        "name_width": f"{max(2.2, min(0.62 * max(map(len, facts.classes), default=0) + 1.4, 7.2)):.1f}em",
        "protocol_rows": repeating.protocol_rows(facts),
        "recipe_json": recipe,
        "recipe_address": f"data:application/json;base64,{base64.b64encode(recipe.encode()).decode()}",
        "environment": repeating.environment(facts),
        "trainings": summary.trainings(facts),
        "not_measured": [(each["what"], each["why"]) for each in facts.results["not_measured"]],
        "notes": [*(note for note in facts.results["notes"] if note != ONE_TEACHER), *facts.notes],
    }
