"""What every objective has: named parts, their total, and a module for the training."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from limbeck.objectives import Batch, Objective, Outputs, total

NOW = torch.tensor(0.0)


class Squares(Objective):
    """A method of one's own."""

    name: str = "squares"
    power: int = 2

    def forward(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        return {"near": student.logits.pow(self.power).mean(), "tap": student.taps["stage2"].sum()}


def batch(size: int) -> Batch:
    labels = torch.zeros(size, dtype=torch.int64)
    return Batch(torch.arange(size), torch.zeros(size, 3, 2, 2), labels, step=NOW, epoch=NOW, progress=NOW)


def test_the_total_is_the_sum_of_the_parts() -> None:
    parts = {name: torch.tensor(value, requires_grad=True) for name, value in {"a": 1.5, "b": 0.25, "c": -1.0}.items()}
    assert total(parts).item() == 0.75
    total(parts).backward()
    assert [float(part.grad) for part in parts.values() if part.grad is not None] == [1, 1, 1]
    assert float(total({"only": torch.tensor(3.0)})) == 3


def test_a_method_of_ones_own_needs_one_function() -> None:
    module = Squares(power=4).build()
    student = Outputs(torch.full((2, 3), 2.0), {"stage2": torch.ones(2, 5)})
    assert {name: float(part) for name, part in module(student, None, batch(2)).items()} == {"near": 16, "tap": 10}
    assert not Squares().needs_teacher


def test_what_learns_nothing_has_no_state() -> None:
    module = Squares().build()
    assert list(module.parameters()) == []
    assert module.state_dict() == {}


def test_the_base_has_no_loss() -> None:
    class Unfinished(Objective):
        name: str = "unfinished"

    with pytest.raises(NotImplementedError):
        Unfinished().forward(Outputs(torch.zeros(1, 2)), None, batch(1))


def test_taps_are_not_shared() -> None:
    first, second = Outputs(torch.zeros(1)), Outputs(torch.zeros(1))
    first.taps["stage2"] = torch.zeros(1)
    assert second.taps == {}


def test_pictures_are_not_mixed_unless_it_is_said() -> None:
    assert batch(1).mixed is None
