"""Writes a run's distilled student in half precision, and says what it is worth after rounding.

python studies/flagship/release.py runs/flagship/cifar10/flagship
limbeck evaluate weights/nin_cifar-cifar10.safetensors
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tyro

from limbeck import files, report
from limbeck.console import Console
from limbeck.errors import LimbeckError
from limbeck.judging import evaluating
from limbeck.models.weights import load_network, save_network
from limbeck.runs import RunFolder
from limbeck.training import Device, choose


@dataclass(frozen=True)
class Setting:
    """Writes a run's distilled student in half precision, and judges it."""

    run: tyro.conf.Positional[Path]
    """A run's folder."""
    seed: int = 0
    """Which student; the first seed, not the best one."""
    data: str = "cifar10"
    """Data set that it was trained on, and is judged on."""
    out: Path = Path("weights/nin_cifar-cifar10.safetensors")
    """The file to write."""


def main(setting: Setting, console: Console) -> None:
    """Rounds, writes, reads again and judges; what was there before is replaced at the very end."""
    saved = load_network(setting.run / f"seed{setting.seed}" / "distilled" / "weights.safetensors")
    with tempfile.TemporaryDirectory() as place:
        rounded = Path(place) / setting.out.name
        save_network(rounded, saved.network, saved.model, saved.classes, setting.data, half=True, side=saved.side)
        RunFolder(setting.run).note_evaluation("distilled, half precision", setting.seed, setting.data, "test")
        results = evaluating.evaluate(rounded, engine=choose(Device(precision="fp32")), console=console)
        files.write_bytes(setting.out, rounded.read_bytes())
    console.show(report.result_table(results, str(setting.out)))


if __name__ == "__main__":
    try:
        main(tyro.cli(Setting), Console())
    except LimbeckError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
