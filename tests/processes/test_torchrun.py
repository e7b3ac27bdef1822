"""The command line under torchrun: one process speaks and writes, a process that dies ends all, and the run goes on."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from limbeck.cli import main

OPTIONS = [
    *("--student.width", ".0625", "--teacher.student.width", ".0625", "--train.epochs", "2"),
    *("--teacher.train.epochs", "12", "--train.checkpoint-seconds", "0", "--teacher.train.checkpoint-seconds", "0"),
    *("--protocol.seeds", "0", "--protocol.holdout", "1037", "--device.name", "cpu", "--device.threads", "1"),
    "--no-page",
]
COMMAND = """
import os, sys
from pathlib import Path
from limbeck.judging import costing
from limbeck.cli import main

costing.AT_THE_END = 0.05  # seconds: what networks cost is not what is tested
Path(__file__).with_name("process" + os.environ["RANK"]).write_text(str(os.getpid()))
sys.exit(main())
"""


def started(folder: Path, *words: str) -> subprocess.Popen[str]:
    """The command, in two processes."""
    script = folder / "command.py"
    script.write_text(COMMAND, encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [*torchrun, *words], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def whole(folder: Path) -> bool:
    """Whether every network is there, with every epoch once."""
    trained = {path.parent.name: path for path in folder.rglob("metrics.jsonl")}
    rows = {name: path.read_text(encoding="utf-8").splitlines() for name, path in trained.items()}
    epochs = {name: [json.loads(row)["epoch"] for row in some] for name, some in rows.items()}
    weights = {path.parent.name for path in folder.rglob("weights.safetensors")}
    wanted = {"teacher": 12, "alone": 2, "distilled": 2}
    return weights == set(wanted) and epochs == {name: list(range(1, last + 1)) for name, last in wanted.items()}


def test_a_process_is_killed_and_the_run_continued(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the same command, and by one process alone; until then nothing but the first process writes."""
    out = tmp_path / "out"
    process = started(tmp_path, "run", "digits", *OPTIONS, "--out", str(out))
    while not (out / "teacher" / "checkpoint.pt").exists() and process.poll() is None:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()
    os.kill(int((tmp_path / "process1").read_text()), signal.SIGKILL)
    said, complaint = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "2 processes, 25 pictures of each batch of 50 each" in said
    assert said.count("recipe digits") == 1
    assert re.findall("^error: .*$", complaint, re.MULTILINE) == [
        "error: process 2 of 2 has ended. What was finished and the last checkpoint are kept; type the same command "
        "again, with any number of processes."
    ]
    assert not (out / "results.json").exists()
    shutil.copytree(out, tmp_path / "alone")

    process = started(tmp_path, "run", "digits", *OPTIONS, "--out", str(out))
    said, complaint = process.communicate(timeout=100)
    assert process.returncode == 0, complaint
    assert said.count("On digits the teacher was worth") == 1
    starts = json.loads((out / "environment.json").read_text())["starts"]
    assert [start["processes"] for start in starts] == [2, 2]
    assert whole(out)

    assert main(["run", "digits", *OPTIONS, "--out", str(tmp_path / "alone")]) == 0
    assert "On digits the teacher was worth" in capsys.readouterr().out
    assert whole(tmp_path / "alone")
