"""Two small runs for all tests of this folder, made once; they differ in the objective."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest

from limbeck import start
from limbeck.console import Console
from limbeck.objectives import DKD
from limbeck.recipes import Recipe


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shelf")


@pytest.fixture
def runs(tiny: Recipe, shelf: Path) -> tuple[Path, Path]:
    """The folders `one` and `other` where the test works: copies that it may harm."""
    quiet = Console(quiet=True, file=io.StringIO())
    for name, recipe in {"one": tiny, "other": tiny.with_(objective=DKD(beta=2))}.items():
        if not (shelf / name).exists():
            start.run(recipe, shelf / name, console=quiet)
        shutil.copytree(shelf / name, name)
    return Path("one"), Path("other")
