"""The pictures that are made for measuring streams are of all kinds, and the measurement finds them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image


def test_the_pictures_are_of_many_kinds_and_the_same_every_time(script) -> None:
    streaming = script("streaming")
    kinds, widths = set(), set()
    for number in range(40):
        suffix, content = streaming.picture(number)
        assert streaming.picture(number) == (suffix, content)
        with Image.open(io.BytesIO(content)) as opened:
            kinds.add((opened.format, opened.mode))
            widths.add(opened.width)
    assert {("JPEG", "RGB"), ("PNG", "L"), ("PNG", "RGBA"), ("PNG", "I;16"), ("WEBP", "RGB")} <= kinds
    assert min(widths) < 100 < 400 < max(widths) <= 640


def test_it_is_measured(script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    streaming = script("streaming")
    monkeypatch.setenv("LIMBECK_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(streaming, "_BROKEN_ONE_IN", 20)
    monkeypatch.setattr(streaming, "_ASKED_AT_ONCE", 50)
    assert streaming.make(tmp_path / "many", 60) == 3
    out = tmp_path / "found.json"
    setting = '{"pictures": 60, "side": 8, "batch_size": 20, "chunk": 1}'
    streaming.alone(str(tmp_path / "many"), setting, str(out))
    found = streaming.files.read_json(out)
    assert found["pictures"] == 57
    assert found["broken"].startswith("3 broken files are left out (3 of train): class0/000010.")
    assert found["memory"]["models"] <= found["memory"]["peak"]
    assert found["beyond_the_models"] == found["memory"]["peak"] - found["memory"]["models"]
