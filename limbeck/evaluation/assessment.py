"""What the answers of networks come to: every measurement, the summary, and the details that are not one number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
from torch import Tensor

from limbeck.evaluation.calibration import fit_temperature, reliability
from limbeck.evaluation.corruptions.summary import CorruptionAccuracy
from limbeck.evaluation.fidelity import changes
from limbeck.evaluation.metrics import class_accuracy, confusion, correct
from limbeck.evaluation.results import Measurement, key, measure, named, summarise

SCALING = "temperature scaling"
Who = tuple[str, int | None]
"""A network: its role ("teacher", "alone", "distilled"; "network" where it is no part of a run) and its seed."""
Corrupted = Mapping[tuple[str, int | None, str, str], CorruptionAccuracy]
"""What networks get right of corrupted pictures, by role, seed, data set and split."""
T = TypeVar("T")


class Answers(NamedTuple):
    """What one network says about one set of pictures: logits (N, C), labels (N,) int64, -1 for none."""

    role: str
    seed: int | None
    dataset: str
    split: str
    logits: Tensor
    labels: Tensor


class Assessment(NamedTuple):
    """Keys of results.json, and the entries of details.json; what is in them: `limbeck.evaluation.results`."""

    measurements: list[Measurement]
    summary: dict[str, Any]
    not_measured: list[dict[str, str]]
    details: list[dict[str, Any]]


def assess(
    answers: Iterable[Answers],
    temperatures: Mapping[Who, float | None] | None = None,
    corrupted: Corrupted | None = None,
    brief: bool = False,
) -> Assessment:
    """Works out every figure of networks from their answers alone; equal answers give equal figures.

    Args:
        answers: taken one after another, so that they need not all be held at once. Of each set the teacher's come
            before its students', and those on the held-out split, which temperatures are fitted on, before all others.
        temperatures: of networks whose answers on the held-out split are not among these; None for one that is never
            wrong there.
        corrupted: of the networks that were asked about corrupted copies of some of these pictures.
        brief: accuracy and nll alone, no temperatures and no details.
    """
    temperatures = dict(temperatures or {})
    measurements: list[Measurement] = []
    details: list[dict[str, Any]] = []
    right: dict[tuple[str, str, int | None], np.ndarray] = {}
    unlabelled: dict[str, None] = {}
    judged: dict[Who, None] = {}
    taught: dict[tuple[str, str], Tensor] = {}  # the teacher's answers on the set that is at hand
    for given in answers:
        role, seed, dataset, split, logits, labels = given
        judged[role, seed] = None
        if not (labels >= 0).any():
            unlabelled[key(dataset, split)] = None
            continue
        if role == "teacher":
            taught = {(dataset, split): logits}
        theirs = None if brief or role == "teacher" else taught.get((dataset, split))
        if split == "holdout" and not brief:
            temperatures[role, seed] = fit_temperature(logits, labels)
        fitted = temperatures.get((role, seed))
        temperature = None if split in ("holdout", "train") else fitted  # nothing of what it was fitted on is told
        where: dict[str, Any] = {"role": role, "seed": seed, "dataset": dataset, "split": split}
        worn = (corrupted or {}).get((role, seed, dataset, split))
        measurements += measure(
            logits,
            labels,
            **where,
            teacher=theirs,
            temperature=temperature,
            corrupted=worn.mean if worn else None,
            brief=brief,
        )
        right[key(dataset, split), role, seed] = correct(logits, labels).numpy().astype(int)
        if not brief:
            details.append({**where, **_details(given, theirs, fitted, temperature, worn)})
    not_measured = [{"what": name, "why": "None of its pictures has a label."} for name in unlabelled]
    if not brief:
        not_measured += _unscaled(judged, temperatures)
    return Assessment(measurements, summarise(measurements, right), not_measured, details)


def of_one_seed(networks: Mapping[Who, T]) -> dict[Who, T]:
    """Those that stand for all of them where measuring takes long: the first seed's, and those that have no seed."""
    first = next((seed for _, seed in networks if seed is not None), None)
    return {(role, seed): network for (role, seed), network in networks.items() if seed in (None, first)}


def _unscaled(judged: Iterable[Who], temperatures: Mapping[Who, float | None]) -> list[dict[str, str]]:
    """Why figures after temperature scaling are not there."""
    unknown = [named(*who) for who in judged if who not in temperatures]
    faultless = [named(*who) for who in judged if who in temperatures and temperatures[who] is None]
    reasons = [
        ("There are no answers on a held-out split to fit it on", unknown),
        ("Every held-out picture is right, so that no temperature is the best", faultless),
    ]
    return [{"what": SCALING, "why": f"{why}: {', '.join(who)}."} for why, who in reasons if who]


def _details(
    given: Answers,
    theirs: Tensor | None,
    fitted: float | None,
    temperature: float | None,
    worn: CorruptionAccuracy | None,
) -> dict[str, Any]:
    """What one network's answers come to beside its measurements; ``temperature`` is None where it is not applied."""
    logits, labels = given.logits, given.labels
    told: dict[str, Any] = {"regressions": None, "gains": None}
    if theirs is not None:
        for name, places in changes(logits, theirs, labels)._asdict().items():
            counts = labels.cpu()[places].bincount(minlength=logits.shape[1])
            told[name] = {"by_class": counts.tolist(), "pictures": places.tolist()}
    return {
        "temperature": fitted,
        "class_accuracy": _known(class_accuracy(logits, labels)),
        "confusion": confusion(logits, labels).tolist(),
        "reliability": _bins(logits, labels),
        "reliability_scaled": None if temperature is None else _bins(logits.cpu().double() / temperature, labels),
        **told,
        "corruptions": None if worn is None else worn._asdict(),
    }


def _bins(logits: Tensor, labels: Tensor) -> dict[str, list[Any]]:
    found = reliability(logits, labels)
    return {"counts": found.counts.tolist(), "confidence": _known(found.confidence), "accuracy": _known(found.accuracy)}


def _known(values: Tensor) -> list[float | None]:
    """The values as JSON has them, null for nan."""
    return [None if value != value else value for value in values.tolist()]
