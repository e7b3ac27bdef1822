"""The benchmark runs from end to end at a tiny size, and every contender of it works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from limbeck.errors import LimbeckError

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "lab3_loop.py"
SMALL = ["--data", "digits", "--width", "0.05", "--pictures", "128", "--batch-size", "64"]
SHORT = ["--rounds", "1", "--side", "256", "--threads", "1", "--device", "cpu"]


class Solo:
    """Turns without a referee: remembers what the contender reports."""

    def __init__(self):
        self.running, self.given = False, []

    def take(self):
        assert not self.running, "takes a second turn before it has given the first"
        self.running = True

    start = stop = lambda self: None

    def give(self, pictures):
        assert self.running, "gives a turn that it has not taken"
        self.running = False
        self.given.append(pictures)


def start(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *SMALL, *SHORT, *options]
    environment = os.environ | {"PYTHONPATH": str(SCRIPT.parents[1])}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)


def test_a_tiny_run_writes_the_page_that_it_prints(tmp_path):
    out = tmp_path / "pages" / "tiny.md"
    done = start("--only", "lab", "limbeck", "--out", str(out))
    assert done.returncode == 0, done.stderr
    page = out.read_text(encoding="utf-8")
    assert page in done.stdout  # the long line of the command included
    assert list(out.parent.iterdir()) == [out]
    rows = re.findall(r"^\| ([^|]+) \| ([\d,.]+) \| [\d,.]+ to [\d,.]+ \| ([\d.]+) \|$", page, re.MULTILINE)
    assert [row[0] for row in rows] == ["the lab's loop", "limbeck, teacher in the step"]
    speeds = [float(row[1].replace(",", "")) for row in rows]
    assert rows[0][2] == "1.00"
    assert float(rows[1][2]) == pytest.approx(speeds[1] / speeds[0], rel=0.1)
    assert "matrix product, 256 x 256 x 256" in page
    assert "- limbeck: 1 threads" in page


def test_a_mistake_ends_with_one_line_and_code_2():
    done = start("--only", "limbek")
    assert done.returncode == 2
    assert done.stderr.startswith("error: unknown contender 'limbek'. Did you mean 'limbeck'?")
    assert "Traceback" not in done.stderr


# In a process of its own, as in the benchmark: the loader's workers are cut off in the middle of a batch, which torch
# tells the process by an exception at whatever it is doing then.
ALONE = """
import contenders
from test_lab3_loop import Solo
turns = Solo()
workload = contenders.Workload(data="digits", width=0.05, pictures=128, rounds=1, batch_size=64, device="cpu")
contenders.{contender}(turns, workload, **{options})
print(turns.given, flush=True)
import os; os._exit(0)
"""


@pytest.mark.parametrize(
    ("contender", "options"),
    [("lab", {"our_batch": True}), ("lab", {"graph": False, "augment": False}), ("torchdistill", {})],
)
def test_who_has_a_loader_takes_and_gives_each_turn_once(contender, options):
    if contender == "torchdistill":
        pytest.importorskip("torchdistill", reason="it takes part where it is installed")
    paths = os.pathsep.join(map(str, (SCRIPT.parents[1], SCRIPT.parent, Path(__file__).parent)))
    command = [sys.executable, "-c", ALONE.replace("{options}", repr(options)).replace("{contender}", contender)]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, timeout=200)
    assert done.stdout == "[128, 128]\n", done.stderr


@pytest.mark.parametrize("teacher", ["live", "stored", "none"])
def test_limbeck_takes_and_gives_each_turn_once(script, teacher):
    contenders, turns = script("contenders"), Solo()
    workload = contenders.Workload(data="digits", width=0.05, pictures=128, rounds=2, batch_size=64, device="cpu")
    with torch.random.fork_rng():
        contenders.limbeck(turns, workload, teacher=teacher, precision="fp32")
    assert turns.given == [128, 128, 128]


def test_with_stored_logits_the_teacher_is_not_asked_during_a_turn(script, monkeypatch):
    contenders, turns, asked = script("contenders"), Solo(), []
    plain = contenders.LiveTeacher.outputs

    def outputs(self, index, views_NCHW, epoch):
        asked.append(turns.running)
        return plain(self, index, views_NCHW, epoch)

    monkeypatch.setattr(contenders.LiveTeacher, "outputs", outputs)
    # A turn ends when the clock stops; what is prepared after that is not timed.
    monkeypatch.setattr(turns, "stop", lambda: setattr(turns, "running", False), raising=False)
    monkeypatch.setattr(turns, "give", turns.given.append, raising=False)
    workload = contenders.Workload(data="digits", width=0.05, pictures=128, rounds=1, batch_size=64, device="cpu")
    with torch.random.fork_rng():
        contenders.limbeck(turns, workload, teacher="stored", precision="fp32")
        assert asked == [False, False]
        contenders.limbeck(turns, workload, teacher="live", precision="fp32")
        assert asked == [False, False, True, True]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pictures": 9999}, "pictures = 9999 is more than the 1437 of digits"),
        ({"pictures": 100}, "pictures = 100 is less than a batch of 128"),
        ({"recipe": "cifar11_cpu"}, "unknown recipe 'cifar11_cpu'. Did you mean 'cifar10_cpu'?"),
        ({"rounds": 0}, "rounds = 0 is not possible"),
        ({"side": 100}, "side = 100 is not possible: give a multiple of 64"),
    ],
)
def test_impossible_settings(script, changes, message):
    loop = script("lab3_loop")
    with pytest.raises(LimbeckError, match=re.escape(message)):
        loop.main(loop.Setting(data="digits", device="cpu", **changes), loop.Console(quiet=True))
