"""The squared distance of logits against values worked out by hand, and its properties."""

from __future__ import annotations

from typing import Literal, get_args

import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
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


def test_the_default_is_the_mean() -> None:
    student, teacher = logits(4, 5), logits(4, 5, seed=1)
    assert torch.equal(logit_mse_loss(student, teacher), logit_mse_loss(student, teacher, "mean"))


@pytest.mark.parametrize("form", FORMS)
def test_zero_at_equal_logits_only(form: Form) -> None:
    student = logits(4, 5)
    assert logit_mse_loss(student, student.clone(), form) == 0
    assert logit_mse_loss(student, student + 1, form).item() == pytest.approx(1 if form == "mean" else 2.5, rel=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_it_does_not_depend_on_the_size_of_the_batch(form: Form) -> None:
    student, teacher = logits(4, 5), logits(4, 5, seed=1)
    once = logit_mse_loss(student, teacher, form)
    torch.testing.assert_close(logit_mse_loss(student.repeat(3, 1), teacher.repeat(3, 1), form), once)


@pytest.mark.parametrize(("form", "scale"), [("mean", 2 / 20), ("paper", 1 / 4)])
def test_the_gradient_is_the_difference_and_none_reaches_the_teacher(form: Form, scale: float) -> None:
    student, teacher = logits(4, 5).requires_grad_(), logits(4, 5, seed=1).requires_grad_()
    logit_mse_loss(student, teacher, form).backward()
    torch.testing.assert_close(student.grad, scale * (student - teacher).detach())
    assert teacher.grad is None


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_computed_in_float32(form: Form, dtype: torch.dtype) -> None:
    student, teacher = logits(8, 100).to(dtype), logits(8, 100, seed=1).to(dtype)
    loss = logit_mse_loss(student, teacher, form)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, logit_mse_loss(student.float(), teacher.float(), form))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_hard_inputs_stay_finite(form: Form, dtype: torch.dtype) -> None:
    student = torch.tensor([[1e4, -1e4, 0.0], [0.0, 0.0, 0.0]], dtype=dtype, requires_grad=True)
    loss = logit_mse_loss(student, -student, form)
    loss.backward()
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_it_compiles_and_leaves_its_inputs_alone() -> None:
    student, teacher = logits(1, 5), logits(1, 5, seed=1)
    compiled = torch.compile(logit_mse_loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(student, teacher), logit_mse_loss(student, teacher))
    assert torch.equal(student, logits(1, 5))
    assert torch.equal(teacher, logits(1, 5, seed=1))


def test_shapes_that_differ() -> None:
    with pytest.raises(LimbeckError, match=r"student logits \(2, 3\) and teacher logits \(2, 1\) differ in shape\."):
        logit_mse_loss(logits(2, 3), logits(2, 1))
