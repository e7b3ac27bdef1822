"""Killed at any moment and started again, a run ends with the same bits; Ctrl-C says how to go on."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from forked import BRIEF

from limbeck.cli import main

OPTIONS = [
    *("--student.width", ".0625", "--teacher.student.width", ".0625", "--train.epochs", "3", "--train.ema", ".9"),
    *("--teacher.train.epochs", "3", "--train.checkpoint-seconds", "0", "--teacher.train.checkpoint-seconds", "0"),
    *("--protocol.seeds", "0", "--protocol.holdout", "1037", "--device.name", "cpu", "--device.threads", "1"),
    "--no-page",
]

COMMAND = """
import sys
from limbeck.judging import costing
from limbeck.cli import main

costing.AT_THE_END = 0.05  # seconds: what networks cost is not what is tested
sys.exit(main())
"""


def start(out: Path, *more: str) -> subprocess.Popen[str]:
    """Starts a run; returns when it is about to train."""
    words = [sys.executable, "-c", COMMAND, "run", "digits", *OPTIONS, *more, "--out", str(out)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == f"recipe digits -> {out}\n"
    return process


def digests(folder: Path) -> dict[str, str]:
    files = sorted(folder.rglob("weights.safetensors"))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def whole(folder: Path, networks: int = 5) -> bool:
    """Whether the weights and metrics of every network are there, and nothing else is left lying about."""
    epochs = [[row["epoch"] for row in rows(path)] for path in sorted(folder.rglob("metrics.jsonl"))]
    left = [*folder.rglob("checkpoint.pt"), *folder.rglob("answers"), *folder.rglob(".*.part")]
    return len(digests(folder)) == networks and epochs == [[1, 2, 3]] * networks and left == []


def test_the_command_killed_and_started_again_ends_with_the_same_bits(tmp_path: Path) -> None:
    """Killed in the middle of the work, wherever that is: much of it is still to be done when these files appear."""
    process = start(tmp_path / "undisturbed")
    assert process.communicate(timeout=120)[1] == ""
    moments, ends = random.Random(0), []
    for reached in ("teacher/metrics.jsonl", "seed0/distilled/metrics.jsonl"):
        process = start(tmp_path / "killed")
        while not (tmp_path / "killed" / reached).exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.1))
        process.kill()
        process.communicate()
        ends.append(process.returncode)
    assert ends == [-signal.SIGKILL] * 2
    process = start(tmp_path / "killed")
    assert process.communicate(timeout=120)[1] == ""
    assert process.returncode == 0
    assert digests(tmp_path / "killed") == digests(tmp_path / "undisturbed")
    assert whole(tmp_path / "killed", networks=3)
    assert whole(tmp_path / "undisturbed", networks=3)


MANY_KILLS = """
import io, json, random, time
from limbeck import start
from limbeck.console import Console
from limbeck.recipes import Protocol

recipe = brief(3, 32, protocol=Protocol(seeds=(0, 1), holdout=8))


def dying(call, writes, before):
    "The call, once it has been made so many times, ends the process: before or after it does its work."
    made = 0

    def counted(*arguments):
        nonlocal made
        made += 1
        if made > writes and before:
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*arguments)
        if made > writes:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return counted


def run(out, before=None, after=None, seconds=None):
    "A start of the run in a process of its own, killed as asked; returns its exit code."
    child = os.fork()
    if child:
        if seconds is not None:
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if before is not None:
        os.fsync = dying(os.fsync, before, True)
    if after is not None:
        Path.replace = dying(Path.replace, after, False)
    try:
        start.run(recipe, Path(out), console=Console(quiet=True, file=io.StringIO()))
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


assert run("undisturbed") == 0
began = time.monotonic()
assert run("once more") == 0
work, moments, kills = time.monotonic() - began, random.Random(0), {}
# "whenever" comes ever later, so that a slow machine gets to its end as well
ways = {
    "before": lambda start: {"before": 3 + start % 5},  # recipe.json, environment.json, and a few steps further
    "after": lambda start: {"after": 2 + start % 3},
    "whenever": lambda start: {"seconds": work * moments.uniform(0.05, 0.3) * (1 + start / 10)},
}
for name, way in ways.items():
    kills[name] = 0
    while (code := run(name, **way(kills[name]))) == -signal.SIGKILL and kills[name] < 100:
        kills[name] += 1
    assert code == 0, (name, code, kills)
print(json.dumps(kills))
"""


def test_a_run_killed_at_each_of_its_writes_and_at_random_moments_ends_with_the_same_bits(tmp_path: Path) -> None:
    """Killed before a file takes its place, right after, and whenever; all in processes forked from a warm one."""
    words = [sys.executable, "-W", "ignore", "-c", BRIEF + MANY_KILLS]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)
    assert ended.stderr == ""
    kills = json.loads(ended.stdout)
    assert kills["before"] > 10
    assert kills["after"] > 10
    assert kills["whenever"] > 1
    undisturbed = tmp_path / "undisturbed"
    assert whole(undisturbed)
    results = json.loads((undisturbed / "results.json").read_text())
    assert digests(tmp_path / "once more") == digests(undisturbed)
    for name in kills:
        folder = tmp_path / name
        assert digests(folder) == digests(undisturbed)
        assert whole(folder)
        again = json.loads((folder / "results.json").read_text())
        assert (again["measurements"], again["summary"]) == (results["measurements"], results["summary"])
        looks = [(line["role"], line["seed"]) for line in rows(folder / "evaluations.jsonl")]
        assert len(set(looks)) == 5
        assert len(rows(undisturbed / "evaluations.jsonl")) == 5
        assert len(json.loads((folder / "environment.json").read_text())["starts"]) > kills[name] / 2


def test_a_second_process_is_refused_and_an_interruption_says_how_to_continue(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    long = ["--teacher.train.epochs", "20000"]
    process = start(out, *long)
    assert main(["run", "digits", *OPTIONS, *long, "--out", str(out)]) == 2
    refused = capsys.readouterr()
    assert refused.err == (
        f"error: another process is working in {out}. "
        "Wait until it has ended, or type --out FOLDER to work elsewhere.\n"
    )
    assert refused.out == ""
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    again = " ".join(["limbeck", "run", "digits", *OPTIONS, *long, "--out", str(out)])
    assert said == f"\nstopped. What was finished and the last checkpoint are kept; type `{again}` to continue.\n"
    assert not list(out.rglob(".*.part"))
