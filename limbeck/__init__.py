"""limbeck shrinks an image classifier: it distils any teacher into a small student, and measures what it was worth.

::

    limbeck.run(limbeck.recipes.digits())                        # everything
    limbeck.sweep("digits", {"objective": "kd,dkd"})             # many variants, compared on held-out pictures
    limbeck.compare(["runs/one", "runs/another"])                # finished runs side by side
    limbeck.distil(teacher, student, dataset, objective=...)     # one's own networks and pictures
    limbeck.objectives.kd_loss(student, teacher, temperature=4)  # the maths, in anyone's loop
    print(limbeck.check(loss))                                   # what is wrong with a loss of your own
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limbeck import data, models, objectives, recipes
    from limbeck.comparison import Comparison, compare
    from limbeck.distillation import distil
    from limbeck.doctor import check, check_setup
    from limbeck.errors import LimbeckError
    from limbeck.recipes import Recipe
    from limbeck.shipping.exporting import Exported, export
    from limbeck.start import Result, run
    from limbeck.sweeps import Sweep, sweep

# An OpenMP thread that waits should spin for a moment only: left alone it spins so long that any other program on the
# machine makes training many times slower. Read when torch is imported, so it has to stand here.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "100000")

_HOMES = {
    "Comparison": "limbeck.comparison",
    "Exported": "limbeck.shipping.exporting",
    "LimbeckError": "limbeck.errors",
    "Recipe": "limbeck.recipes",
    "Result": "limbeck.start",
    "Sweep": "limbeck.sweeps",
    "check": "limbeck.doctor",
    "check_setup": "limbeck.doctor",
    "compare": "limbeck.comparison",
    "distil": "limbeck.distillation",
    "export": "limbeck.shipping.exporting",
    "run": "limbeck.start",
    "sweep": "limbeck.sweeps",
}
_ROOMS = ("data", "models", "objectives", "recipes")

__all__ = [
    "Comparison",
    "Exported",
    "LimbeckError",
    "Recipe",
    "Result",
    "Sweep",
    "check",
    "check_setup",
    "compare",
    "data",
    "distil",
    "export",
    "models",
    "objectives",
    "recipes",
    "run",
    "sweep",
]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `limbeck --help` need not wait for torch."""
    if name in _ROOMS:
        return importlib.import_module(f"limbeck.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'limbeck' has no attribute {name!r}")
