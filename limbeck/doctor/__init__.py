"""A doctor for distillation: what a loss does, and whether networks and data are set up for it."""

from limbeck.doctor.losses import check
from limbeck.doctor.named import find
from limbeck.doctor.report import Finding, Report
from limbeck.doctor.setup import check_setup

__all__ = ["Finding", "Report", "check", "check_setup", "find"]
