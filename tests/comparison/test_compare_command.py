"""`limbeck compare`: the screen at 80 columns, the file of figures, the page, and no network asked."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limbeck.cli import main
from limbeck.comparison import compare
from limbeck.judging import concluding
from limbeck.report import comparison_notes
from limbeck.report.page import write_comparison
from limbeck.training import loop

Capture = pytest.CaptureFixture[str]
Runs = tuple[Path, Path]


def test_the_screen_the_file_and_the_page(runs: Runs, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def never(*arguments: Any) -> None:
        raise AssertionError

    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(loop, "fit", never)
    monkeypatch.setattr(concluding, "predict", never)
    assert main(["compare", "one", "other", "--json", "figures.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    results = json.loads(Path("figures.json").read_text())
    assert results == json.loads(json.dumps(compare(runs).results))
    tables = lines[: lines.index(comparison_notes(results)[0])]
    assert max(map(len, tables)) <= 80
    assert "…" not in "".join(tables)
    rows = [line.split() for line in tables]
    assert ["objective.name", "A", "kd"] in rows
    assert ["B", "dkd"] in rows
    (found,) = (each for each in results["differences"] if each["role"] == "distilled")
    shown = [f"{100 * found[name]:{sign}.2f}" for name, sign in (("mean", "+"), ("ci95", ""), ("sample_ci95", ""))]
    assert ["distilled", "B", shown[0], "±", shown[1], "±", shown[2], "2,", "paired"] in rows
    accuracy = results["accuracy"]["few"]["teacher"]["A"]["mean"]
    assert any(row[:2] == ["A", f"{100 * accuracy:.2f}"] for row in rows)
    assert lines[-1] == "The page: compare.html"
    page = Path("compare.html").read_text()
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    for said in (
        shown[0].replace("-", "\N{MINUS SIGN}"),
        "objective.beta",
        "not corrected for their number",
        "<svg",
        'role="img"',
    ):
        assert said in page
    assert main(["compare", "other", "one", "--quiet"]) == 0  # over the page of before


def test_a_dozen_runs_are_readable_on_80_columns(runs: Runs, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    names = ["one"]
    for number in range(11):
        names.append(f"a folder with quite a long name, number {number}")
        shutil.copytree("other", names[-1])
    assert main(["compare", *names, "--out", "none"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert not Path("compare.html").exists()
    end = next(place for place, line in enumerate(lines) if line.startswith("On few, distilled student"))
    assert max(map(len, lines[:end])) <= 80
    assert ["objective.beta", *"BCDEFGHIJKL", "2"] in [line.split() for line in lines]
    assert "44 differences" in "\n".join(lines)


def test_the_page_escapes_what_it_is_given_and_is_the_same_again(runs: Runs) -> None:
    shutil.copytree("other", "<script>alert(1)<-script>")
    results = compare(["one", "<script>alert(1)<-script>"]).results
    pages = [write_comparison(results, Path(name)).read_bytes() for name in ("1.html", "2.html")]
    assert pages[0].replace(b"1-", b"2-") == pages[1].replace(b"1-", b"2-")
    assert b"<script>alert" not in pages[0]
    assert b"&lt;script&gt;alert" in pages[0]


def test_a_file_that_is_no_page_is_left_alone(runs: Runs, fails: Callable[..., str]) -> None:
    Path("compare.html").write_text("my thesis")
    assert fails("compare", "one", "other") == (
        "error: --out compare.html: that file is there, and is no comparison of limbeck. Give another name.\n"
    )
    assert Path("compare.html").read_text() == "my thesis"
    assert fails("compare", "one", "other", "--out", "one") == (
        "error: --out one: this is a folder. Type --out one/compare.html\n"
    )
    assert "one with what?" in fails("compare", "one", "--out", "x.html")
