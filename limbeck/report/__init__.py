"""From results to what a person reads."""

from limbeck.report.table import data_table, remarks, result_table, verdict

__all__ = ["data_table", "remarks", "result_table", "verdict"]
