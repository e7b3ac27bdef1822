"""Names that are limbeck's own: other tests, before these in the same process, write objectives and optimizers."""

from __future__ import annotations

from typing import Any

import pytest

from limbeck.own import is_own
from limbeck.spec import Family


@pytest.fixture(autouse=True)
def nobodys_own(monkeypatch: pytest.MonkeyPatch) -> None:
    members = Family.members.__func__  # type: ignore[attr-defined]

    def ours(cls: type[Family], before: type[Family] | None = None) -> dict[str, Any]:
        return {name: kind for name, kind in members(cls, before).items() if not is_own(kind)}

    monkeypatch.setattr(Family, "members", classmethod(ours))
