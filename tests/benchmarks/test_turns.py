"""The referee: order of the turns, what is reported, what happens when a contender fails."""

from __future__ import annotations

import importlib

import pytest

from limbeck.console import Console
from limbeck.errors import LimbeckError

CONTENDERS = """
def steady(turns):
    for number in range(3):
        turns.take()
        turns.stop()
        turns._seconds = 2.0
        turns.give(10 * number)

def failing(turns):
    turns.take()
    raise SystemExit("out of breath")
"""


@pytest.fixture
def contenders(monkeypatch, tmp_path):
    """A module that the contenders' processes can import, too."""
    (tmp_path / "made_up_contenders.py").write_text(CONTENDERS)
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module("made_up_contenders")


def test_the_first_turn_warms_up_and_is_not_counted(script, contenders):
    seen = []
    players = {"a": contenders.steady, "b": contenders.steady}
    speeds = script("turns").referee(players, 2, Console(quiet=True), lambda: seen.append(len(seen)))
    assert speeds == {"a": [5.0, 10.0], "b": [5.0, 10.0]}
    assert seen == [0, 1, 2]


def test_a_contender_that_ends_is_named(script, contenders, capfd):
    with pytest.raises(LimbeckError, match="contender 'b' has stopped"):
        script("turns").referee({"a": contenders.steady, "b": contenders.failing}, 2, Console(quiet=True))
    assert "out of breath" in capfd.readouterr().err
