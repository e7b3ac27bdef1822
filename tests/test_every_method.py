"""Every method from the command line: it learns, is killed, goes on to the same bits, and leaves a plain student."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from forked import BRIEF

from limbeck.files import digest
from limbeck.models.model import Model
from limbeck.models.weights import load_network
from limbeck.objectives import Objective

OPTIONS = {
    "crd": ["--objective.negatives", "16"],
    "dkd": ["--objective.warmup", "0"],
    "factor": ["--objective.beforehand", "0"],
    "review": ["--objective.warmup", "0"],
}
NAMES = [
    name
    for name, kind in Objective.members().items()
    if name != "sum" and kind.__module__.startswith("limbeck.objectives")
]
STUDENT = Model(name="nin_cifar", width=0.0625)

RUNS = """
import contextlib, json
from limbeck.cli import main
from limbeck.recipes import Protocol
from limbeck.training import Device, checkpoint

device = Device(name="cpu", precision="fp32", threads=1)
recipe = brief(4, 16, name="few", alone=None, protocol=Protocol(seeds=(0,), holdout=0), device=device)
recipes.CATALOGUE["few"] = lambda: recipe
save = checkpoint.save


def dying(path, identity, state):
    "The end of the process, right after the student's second epoch was kept."
    save(path, identity, state)
    if state["epoch"] == 2:
        os.kill(os.getpid(), signal.SIGKILL)


def run(out, words, killed=False):
    "The command in a process of its own, forked from this warm one; its exit code."
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    if killed:
        checkpoint.save = dying
    with contextlib.suppress(BaseException):
        code = main(["run", "few", *words, "--out", out, "--quiet"])
    os._exit(code)


os.dup2(2, 1)  # what the commands show is read with their errors
methods = json.loads(sys.argv[1])
codes = {"teacher": [run("first", ["--objective", "kd"])]}
teacher = ["--teacher", "first/teacher/weights.safetensors"]
names = list(methods)
for half in (names[::2], names[1::2]):  # in two processes, which are not waited for in turn
    if os.fork():
        continue
    for name in half:
        words = ["--objective", name, *methods[name], *teacher]
        starts = (f"{name}-whole", False), (f"{name}-killed", True), (f"{name}-killed", False)
        Path(f"{name}.json").write_text(json.dumps([run(out, words, killed) for out, killed in starts]))
    os._exit(0)
os.wait()
os.wait()
codes |= {name: json.loads(Path(f"{name}.json").read_text()) for name in names}
Path("codes.json").write_text(json.dumps(codes))
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a whole run and a killed and continued one of every method."""
    folder = tmp_path_factory.mktemp("methods")
    methods = json.dumps({name: OPTIONS.get(name, []) for name in NAMES})
    words = [sys.executable, "-W", "ignore", "-c", BRIEF + RUNS, methods]
    ended = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    codes = json.loads((folder / "codes.json").read_text())
    assert codes.pop("teacher") == [0]
    assert codes == {name: [0, -9, 0] for name in NAMES}, ended.stderr
    return folder


def student(runs: Path, name: str, which: str = "whole") -> Path:
    return runs / f"{name}-{which}" / "seed0" / "distilled" / "weights.safetensors"


@pytest.mark.parametrize("name", NAMES)
def test_killed_and_continued_it_ends_with_the_same_bits(runs: Path, name: str) -> None:
    assert digest(student(runs, name, "killed")) == digest(student(runs, name))


@pytest.mark.parametrize("name", NAMES)
def test_its_loss_falls(runs: Path, name: str) -> None:
    rows = [json.loads(line) for line in student(runs, name).with_name("metrics.jsonl").read_text().splitlines()]
    part = {"cross_entropy": "loss_labels", "standardised": "loss_kd"}.get(name, f"loss_{name}")
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[-1][part] < max(row[part] for row in rows[:-1])  # not the first: networks that know nothing agree


@pytest.mark.parametrize("name", NAMES)
def test_it_leaves_a_plain_student(runs: Path, name: str) -> None:
    saved = load_network(student(runs, name))
    if name != "simkd":  # which carries its teacher's classifier
        assert saved.model == STUDENT
    assert digest(student(runs, name)) != digest(student(runs, "cross_entropy")) or name == "cross_entropy"
