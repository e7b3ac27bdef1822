"""The lab notebook's training step and limbeck's, timed on one machine, on the same pictures, in turn, in one run.

    python benchmarks/lab3_loop.py
    python benchmarks/lab3_loop.py --only lab limbeck limbeck-stored --pictures 1024 --rounds 3

The first line takes 15 to 20 minutes on two cores. A contender goes all the way from the stored pictures to the
student's new weights. See README.md for what is measured and why.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import tyro
from contenders import Workload, lab, limbeck
from lab3_page import Measured, page
from machine import Others, matrix_products, training_gflop, versions
from turns import referee

from limbeck import data, files, models
from limbeck.console import Console
from limbeck.environment import hardware, slug
from limbeck.errors import LimbeckError, unknown
from limbeck.training import Device, choose


@dataclass(frozen=True)
class Setting(Workload):
    """Times the lab notebook's training step and limbeck's, in turn, in one run."""

    side: int = 4096
    """Rows and columns of the matrices whose product is the machine's peak; a multiple of 64."""
    only: tuple[str, ...] = ()
    """Contenders to run; empty: all."""
    out: Path | None = None
    """The page to write; by default results/lab3_loop-HARDWARE.md beside this script."""


CONTENDERS: dict[str, tuple[str, Callable[..., None]]] = {
    "lab": ("the lab's loop", lab),
    "lab-no-graph": ("the lab's loop, teacher outside the autograd graph", partial(lab, graph=False)),
    "lab-plain": ("the lab's loop, no AutoAugment", partial(lab, augment=False)),
    "lab-batch": ("the lab's loop, limbeck's batch size", partial(lab, our_batch=True)),
    "lab-batch-plain": ("the lab's loop, both of these", partial(lab, our_batch=True, augment=False)),
    "limbeck": ("limbeck, teacher in the step", partial(limbeck, teacher="live")),
    "limbeck-stored": ("limbeck, stored logits", partial(limbeck, teacher="stored")),
    "limbeck-alone": ("limbeck, student alone", partial(limbeck, teacher="none")),
    "limbeck-fp32": ("limbeck in fp32, teacher in the step", partial(limbeck, teacher="live", precision="fp32")),
    "limbeck-stored-fp32": ("limbeck in fp32, stored logits", partial(limbeck, teacher="stored", precision="fp32")),
    "limbeck-alone-fp32": ("limbeck in fp32, student alone", partial(limbeck, teacher="none", precision="fp32")),
}


def main(setting: Setting, console: Console) -> None:
    """Runs the benchmark; shows its page and writes it.

    Raises:
        LimbeckError: an impossible setting, or a contender that failed.
    """
    for name in set(setting.only) - set(CONTENDERS):
        raise unknown("contender", name, CONTENDERS)
    setting.check(setting.side)
    if setting.pictures < setting.batch_size:
        raise LimbeckError(f"pictures = {setting.pictures} is less than a batch of {setting.batch_size}. Give more.")
    engine = choose(Device(name=setting.torch_device(), threads=setting.threads))
    available = len(data.load(setting.data, "train", console))
    if setting.pictures > available:
        raise LimbeckError(f"pictures = {setting.pictures} is more than the {available} of {setting.data}. Give fewer.")
    names = setting.only or tuple(name for name in CONTENDERS if engine.autocast or not name.endswith("fp32"))
    peaks: dict[str, float] = {}

    def peak() -> None:
        for product, speed in matrix_products(engine.device, engine.autocast is not None, setting.side).items():
            peaks[product] = max(speed, peaks.get(product, 0.0))

    others = Others()
    contenders = {name: partial(CONTENDERS[name][1], workload=setting) for name in names}
    speeds = referee(contenders, setting.rounds, console, peak)
    machine = hardware(engine.device)
    student = models.build("nin_cifar", num_classes=10, width=setting.width)
    text = page(
        Measured(
            command=shlex.join(["python", "benchmarks/lab3_loop.py", *sys.argv[1:]]),
            hardware=machine,
            versions=versions(),
            decisions=engine.reasons,
            others=others.share(),
            titles={name: CONTENDERS[name][0] for name in names},
            speeds=speeds,
            side=setting.side,
            peaks=peaks,
            gflop=training_gflop(student, torch.zeros(1, 3, 32, 32)),
            chosen="fp32" if engine.autocast is None else "bf16",
        )
    )
    console.show(text)
    out = setting.out or Path(__file__).parent / "results" / f"lab3_loop-{slug(machine)}.md"
    files.write_bytes(out, text.encode())
    console.say(f"written to {out}")


if __name__ == "__main__":
    try:
        main(tyro.cli(Setting), Console())
    except LimbeckError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
