"""A sweep that is killed goes on where it was; a second process in its folder is refused."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from limbeck.cli import main
from limbeck.files import digest

OPTIONS = [
    *("--student.width", ".0625", "--teacher.student.width", ".0625", "--train.epochs", "1", "--teacher.train.epochs"),
    *("2", "--train.checkpoint-seconds", "0", "--teacher.train.checkpoint-seconds", "0", "--protocol.seeds", "0"),
    *("--protocol.holdout", "537", "--device.name", "cpu", "--device.threads", "1", "--objective", "kd,dkd"),
]


def start(out: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "limbeck", "sweep", "digits", *OPTIONS, "--out", str(out)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def networks(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): digest(path) for path in folder.rglob("weights.safetensors")}


def test_killed_twice_it_ends_as_if_it_had_not_been(tmp_path: Path, capsys: object) -> None:
    assert main(["sweep", "digits", *OPTIONS, "--out", str(tmp_path / "whole"), "--quiet"]) == 0
    killed = tmp_path / "killed"
    for reached in ("trainings/*/seed0/checkpoint.pt", "results.json"):
        process = start(killed)
        while not list(killed.glob(reached)) and process.poll() is None:
            time.sleep(0.01)
        if reached == "results.json":
            assert main(["sweep", "digits", *OPTIONS, "--out", str(killed), "--quiet"]) == 2
            assert "another process is working in" in capsys.readouterr().err  # type: ignore[attr-defined]
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    assert json.loads((killed / "results.json").read_text())["status"] == "running"
    assert main(["sweep", "digits", *OPTIONS, "--out", str(killed), "--quiet"]) == 0
    assert networks(killed) == networks(tmp_path / "whole")
    assert len(networks(killed)) == 4
    one, other = (json.loads((tmp_path / name / "results.json").read_text()) for name in ("killed", "whole"))
    assert [row["accuracy"] for row in one["trials"]] == [row["accuracy"] for row in other["trials"]]
    assert not [*killed.rglob("checkpoint.pt"), *killed.rglob(".*.part"), *killed.rglob("answers")]
