"""A tracker that remembers what it was told, and may be told to fail."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from limbeck.trackers import TRACKERS, Run, Tracker


class Diary(Tracker):
    """What was told, over all starts; `fails` is called with each stage and epoch before it is written down."""

    pages: list[Any]
    fails: Callable[[str, int], None]
    lost: dict[str, int]

    def start(self, run: Run) -> str | None:
        self.pages.append(("start", run.id))
        self.fails("start", 0)
        return None

    def has(self, stage: str, told: int) -> int:
        return self.lost.get(stage, told)

    def log(self, stage: str, epoch: int, figures: Mapping[str, float]) -> None:
        self.fails(stage, epoch)
        self.pages.append((stage, epoch, dict(figures)))

    def result(self, figures: Mapping[str, float]) -> None:
        self.pages.append(("result", dict(figures)))

    def artifact(self, path: Path) -> None:
        self.pages.append(("artifact", path.name))

    def close(self, finished: bool) -> None:
        self.pages.append(("close", finished))

    @classmethod
    def epochs(cls, stage: str) -> list[int]:
        return [page[1] for page in cls.pages if page[0] == stage]


def known(monkeypatch: pytest.MonkeyPatch, name: str) -> type[Diary]:
    """A tracker that is known by that name while a test runs."""
    kind = type("Written", (Diary,), {"pages": [], "fails": lambda self, stage, epoch: None, "lost": {}})
    module = ModuleType(name)
    module.Written = kind  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, f"limbeck.trackers.{name}", module)
    monkeypatch.setitem(TRACKERS, name, "Written")
    return kind
