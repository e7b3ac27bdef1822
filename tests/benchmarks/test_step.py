"""The step benchmark runs from end to end at a tiny size, and says what it could not measure."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from limbeck.errors import LimbeckError

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "step.py"
TINY = [
    *("--data", "digits", "--width", "0.05", "--rounds", "1", "--side", "256"),
    *("--threads", "1", "--device", "cpu", "--pictures", "128"),
]


def test_a_tiny_run_writes_the_page_that_it_prints(tmp_path):
    out = tmp_path / "tiny.md"
    words = ["--batch-sizes", "64", "--only", "lab", "limbeck-eager", "--out", str(out)]
    environment = os.environ | {"PYTHONPATH": str(SCRIPT.parents[1])}
    command = [sys.executable, str(SCRIPT), *TINY, *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    page = out.read_text(encoding="utf-8")
    assert page in done.stdout
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \| ([\d,]+) \| [\d,.]+ \| ([\d.]+) \| [\d.]+ \|$", page, re.MULTILINE)
    assert [row[:2] for row in rows] == [("64", "the lab's loop, batch 32"), ("64", "limbeck, eager")]
    assert rows[0][3] == "1.00"


def test_the_table(script):
    step = script("step")
    speeds = {128: {"lab": [100.0, 200.0, 50.0], "limbeck-eager": [400.0, 500.0, 300.0]}}
    lines = step.table(["lab", "torchdistill", "limbeck-eager"], speeds, 1 / 1000, "a machine")
    assert lines[2:] == [
        "| 128 | the lab's loop, batch 32 | 100 | 320.00 | 1.00 | 10.00 |",
        "| 128 | torchdistill | not measured | | | |",
        "| 128 | limbeck, eager | 400 | 320.00 | 4.00 | 2.50 |",
    ]
    speeds = {128: {"limbeck-eager": [100_000.0]}}
    assert step.table(["limbeck-eager"], speeds, 1e-6, "NVIDIA H200")[2:] == [
        "| 128 | limbeck, eager | 100,000 | 1.28 | not measured | 10.00 | 2.86 |"
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"only": ("labb",)}, "unknown contender 'labb'. Did you mean 'lab'?"),
        ({"rounds": 0}, "rounds = 0 is not possible"),
        ({"side": 100}, "side = 100 is not possible: give a multiple of 64"),
        ({"batch_sizes": (128, 0)}, "batch size 0 is not possible"),
        ({"batch_sizes": (2048,)}, "batch size 2048 is more than the 1437 pictures of digits"),
    ],
)
def test_mistakes(script, changes, message):
    step = script("step")
    with pytest.raises(LimbeckError, match=re.escape(message)):
        step.main(step.Setting(data="digits", device="cpu", **changes), step.Console(quiet=True))
