"""Who counts what a teacher is asked."""

from __future__ import annotations

import pytest
from torch import Tensor

from limbeck.objectives import Outputs
from limbeck.teachers import LiveTeacher


@pytest.fixture
def views_asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many views teachers were asked about, each time that they were."""
    sizes: list[int] = []
    answer = LiveTeacher.outputs

    def counting(teacher: LiveTeacher, index: Tensor, views: Tensor, epoch: int) -> Outputs:
        sizes.append(len(index))
        return answer(teacher, index, views, epoch)

    monkeypatch.setattr(LiveTeacher, "outputs", counting)
    return sizes
