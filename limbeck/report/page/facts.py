"""What a run's files hold, read for its page; what is not there is None or empty, and why is said."""

from __future__ import annotations

import contextlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from limbeck import data, files
from limbeck.console import Console
from limbeck.errors import LimbeckError
from limbeck.evaluation.assessment import Who
from limbeck.evaluation.results import key
from limbeck.judging import robustness, trained

_ROLES = ("teacher", "alone", "distilled")
Rows = Sequence[Mapping[str, Any]]


@dataclass
class Facts:
    """Everything that the page of a run is made of.

    Attributes:
        path: the run's folder.
        results: of results.json.
        details: of details.json, or worked out again from the answers that were kept; None where neither can be had.
        recipe: of recipe.json.
        starts: of environment.json.
        curves: the rows of metrics.jsonl of every training of each network; an ensemble has several.
        notes: what was found while reading.
    """

    path: Path
    results: dict[str, Any]
    details: dict[str, Any] | None
    recipe: dict[str, Any]
    starts: list[dict[str, Any]]
    curves: dict[Who, list[Rows]]
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The recipe's."""
        return str(self.results.get("recipe", {}).get("name") or self.recipe.get("name") or self.path.name)

    @cached_property
    def roles(self) -> list[str]:
        """Those that there are, the teacher first."""
        there = {network["role"] for network in self.results["networks"]}
        return [role for role in _ROLES if role in there]

    def seeds(self, role: str) -> list[int | None]:
        """Of the networks of a role; the teacher's is None."""
        return [network["seed"] for network in self.results["networks"] if network["role"] == role]

    @property
    def student(self) -> str | None:
        """The role of the student that would be used: the distilled one, where there is one."""
        return next((role for role in ("distilled", "alone") if role in self.roles), None)

    @property
    def sets(self) -> list[str]:
        """The sets of the summary: "digits/holdout", "digits"."""
        return list(self.results["summary"])

    @property
    def judged(self) -> str | None:
        """The set that the page is about: the first test set, or else the held-out split."""
        return next((name for name in self.sets if "/" not in name), next(iter(self.sets), None))

    def network(self, role: str) -> dict[str, Any] | None:
        """What results.json says of the first network of a role."""
        return next((network for network in self.results["networks"] if network["role"] == role), None)

    def estimate(self, role: str, metric: str = "accuracy", name: str | None = None) -> dict[str, Any] | None:
        """Mean and interval of a role's metric ("gain" is a role here) on a set, by default the one that is judged."""
        found: dict[str, Any] | None = self.results["summary"].get(name or self.judged, {}).get(metric, {}).get(role)
        return found

    def values(self, role: str, metric: str = "accuracy", name: str | None = None) -> dict[int | None, float]:
        """The metric of each network of a role on a set, by seed."""
        return {
            m["seed"]: m["value"]
            for m in self.results["measurements"]
            if (m["role"], m["metric"], key(m["dataset"], m["split"])) == (role, metric, name or self.judged)
        }

    def pictures_in(self, name: str) -> int:
        """The number of pictures of a set."""
        counts = [
            m["n"]
            for m in self.results["measurements"]
            if m["metric"] == "accuracy" and key(m["dataset"], m["split"]) == name
        ]
        return int(counts[0]) if counts else 0

    def entries(self, role: str, name: str | None = None) -> list[dict[str, Any]]:
        """The entries of details.json of a role on a set, one a seed."""
        return [
            entry
            for entry in (self.details or {}).get("entries", [])
            if entry["role"] == role and key(entry["dataset"], entry["split"]) == (name or self.judged)
        ]

    def held_out(self) -> int:
        """The number of pictures that choices were made by, whether they were held out or have a split of their own."""
        return next((self.pictures_in(name) for name in self.sets if name.endswith("/holdout")), 0)

    def looks(self) -> tuple[int, int]:
        """How often the network that was asked most was asked about the judged test set, as far as that was logged.

        Returns:
            (looks, exports): all of them, and how many of them an export took, which asks every form of a network.
        """
        path, counts, exports = self.path / "evaluations.jsonl", Counter[tuple[str, Any]](), Counter[tuple[str, Any]]()
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                look = json.loads(line)
                if key(look["dataset"], look["split"]) == self.judged:
                    role, comma, _ = look["role"].partition(",")  # "distilled, ONNX": a form of it
                    counts[role, look["seed"]] += 1
                    exports[role, look["seed"]] += bool(comma)
        most = max(counts, key=counts.__getitem__, default=None)
        return (counts[most], exports[most]) if most else (0, 0)

    @cached_property
    def classes(self) -> list[str]:
        """Their names, in the order of the labels."""
        dataset = (self.judged or "").partition("/")[0]
        kept = (self.details or {}).get("classes", {}).get(dataset)
        if kept is None and dataset in data.CATALOGUE:
            kept = data.CATALOGUE[dataset].classes
        return [str(each) for each in kept or ()]

    def answers(self, role: str, seed: int | None) -> tuple[Tensor, Tensor] | None:
        """Logits (N, C) and labels (N,) of a network on the set that is judged; None where they were not kept."""
        dataset, _, split = (self.judged or "").partition("/")
        home = self.path / "teacher" if seed is None else self.path / f"seed{seed}" / role
        try:
            return trained.kept_answers(trained.answers_file(home, dataset, split or "test"), None)
        except LimbeckError:
            return None

    @cached_property
    def pictures(self) -> Tensor | str:
        """The pictures of the judged test set, uint8 (N, H, W, 3); or why they cannot be had. Nothing is fetched."""
        dataset, _, split = (self.judged or "").partition("/")
        if split:
            return "There is no test set whose pictures could be shown."
        plan = trained.read_plan(self.path)
        name = next((each for each in plan.tests if data.title(each) == dataset), dataset)
        try:
            if name in data.CATALOGUE and data.status(name).state != "ready":
                return f"The pictures of {dataset} are not on this machine; `limbeck data fetch {dataset}` gets them."
            found = data.load(name, "test", Console(quiet=True), plan.reading.of(name, plan.data))
        except LimbeckError as error:
            return f"The pictures of {dataset} cannot be had: {error}"
        for role in self.roles:
            answers = self.answers(role, self.seeds(role)[0])
            if answers and not torch.equal(answers[1].cpu(), found.labels.cpu()):
                return f"The pictures of {dataset} on this machine are not those that the networks were judged on."
        if isinstance(found, data.Streamed):
            return f"The pictures of {dataset} do not fit into memory (data.memory), so that none are shown."
        return found.images.cpu()


