"""Two processes and one: the same weights within the rounding of sums, whatever the objective."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

STUDY = Path(__file__).parents[2] / "studies" / "ranks" / "run.py"


def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    """All the study's cases: objectives that relate pictures, remember them or learn, mixing, parts, a last batch that
    cannot be divided, weights without gradient, and a training that is stopped and continued by others."""
    words = [sys.executable, "-W", "error", str(STUDY), "--epochs", "2", "--json", str(tmp_path / "rows.json")]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=200, check=False)
    assert ended.returncode == 0, ended.stderr
    rows = {row["case"]: row for row in json.loads((tmp_path / "rows.json").read_text())}
    assert len(rows) == 17
    for case, row in rows.items():
        assert row["moved"] > 1e-3, case
        assert row["difference"] < min(1e-5, row["moved"] / 200), case
        assert row["among_them"] == 0, case  # to the last bit
    assert rows["KD, teacher asked live; the first half by 2"]["continued"] == 0
    assert rows["cross-entropy"]["difference"] > 0  # there were two
