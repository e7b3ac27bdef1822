"""From results to what a person reads."""

from limbeck.report.metrics import metrics_notes, metrics_tables
from limbeck.report.sweep import all_failed, sweep_markdown, sweep_notes, sweep_table, trials_table
from limbeck.report.table import data_table, remarks, result_table, verdict

__all__ = [
    "all_failed",
    "data_table",
    "metrics_notes",
    "metrics_tables",
    "remarks",
    "result_table",
    "sweep_markdown",
    "sweep_notes",
    "sweep_table",
    "trials_table",
    "verdict",
]
