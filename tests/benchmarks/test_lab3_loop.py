"""The benchmark runs from end to end at a tiny size, and its page says what was measured."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TINY = "--data digits --width 0.05 --pictures 128 --rounds 1 --batch-size 64 --side 256 --threads 1 --device cpu".split()


def start(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "lab3_loop.py"), *TINY, *options]
    environment = os.environ | {"PYTHONPATH": str(BENCHMARKS.parent), "COLUMNS": "200"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)


def test_a_tiny_run_writes_the_page_that_it_prints(tmp_path):
    out = tmp_path / "pages" / "tiny.md"
    done = start("--only", "lab", "limbeck-stored", "limbeck-alone-fp32", "--out", str(out))
    assert done.returncode == 0, done.stderr
    page = out.read_text()
    assert page in done.stdout
    assert list(out.parent.iterdir()) == [out]
    rows = dict(re.findall(r"^\| ([^|]+) \| ([\d,.]+) \| [\d,.]+ to [\d,.]+ \|", page, re.MULTILINE))
    assert list(rows) == ["the lab's loop", "limbeck, stored logits", "limbeck in fp32, student alone"]
    assert all(float(speed.replace(",", "")) > 1 for speed in rows.values())
    assert "| the lab's loop | " in page
    assert re.search(r"^\| the lab's loop .* \| 1\.00 \|$", page, re.MULTILINE)
    assert "matrix product, 256 x 256 x 256" in page
    assert re.search(r"^- fp32: [\d,]+ GFLOP/s, \d+% of fp32 torch.mm, \d+% of fp32 1x1 convolution\.$", page, re.MULTILINE)
    assert "- limbeck: 1 threads" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "limbek"], "unknown contender 'limbek'. Did you mean 'limbeck'?"),
        (["--pictures", "999999"], "pictures = 999999 is more than the 1437 of digits"),
    ],
)
def test_a_mistake_gets_one_line(options, message):
    done = start(*options)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
