"""From single measurements to results.json: means, intervals and the paired gain.

The keys of results.json::

    schema        1
    status        "complete"
    recipe        name and digest of the recipe
    networks      [{role, seed, model, parameters, epochs, seconds, images_per_second, peak_memory}]: seconds of
                  training, bytes beyond what was held before it; null where that was not measured
    measurements  [{role, seed, dataset, split, metric, value, n}]; n pictures
    summary       {dataset: {metric: {role: {mean, ci95, n}, gain: {mean, ci95, n, method, sample_ci95}}}}; n seeds
    cost          null, or {device, precision, load, networks: [{role, seed, and `limbeck.evaluation.cost.Cost`}]}:
                  of the teacher, the first seed's distilled student, and the one alone where it is another network;
                  load is the system's, a core, when it was measured, null where there is none
    shift         [{role, seed, original, shifted, value, low, high, expected, residual, residual_low, residual_high,
                  why}]: for each pair of test sets that `limbeck.evaluation.shift` has a line for
    not_measured  [{what, why}]
    notes         what a reader has to know

A held-out split is the dataset "<name>/holdout". ci95 is the half-width of the Student-t interval over seeds, null for
one seed. The seed of the teacher is null: one teacher serves all seeds. sample_ci95, of accuracy alone, is the
half-width that comes from the test pictures being a sample. The gain is distilled minus alone for every metric: below 0
it is the better where less is better. Pictures without a label do not count.

In shift, original and shifted are data sets; value is the accuracy on the latter, low and high the ends of its 95 %
Wilson interval; expected is what the line gives, residual what there is beyond it (effective robustness), with the ends
of its interval. The last four are null where the line says nothing, and why says so; else why is null.

The metrics, fractions from 0 to 1 where nothing else is said::

    accuracy               of the first answer (top-1)
    top5_accuracy          of the first five; where there are more than five classes
    balanced_accuracy      mean over classes
    macro_f1               mean over classes of the harmonic mean of precision and recall
    nll                    negative log-likelihood, nats; less is better
    ece                    expected calibration error, 15 bins of equal width; less is better
    brier                  squared error of the probabilities, summed over classes, 0 to 2; less is better
    nll_scaled, ece_scaled, brier_scaled
                           the same after temperature scaling; not on the held-out split, where it was fitted
    agreement              pictures on which a student answers as the teacher does
    kl                     mean KL(teacher || student) at T = 1, nats; less is closer
    agreement_on_mistakes  agreement on the n pictures that the teacher has wrong
    corruption_accuracy    mean accuracy on 75 corrupted copies of the n pictures (15 kinds, 5 severities each); of the
                           teacher and the first seed's students, and only where it was asked for

A sweep measures accuracy and nll alone. The keys of details.json, which stands beside results.json and holds what is
not one number::

    schema, recipe  as above
    classes         {dataset: the names of its classes, in the order of everything by class}
    entries         [{role, seed, dataset, split, temperature, class_accuracy, confusion, reliability,
                    reliability_scaled, regressions, gains, corruptions}], one for each network and set of pictures

temperature is the network's, fitted on the held-out split; null without one, or where it has all of that right.
class_accuracy is null for a
class without pictures. confusion has a row for each label and a column for each answer. reliability is {counts,
confidence, accuracy} of the 15 bins, null in empty ones; reliability_scaled is null where the scaled metrics are not
there. regressions are the pictures that the teacher has right and the student wrong, gains the other way round:
{by_class: counts by label, pictures: places in the set, from 0}; null for what has no teacher. Places in a held-out
split count the held-out pictures alone, in their order. corruptions is null where they were not asked for, else
{severities: {kind: accuracies at severity 1 to 5}, kinds: {kind: mean}, families: {family: mean}, mean}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NotRequired, TypedDict

import numpy as np
from torch import Tensor

from limbeck.evaluation.calibration import brier, ece, nll
from limbeck.evaluation.fidelity import agreement, agreement_on_mistakes, kl, mistakes
from limbeck.evaluation.metrics import accuracy, balanced_accuracy, labelled, macro_f1
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
    logits: Tensor,
    labels: Tensor,
    *,
    role: str,
    seed: int | None,
    dataset: str,
    split: str,
    teacher: Tensor | None = None,
    temperature: float | None = None,
    corrupted: float | None = None,
    brief: bool = False,
) -> list[Measurement]:
    """All the metrics of one network's answers on one set of pictures.

    Args:
        logits: (N, C).
        labels: (N,) int64; -1 for a picture without a label, which does not count.
        role, seed: of the network.
        dataset, split: of the pictures.
        teacher: (N, C), its logits for the same pictures; without them there is nothing about fidelity.
        temperature: of the network, fitted on other pictures; without it there is nothing scaled.
        corrupted: its mean accuracy on corrupted copies of these pictures.
        brief: accuracy and nll alone.

    Raises:
        LimbeckError: no picture has a label.
    """
    theirs = None if teacher is None else labelled(teacher, labels)[0]
    logits, labels = labelled(logits, labels)
    values: dict[str, float | None] = {"accuracy": accuracy(logits, labels)}
    if brief:
        values["nll"] = nll(logits, labels)
    else:
        values |= _averaged(logits, labels) | _calibration(logits, labels)
        if temperature is not None:
            scaled = _calibration(logits / temperature, labels)
            values |= {f"{metric}_scaled": value for metric, value in scaled.items()}
        if theirs is not None:
            values |= {"agreement": agreement(logits, theirs), "kl": kl(logits, theirs)}
            values["agreement_on_mistakes"] = agreement_on_mistakes(logits, theirs, labels)
        values["corruption_accuracy"] = corrupted
    pictures = dict.fromkeys(values, len(labels))
    if theirs is not None:
        pictures["agreement_on_mistakes"] = mistakes(theirs, labels)
    return [
        Measurement(role=role, seed=seed, dataset=dataset, split=split, metric=metric, value=value, n=pictures[metric])
        for metric, value in values.items()
        if value is not None
    ]


def _averaged(logits: Tensor, labels: Tensor) -> dict[str, float]:
    top5 = {"top5_accuracy": accuracy(logits, labels, 5)} if logits.shape[1] > 5 else {}
    return {**top5, "balanced_accuracy": balanced_accuracy(logits, labels), "macro_f1": macro_f1(logits, labels)}


def _calibration(logits: Tensor, labels: Tensor) -> dict[str, float]:
    return {"nll": nll(logits, labels), "ece": ece(logits, labels), "brier": brier(logits, labels)}


def key(dataset: str, split: str) -> str:
    """The name under which a set stands in the summary."""
    return dataset if split == "test" else f"{dataset}/{split}"


def named(role: str, seed: int | None) -> str:
    """What notes call a network: "teacher", "alone of seed 0"."""
    return role if seed is None else f"{role} of seed {seed}"


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
