"""From results to what a person reads."""

from limbeck.report.comparison import comparison_notes, comparison_tables
from limbeck.report.cost import cost_notes, cost_sentence, cost_tables
from limbeck.report.export import export_table
from limbeck.report.metrics import metrics_notes, metrics_tables
from limbeck.report.pictures import pictures_notes, pictures_table
from limbeck.report.robustness import corruption_tables, shift_lines
from limbeck.report.sweep import all_failed, sweep_markdown, sweep_notes, sweep_table, trials_table
from limbeck.report.table import data_table, percent, remarks, result_table, verdict

__all__ = [
    "all_failed",
    "comparison_notes",
    "comparison_tables",
    "corruption_tables",
    "cost_notes",
    "cost_sentence",
    "cost_tables",
    "data_table",
    "export_table",
    "metrics_notes",
    "metrics_tables",
    "percent",
    "pictures_notes",
    "pictures_table",
    "remarks",
    "result_table",
    "shift_lines",
    "sweep_markdown",
    "sweep_notes",
    "sweep_table",
    "trials_table",
    "verdict",
]
