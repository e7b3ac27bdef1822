"""What a network is worth beside its accuracy, on the screen: one table for each set of pictures."""

from __future__ import annotations

from typing import Any

from limbeck.console import FittingTable
from limbeck.evaluation.assessment import SCALING
from limbeck.report.table import percent, points, quiet_table, seeds, set_name, set_sizes, spread

# What each metric is called; a share is shown in %.
_SHARES = {
    "top5_accuracy": "top-5 accuracy, %",
    "balanced_accuracy": "balanced accuracy, %",
    "macro_f1": "macro-F1, %",
    "ece": "ECE, %",
    "ece_scaled": "ECE, scaled, %",
    "agreement": "agreement, %",
    "agreement_on_mistakes": "same mistakes, %",
}
_NUMBERS = {
    "nll": "NLL, nats",
    "nll_scaled": "NLL, scaled",
    "brier": "Brier, 0 to 2",
    "brier_scaled": "Brier, scaled",
    "kl": "KL, nats",
}
_ROWS = (
    *("top5_accuracy", "balanced_accuracy", "macro_f1"),
    *("nll", "nll_scaled", "ece", "ece_scaled", "brier", "brier_scaled"),
    *("agreement", "agreement_on_mistakes", "kl"),
)
# What is said of the tables, and the metric that calls for it.
_NOTES = {
    "Less is better of NLL, ECE and Brier.": "nll",
    "Scaled: after temperature scaling on the held-out split.": "nll_scaled",
    "Agreement and KL(teacher || student) are with the teacher, same mistakes\n"
    "its answers among the pictures that it has wrong.": "agreement",
}


def metrics_tables(results: dict[str, Any]) -> list[FittingTable]:
    """The metrics but accuracy, a row each, of every role, and the paired gain; 80 columns hold them.

    Args:
        results: the content of a results.json.
    """
    return [_table(results, name, metrics) for name, metrics in results["summary"].items() if _others(metrics)]


def metrics_notes(results: dict[str, Any]) -> list[str]:
    """What has to be known to read these tables, and why some of their rows are not there."""
    there = {metric for metrics in results["summary"].values() for metric in _others(metrics)}
    said = [text for text, metric in _NOTES.items() if metric in there]
    absent = [each["why"] for each in results["not_measured"] if each["what"] == SCALING]
    return [*said, *(f"{SCALING.capitalize()}: not measured. {why}" for why in absent)]


def _others(metrics: dict[str, Any]) -> list[str]:
    return [metric for metric in _ROWS if metric in metrics]


def _table(results: dict[str, Any], name: str, metrics: dict[str, Any]) -> FittingTable:
    title = f"{set_name(name)} ({set_sizes(results)[name]:,}): other metrics, {spread(seeds(results))}"
    table = quiet_table(title)
    columns = [role for role in ("teacher", "alone", "distilled", "network", "gain") if role in metrics["accuracy"]]
    table.add_column("")
    for column in columns:
        table.add_column(column, "right")
    for metric in _others(metrics):
        entry = metrics[metric]
        table.add_row(_SHARES.get(metric) or _NUMBERS[metric], *(_cell(metric, column, entry) for column in columns))
    return table


def _cell(metric: str, column: str, entry: dict[str, Any]) -> str:
    estimate = entry.get(column)
    if metric in _SHARES:
        return points(estimate) if column == "gain" else percent(estimate)
    if estimate is None:
        return ""
    interval = "" if estimate["ci95"] is None else f" ± {estimate['ci95']:.3f}"
    return f"{estimate['mean']:{'+' if column == 'gain' else ''}.3f}{interval}"
