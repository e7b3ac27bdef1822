"""Recipes as a command line: names that choose, fields as options, help, and what each command takes beside them."""

from limbeck.options.arguments import HELP, Option, change, find, is_option, strays, table
from limbeck.options.choices import choose
from limbeck.options.commands import (
    CompareOptions,
    EvaluateOptions,
    RunOptions,
    SummaryOptions,
    apply,
    describe,
    parse,
    parse_compare,
    parse_evaluate,
    parse_run,
    parse_summary,
    recipe_at,
    sketch,
)
from limbeck.options.shipping import ExportOptions, PredictOptions, parse_export, parse_predict

__all__ = [
    "HELP",
    "CompareOptions",
    "EvaluateOptions",
    "ExportOptions",
    "Option",
    "PredictOptions",
    "RunOptions",
    "SummaryOptions",
    "apply",
    "change",
    "choose",
    "describe",
    "find",
    "is_option",
    "parse",
    "parse_compare",
    "parse_evaluate",
    "parse_export",
    "parse_predict",
    "parse_run",
    "parse_summary",
    "recipe_at",
    "sketch",
    "strays",
    "table",
]
