"""The hint loss against values worked out by hand, and its properties."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from limbeck.objectives.fitnet import fitnet_loss

Form = Literal["released", "paper"]


@pytest.mark.parametrize(
    ("form", "by_hand"), [("released", (1 + 4 + 9 + 0) / 4), ("paper", ((1 + 4) + (9 + 0)) / 2 / 2)]
)
def test_by_hand(form: Form, by_hand: float) -> None:
    student, teacher = torch.tensor([[1.0, 2.0], [-3.0, 5.0]]), torch.tensor([[0.0, 4.0], [0.0, 5.0]])
    loss = fitnet_loss(student, teacher, form)
    assert loss.shape == ()
    assert float(loss) == by_hand