def read_facts(path: Path) -> Facts:
    """Reads a run.

    Raises:
        LimbeckError: it is no run's folder, it is not finished, or a file that the page cannot do without is damaged.
    """
    if not (path / "recipe.json").is_file():
        raise LimbeckError(f"{path} {_instead(path)}. Type the folder of a finished run: limbeck report runs/RUN")
    plan = trained.read_plan(path)
    if not plan.folder.results.exists():
        raise LimbeckError(
            f"the run in {path} is not finished: it has no results.json. Type `limbeck run {path}`, which continues it "
            "and makes its page."
        )
    facts = Facts(path, plan.folder.read_results(), None, files.read_json(path / "recipe.json"), [], {})
    if plan.folder.details.exists():
        facts.details = files.read_json(plan.folder.details, {"classes": dict, "entries": list})
    else:
        _work_out_again(facts)
    _asked_since(facts, plan)
    environment = path / "environment.json"
    if environment.exists():
        facts.starts = files.read_json(environment, {"starts": list})["starts"]
    for network in facts.results["networks"]:
        home = plan.folder.network(network["role"], network["seed"])
        facts.curves[network["role"], network["seed"]] = _curves(home, facts)
    return facts


def _asked_since(facts: Facts, plan: trained.Planned) -> None:
    """Adds what the networks were asked about corrupted pictures after the run had ended."""
    for entry in (facts.details or {}).get("entries", []):
        who = (entry["role"], entry["seed"])
        place = robustness.figures_file(plan.folder.network(*who), entry["dataset"], entry["split"])
        weights = plan.weights(*who)
        if not entry.get("corruptions") and place.exists() and weights.exists():
            found = robustness.kept_corruptions(place, files.digest(weights))
            entry["corruptions"] = found._asdict() if found else None


def _instead(path: Path) -> str:
    """What a path is that is no run's folder."""
    if path.is_dir():
        return "is not the folder of a run: it has no recipe.json"
    return "is a file, not the folder of a run" if path.exists() else "does not exist"


def _work_out_again(facts: Facts) -> None:
    """The details of a run that has none, from its answers; and the metrics that its results.json lacks."""
    from limbeck.judging.concluding import reassess

    try:
        again = reassess(facts.path)
    except LimbeckError:
        facts.notes.append("This run kept neither details.json nor its networks' answers: much cannot be shown.")
        return
    facts.details = again.details
    seeds = sorted({entry["seed"] for entry in again.details["entries"] if entry["seed"] is not None})
    facts.notes.append(
        "This run has no details.json. What is not in its results.json was worked out from the answers that were kept"
        f" (seeds {', '.join(map(str, seeds))})."
    )
    for name, metrics in again.results["summary"].items():
        known = facts.results["summary"].setdefault(name, {})
        missing = [metric for metric in metrics if metric not in known]
        known |= {metric: metrics[metric] for metric in missing}
        facts.results["measurements"] += [
            m for m in again.results["measurements"] if key(m["dataset"], m["split"]) == name and m["metric"] in missing
        ]


def _curves(home: Path, facts: Facts) -> list[Rows]:
    """The rows of each training in a network's folder; members of an ensemble have folders of their own."""
    own = home / "metrics.jsonl"
    found = [own] if own.exists() else sorted(home.glob("[0-9]*/metrics.jsonl"))
    curves = []
    for path in found:
        try:
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            if not all(isinstance(row, dict) and math.isfinite(row["epoch"]) for row in rows):
                raise ValueError("a line is no epoch's")
            curves.append(rows)
        except (OSError, ValueError, KeyError, TypeError):
            facts.notes.append(f"{path.relative_to(facts.path)} cannot be read: that learning curve is not drawn.")
    return [rows for rows in curves if rows]
