"""A complete distillation step at several batch sizes: limbeck, torchdistill, the lab's loop, and the machine's floor.

    python benchmarks/step.py
    python benchmarks/step.py --batch-sizes 128 --only lab limbeck torchdistill --rounds 2

Teacher included, from the stored pictures to the student's new weights. torchdistill comes from PyPI
(`pip install torchdistill`); where it is not installed it is said to be not measured. See README.md.
"""

from __future__ import annotations

import datetime
import importlib.util
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import torch
import tyro
from contenders import Workload, lab, limbeck, torchdistill
from machine import Others, forward_gflop, matrix_products, training_gflop, versions
from turns import referee

from limbeck import data, files, models
from limbeck.console import Console
from limbeck.environment import hardware, slug
from limbeck.errors import LimbeckError, unknown
from limbeck.training import Device, Engine, choose

H200_FLOOR_SECONDS = 0.175 / 50_000
"""An H200's time for one picture if everything were perfectly fused, worked out from its memory's speed (bf16)."""

PEER = "torchdistill"
LAB_PICTURES = 4096
"""The most that a turn of the lab's loop has; its batches are small, and on a GPU it is slow."""


@dataclass(frozen=True)
class Setting(Workload):
    """Times a complete distillation step of limbeck, torchdistill and the lab, in turn, in one run."""

    pictures: int = 0
    """Pictures of one turn; 0: 2,048 on a CPU, 40,960 on a GPU, and never less than two batches. The lab's loop, which
    is slow on a GPU, has 4,096 at the most."""
    rounds: int = 3
    """Turns of each contender that count; one more warms up."""
    batch_sizes: tuple[int, ...] = (128, 512, 2048)
    """Batch sizes, one after another; the lab's is always 32."""
    side: int = 4096
    """Rows and columns of the matrices whose product is the machine's peak; a multiple of 64."""
    only: tuple[str, ...] = ()
    """Contenders to run; empty: all."""
    out: Path | None = None
    """The page to write; by default results/HARDWARE.md beside this script."""


CONTENDERS: dict[str, tuple[str, Callable[..., None]]] = {
    "lab": ("the lab's loop, batch 32", lab),
    "torchdistill": ("torchdistill", torchdistill),
    "limbeck-eager": ("limbeck, eager", partial(limbeck, teacher="live", compile="off")),
    "limbeck-compiled": ("limbeck, compiled", partial(limbeck, teacher="live", compile="on")),
}


def main(setting: Setting, console: Console) -> None:
    """Runs the benchmark, one batch size after another; writes its page after each, and shows it at the end.

    Raises:
        LimbeckError: an impossible setting, or a contender that failed.
    """
    for name in set(setting.only) - set(CONTENDERS):
        raise unknown("contender", name, CONTENDERS)
    setting.check(setting.side)
    for batch_size in setting.batch_sizes:
        if batch_size < 1:
            raise LimbeckError(f"batch size {batch_size} is not possible: give 1 or more.")
    names = [name for name in CONTENDERS if not setting.only or name in setting.only]
    taking_part = [name for name in names if name != PEER or importlib.util.find_spec(PEER)]
    engine = choose(Device(name=setting.torch_device(), threads=setting.threads))
    available = len(data.load(setting.data, "train", console))
    others, peaks = Others(), dict[str, float]()

    def peak() -> None:
        for product, speed in matrix_products(engine.device, engine.autocast is not None, setting.side).items():
            peaks[product] = max(speed, peaks.get(product, 0.0))

    speeds: dict[int, Mapping[str, Sequence[float]]] = {}
    out = setting.out or Path(__file__).parent / "results" / f"{slug(hardware(engine.device))}.md"
    text = ""
    for batch_size in setting.batch_sizes:
        wanted = setting.pictures or (40_960 if engine.device.type == "cuda" else 2048)
        pictures = min(available, max(wanted, 2 * batch_size)) // batch_size * batch_size
        if not pictures:
            raise LimbeckError(f"batch size {batch_size} is more than the {available} pictures of {setting.data}.")
        console.say(f"batch size {batch_size}, {pictures:,} pictures a turn")
        workload = replace(setting, batch_size=batch_size, pictures=pictures)
        few = replace(workload, pictures=min(pictures, LAB_PICTURES))
        contenders = {
            name: partial(CONTENDERS[name][1], workload=few if name == "lab" else workload) for name in taking_part
        }
        speeds[batch_size] = referee(contenders, setting.rounds, console, peak)
        text = page(setting, names, speeds, peaks, engine, others.share())
        files.write_bytes(out, text.encode())  # what is measured by then, should it be stopped
    console.show(text)
    console.say(f"written to {out}")


