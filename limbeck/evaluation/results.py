"""From single measurements to results.json: means, intervals and the paired gain.

The keys of results.json:

    schema        1
    status        "complete"
    recipe        name and digest of the recipe
    networks      [{role, seed, model, parameters, epochs, seconds, images_per_second, peak_memory}]: seconds of
                  training, bytes beyond what was held before it; null where that was not measured
    measurements  [{role, seed, dataset, split, metric, value, n}]; n pictures
    summary       {dataset: {metric: {role: {mean, ci95, n}, gain: {mean, ci95, n, method, sample_ci95}}}}; n seeds
    not_measured  [{what, why}]
    notes         what a reader has to know

Accuracies are fractions from 0 to 1, nll is in nats. A held-out split is the dataset "<name>/holdout". ci95 is the
half-width of the Student-t interval over seeds, null for one seed. The seed of the teacher is null: one teacher serves
all seeds. sample_ci95 is the half-width that comes from the test pictures being a sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NotRequired, TypedDict

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from limbeck.evaluation.statistics import Estimate, mean_with_interval, paired_sample_interval

SCHEMA = 1
KEYS: Mapping[str, type] = {
    "schema": int,
    "status": str,
    "networks": list,
    "measurements": list,
    "summary": dict,
    "not_measured": list,
    "notes": list,
}
ONE_TEACHER = "One teacher serves all seeds: the gain's interval does not contain the teacher's own variation."
PAIRED = "difference of the students with the same seed (initial weights, views, order), Student t over seeds"


class Measurement(TypedDict):
    """One figure of one network on one set of pictures."""

    role: str
    seed: int | None
    dataset: str
    split: str
    metric: str
    value: float
    n: int


class Gain(Estimate):
    """What the teacher was worth: distilled minus alone."""

    method: str
    sample_ci95: NotRequired[float]


def measure(
    logits: Tensor, labels: Tensor, *, role: str, seed: int | None, dataset: str, split: str
) -> list[Measurement]:
    """Accuracy (top-1) and negative log-likelihood of one network's answers.

    Args:
        logits: (N, C).
        labels: (N,) int64.
        role, seed: of the network.
        dataset, split: of the pictures.
    """
    logits = logits.double().cpu()
    labels = labels.cpu()
    values = {
        "accuracy": float((logits.argmax(1) == labels).double().mean()),
        "nll": float(F.cross_entropy(logits, labels)),
    }
    return [
        Measurement(role=role, seed=seed, dataset=dataset, split=split, metric=metric, value=value, n=len(labels))
        for metric, value in values.items()
    ]


def key(dataset: str, split: str) -> str:
    """The name under which a set stands in the summary."""
    return dataset if split == "test" else f"{dataset}/{split}"


def summarise(
    measurements: list[Measurement], right: Mapping[tuple[str, str, int | None], np.ndarray]
) -> dict[str, dict[str, dict[str, Estimate | Gain]]]:
    """Means over seeds with their intervals, and the paired gain.

    Args:
        measurements: of all networks.
        right: (set, role, seed) -> (pictures,) of 0 and 1, whether that network was right.
    """
    values: dict[str, dict[str, dict[str, dict[int | None, float]]]] = {}
    for m in measurements:
        roles = values.setdefault(key(m["dataset"], m["split"]), {}).setdefault(m["metric"], {})
        roles.setdefault(m["role"], {})[m["seed"]] = m["value"]
    summary: dict[str, dict[str, dict[str, Estimate | Gain]]] = {}
    for dataset, metrics in values.items():
        for metric, roles in metrics.items():
            entry: dict[str, Estimate | Gain] = {
                role: mean_with_interval(list(by_seed.values())) for role, by_seed in roles.items()
            }
            seeds = [seed for seed in roles.get("distilled", {}) if seed in roles.get("alone", {})]
            if seeds:
                differences = [roles["distilled"][seed] - roles["alone"][seed] for seed in seeds]
                gain = Gain(**mean_with_interval(differences), method=PAIRED)
                if metric == "accuracy":
                    pairs = [right[dataset, "distilled", seed] - right[dataset, "alone", seed] for seed in seeds]
                    gain["sample_ci95"] = paired_sample_interval(np.stack(pairs))
                entry["gain"] = gain
            summary.setdefault(dataset, {})[metric] = entry
    return summary
