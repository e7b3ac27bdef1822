"""Many trainings from one recipe: the same teacher and views, equal trials, judged on the held-out split alone."""

from limbeck.sweeps.axes import Plan, Trial, parse, planned
from limbeck.sweeps.settings import SweepOptions
from limbeck.sweeps.start import Sweep, carry_out, rehearsed, sweep

__all__ = ["Plan", "Sweep", "SweepOptions", "Trial", "carry_out", "parse", "planned", "rehearsed", "sweep"]