def page(
    setting: Setting,
    names: Sequence[str],
    speeds: Mapping[int, Mapping[str, Sequence[float]]],
    peaks: Mapping[str, float],
    engine: Engine,
    others: float | None,
) -> str:
    """The page in Markdown.

    Args:
        setting: what was asked for.
        names, speeds: as `table` has them.
        peaks: GFLOP/s of the machine's matrix products.
        engine: what limbeck decided.
        others: the share of the processors' time that other programs took.
    """
    machine = hardware(engine.device)
    picture = torch.zeros(1, 3, 32, 32)
    student, teacher = (
        models.build(name, num_classes=10, width=setting.width) for name in ("nin_cifar", "alexnet_cifar")
    )
    gflop = training_gflop(student, picture) + forward_gflop(teacher, picture)
    share = "unknown" if others is None else f"{100 * others:.1f} %"
    lines = [
        f"# A complete distillation step on {machine}",
        "",
        f"Measured on {datetime.datetime.now(datetime.UTC):%Y-%m-%d} by "
        f"`{shlex.join(['python', 'benchmarks/step.py', *sys.argv[1:]])}`.",
        "",
        f"- {versions(*({PEER} & set().union(*speeds.values())))}",
        *(f"- limbeck: {reason}" for reason in engine.reasons if not reason.startswith("compile")),
        f"- processor time taken by other programs meanwhile: {share}",
        "",
        *table(names, speeds, gflop / max(peaks.values()), machine),
        "",
        f"A picture costs {gflop:.3f} GFLOP: the teacher's answer and the student's training. The floor is that at the "
        f"speed of the fastest matrix product, {setting.side} x {setting.side} x {setting.side}: "
        + ", ".join(f"{name} {speed:,.0f} GFLOP/s" for name, speed in peaks.items())
        + ". limbeck chooses its precision; the lab's loop and torchdistill compute in fp32, as they come.",
    ]
    return "\n".join(lines) + "\n"


def table(
    names: Sequence[str], speeds: Mapping[int, Mapping[str, Sequence[float]]], floor: float, machine: str
) -> list[str]:
    """The table in Markdown.

    Args:
        names: of all the contenders, whether they took part or not.
        speeds: batch size -> contender -> pictures a second, one figure a round.
        floor: the least seconds that a picture can take.
        machine: a column is added for an H200's own floor.
    """
    h200 = "H200" in machine
    lines = [
        "| batch | | images/s | ms a step | times the lab's loop | times the floor |"
        + (" times the floor of perfect fusion |" if h200 else ""),
        "|---:|---|---:|---:|---:|---:|" + ("---:|" if h200 else ""),
    ]
    for batch_size, by_name in speeds.items():
        for name in names:
            if name not in by_name:
                lines.append(f"| {batch_size} | {CONTENDERS[name][0]} | not measured | | | |" + (" |" if h200 else ""))
                continue
            speed, size = median(by_name[name]), 32 if name == "lab" else batch_size
            ratio = "not measured"
            if "lab" in by_name:
                pairs = zip(by_name[name], by_name["lab"], strict=True)
                ratio = f"{median(ours / theirs for ours, theirs in pairs):.2f}"
            row = f"| {batch_size} | {CONTENDERS[name][0]} | {speed:,.0f} | {1000 * size / speed:,.2f} | {ratio} |"
            row += f" {1 / speed / floor:.2f} |" + (f" {1 / speed / H200_FLOOR_SECONDS:.2f} |" if h200 else "")
            lines.append(row)
    return lines


if __name__ == "__main__":
    try:
        main(tyro.cli(Setting), Console())
    except LimbeckError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
