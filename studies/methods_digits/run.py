"""Every method on digits: one teacher, the same views, seeds and budget; each with its published weights.

    python studies/methods_digits/run.py                      # a quarter of an hour on two CPU cores
    python studies/methods_digits/run.py --train.epochs 36    # any option of `limbeck sweep`, beside --objective

A sweep of the recipe `digits` over all the objectives, continued when it is started again. results/HARDWARE.md is its
table, results/HARDWARE.json what that was made from.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from limbeck import files, report, sweeps
from limbeck.console import Console
from limbeck.environment import hardware, slug
from limbeck.errors import LimbeckError
from limbeck.objectives import Objective
from limbeck.training import choose

RESULTS = Path(__file__).parent / "results"


def methods() -> list[str]:
    """The names of limbeck's objectives, but for sums of them and for what the student alone is trained with."""
    members = Objective.members().items()
    ours = [name for name, kind in members if kind.__module__.startswith("limbeck.objectives")]
    return [name for name in ours if name not in ("sum", "cross_entropy")]


def main(words: list[str]) -> None:
    """Runs the sweep, shows its table and writes it."""
    console = Console()
    plan, options = sweeps.parse(["digits", "--objective", ",".join(methods()), *words], __doc__ or "")
    if options.dry_run:
        console.show(sweeps.rehearsed(plan, options.out, console))
        return
    swept = sweeps.carry_out(plan, options.out, options.fresh, console)
    console.show(report.sweep_table(swept.results))
    machine = hardware(choose(plan.recipe.device).device)
    page = [
        f"{machine}, torch {torch.__version__}. Every method has the weights it was published with, on other data.",
        report.sweep_markdown(swept.results),
    ]
    files.write_bytes(RESULTS / f"{slug(machine)}.md", "\n\n".join(page).encode())
    files.write_json(
        RESULTS / f"{slug(machine)}.json", {"hardware": machine, "torch": torch.__version__, **swept.results}
    )


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except LimbeckError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
