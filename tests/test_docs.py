"""What the documents show works as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from limbeck import options, sweeps
from limbeck.cli import main
from limbeck.recipes import CATALOGUE, Recipe, find
from limbeck.teachers import Kept

ROOT = Path(__file__).parents[1]
NETWORKS = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
TEACHERS = (ROOT / "docs" / "teachers.md").read_text(encoding="utf-8")
METHODS = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+) ?(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [(language, kind, code) for language, kind, code in BLOCK.findall(METHODS)]


def test_the_examples_run_one_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for number, (language, kind, code) in enumerate(BLOCKS):
        if language != "python" or kind in ("recipe", "sweep"):
            continue
        if kind == "timm":
            pytest.importorskip("timm", reason="an example uses timm's models")
        exec(compile(code, f"example {number} of docs/methods.md", "exec"), names)
    assert not names["student"].training


def test_the_commands_are_understood() -> None:
    lines = [line for language, _, code in BLOCKS if language == "sh" for line in code.splitlines()]
    assert len(lines) > 8
    for line in lines:
        words = shlex.split(line)
        assert (words[0], words[2]) == ("limbeck", "digits")
        if words[1] == "sweep":
            assert len(sweeps.parse(words[2:], "")[0].trials) > 1
        elif "--help" not in words:
            recipe, _ = options.parse(find("digits"), words[3:], "limbeck run digits")
            assert recipe != find("digits")


def test_the_commands_that_keep_answers_are_understood() -> None:
    lines = [line for _, _, code in BLOCK.findall(TEACHERS) for line in code.splitlines()]
    assert len(lines) == 4
    for line in lines:
        words = shlex.split(line)
        one = words[1] == "run"
        recipe = (
            options.parse(find("digits"), words[3:], "")[0] if one else sweeps.parse(words[2:], "")[0].trials[0].recipe
        )
        assert isinstance(recipe.logits, Kept)
        assert recipe.logits.folder == Path("answers")


def test_the_sweep_from_python_runs(tiny: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = (code for _, kind, code in BLOCKS if kind == "sweep")
    one = tiny.with_(protocol=tiny.protocol.with_(seeds=(0,)))
    monkeypatch.setitem(CATALOGUE, "digits", lambda: one)
    names: dict[str, Any] = {}
    exec(code.replace("18,36", "1,2"), names)
    assert len(names["swept"].trials) == 4
    assert "gain" in names["result"].results["summary"]["few"]["accuracy"]


def test_a_method_of_ones_own_is_short_and_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = (code for _, kind, code in BLOCKS if kind == "recipe")
    assert len(code.splitlines()) <= 40
    path = tmp_path / "mine.py"
    path.write_text(code, encoding="utf-8")
    words = ["--quiet", "--out", str(tmp_path / "out"), "--protocol.seeds", "0", "--train.epochs", "1"]
    assert main(["run", str(path), *words, "--teacher.train.epochs", "1"]) == 0
    assert "distilled" in capsys.readouterr().out


def test_the_commands_with_networks_of_ones_own_are_understood() -> None:
    blocks = BLOCK.findall(NETWORKS)
    lines = [line for language, _, code in blocks if language == "sh" for line in code.splitlines()]
    assert len(lines) == 9
    for line in lines:
        words = shlex.split(line)
        recipe, _ = options.parse(find("digits"), words[3:], "limbeck run digits")
        assert recipe.student != find("digits").student or recipe.teacher != find("digits").teacher
    (code,) = (code for language, _, code in blocks if language == "python")
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["recipe"].teacher.size == 64
