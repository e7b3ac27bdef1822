"""Pictures in files, made for a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limbeck.console import Console

Maker = Callable[..., Path]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, and a working folder."""
    monkeypatch.setenv("LIMBECK_DATA", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "cache"


@pytest.fixture
def quiet() -> Console:
    return Console(quiet=True)


@pytest.fixture
def picture() -> Maker:
    """Writes one picture of random pixels; the same number gives the same pixels."""

    def write(path: str | Path, number: int = 0, width: int = 9, height: int = 7) -> Path:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return write


@pytest.fixture
def flowers(picture: Maker) -> Path:
    """A folder with ten roses and ten tulips of different sizes, in two depths."""
    for number in range(20):
        kind = ("rose", "tulip")[number % 2]
        below = "red" if number % 3 else ""
        picture(Path("flowers") / kind / below / f"{number}.png", number, 8 + number, 12)
    return Path("flowers")
