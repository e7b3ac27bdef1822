"""The benchmarks are scripts: a test imports one by putting their folder on the path."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    """Imports a script of the benchmarks by name."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module
