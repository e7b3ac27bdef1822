"""One made-up run with everything in it, on the digits test pictures; and its page."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from made_up import run

from limbeck.data import Dataset, digits
from limbeck.report.page import write_page


@pytest.fixture(scope="session")
def digits_test() -> Dataset:
    return digits.read(Path(), "test")


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory: pytest.TempPathFactory, digits_test: Dataset) -> Path:
    """The folder of a run with every role, three seeds, cost, corruptions and pictures; its page is made."""
    path = run(tmp_path_factory.mktemp("runs") / "whole", digits_test.labels, digits_test.classes)
    write_page(path)
    return path


@pytest.fixture(scope="session")
def poor_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One seed, no teacher, nothing held out, no cost, no pictures, names that are HTML; its page is made."""
    labels = torch.randint(0, 4, (80,), generator=torch.Generator().manual_seed(0))
    path = run(
        tmp_path_factory.mktemp("runs") / "<b>poor",
        *(labels, ("<script>alert(1)</script>", "a&b $\\frac{1 猫", "</style> #1b1f24", '"><img src=x>')),
        dataset="<i>mine",
        roles=("alone", "distilled"),
        seeds=(7,),
        holdout=0,
        cost=False,
        corruptions=False,
        recipe={"name": "<u>poor", "teacher": None, "data": {"name": "<i>mine", "tests": []}},
    )
    write_page(path)
    return path
