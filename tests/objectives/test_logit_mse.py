"""The squared distance of logits against values worked out by hand, and its properties."""

from __future__ import annotations

from typing import Literal, get_args

import pytest
import torch
from torch import Tensor

from limbeck.objectives.logit_mse import logit_mse_loss

Form = Literal["mean", "paper"]
FORMS = get_args(Form)


def logits(*shape: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("form", "expected"), [("mean", 29 / 6), ("paper", 29 / 4)])
def test_by_hand(form: Form, expected: float) -> None:
    # differences 1, 2, 0 and 2, 4, 2: squares 5 and 24
    student = torch.tensor([[1.0, 2.0, 0.0], [3.0, 5.0, 1.0]])
    teacher = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, -1.0]])
    loss = logit_mse_loss(student, teacher, form)
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_zero_at_equal_logits_only(form: Form) -> None:
    student = logits(4, 5)
    assert logit_mse_loss(student, student.clone(), form) == 0
    assert logit_mse_loss(student, student + 1, form).item() == pytest.approx(1 if form == "mean" else 2.5, rel=1e-5)
