"""The notebook runs from top to bottom, and what is kept in it are the results of such a run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pages import ROOT

NOTEBOOK = ROOT / "docs" / "lab3.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]


def test_it_runs(reader: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import matplotlib.pyplot as plt

    drawn: list[int] = []

    def show() -> None:
        drawn.append(len(plt.gcf().axes))
        plt.close("all")

    plt.switch_backend("agg")
    monkeypatch.setattr(plt, "show", show)
    names: dict[str, Any] = {}
    for number, cell in enumerate(CODE):
        exec(compile("".join(cell["source"]), f"lab3.ipynb, code cell {number + 1}", "exec"), names)
        if number == 0:
            names |= {"WIDTH": 0.0625, "EPOCHS": 1, "SEEDS": (0, 1)}
    said = capsys.readouterr().out
    assert drawn == [10, 16, 1, 6, 1]
    assert "softmax" in said
    assert names["result"].results["summary"]["cifar10_1"]["accuracy"]["gain"]["n"] == 2


def test_every_mistake_of_the_lab_is_named() -> None:
    text = "".join("".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "markdown")
    assert sorted(re.findall(r"\*\*mistake (\d)\*\*", text)) == list("12345678")


def test_what_is_kept_in_it_was_run_in_order_and_says_nothing_of_a_machine() -> None:
    assert [cell["execution_count"] for cell in CODE] == list(range(1, len(CODE) + 1))
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text) < 400_000
    assert not re.search(r"/(home|root|opt|tmp|work|usr)/", text)
    assert all(output["output_type"] != "error" for cell in CODE for output in cell["outputs"])
    assert all(output.get("name") != "stderr" for cell in CODE for output in cell["outputs"])
    assert "images/s" not in text
