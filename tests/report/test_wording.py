"""Numbers and values as a person reads them, one way on the screen and on the page."""

from __future__ import annotations

from limbeck.report.wording import count, listed, said


def test_counts() -> None:
    numbers = (0, 999, 999.6, 967_400, 999_600, 57_000_000, 99_960_000, 128_000_000, 1.3e9)
    expected = ["0", "999", "1 k", "967 k", "1.0 M", "57.0 M", "100 M", "128 M", "1.3 G"]
    assert [count(number) for number in numbers] == expected


def test_lists() -> None:
    assert [listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


def test_values() -> None:
    assert [said(value) for value in (True, None, 0.10000001, [0, 1], [], "x")] == [
        *("yes", "none", "0.1", "0 1", "none", "x")
    ]
    assert said({"name": "kd", "temperature": 4.0, "weight": None}) == "kd (temperature 4)"
    assert said({"name": "nin", "width": 0.5, "weights": "a.pt"}) == "nin x0.5 (weights a.pt)"
