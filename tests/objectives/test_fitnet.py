"""The hint loss against values worked out by hand, and its properties."""

from __future__ import annotations

from typing import Literal, get_args

import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives.fitnet import fitnet_loss

Form = Literal["released", "paper"]
FORMS = get_args(Form)


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("form", "by_hand"), [("released", (1 + 4 + 9 + 0) / 4), ("paper", ((1 + 4) + (9 + 0)) / 2 / 2)]
)
def test_by_hand(form: Form, by_hand: float) -> None:
    student, teacher = torch.tensor([[1.0, 2.0], [-3.0, 5.0]]), torch.tensor([[0.0, 4.0], [0.0, 5.0]])
    loss = fitnet_loss(student, teacher, form)
    assert loss.shape == ()
    assert float(loss) == by_hand


def test_the_default_is_the_released_form() -> None:
    assert torch.equal(
        fitnet_loss(maps(2, 3), maps(2, 3, seed=1)), fitnet_loss(maps(2, 3), maps(2, 3, seed=1), "released")
    )


@pytest.mark.parametrize("shape", [(4, 3, 5, 5), (4, 7, 6), (4, 9)])
def test_maps_tokens_and_vectors(shape: tuple[int, ...]) -> None:
    student, teacher = maps(*shape), maps(*shape, seed=1)
    elements = student[0].numel()
    squares = sum((a - b) ** 2 for a, b in zip(student.flatten().tolist(), teacher.flatten().tolist(), strict=True))
    assert float(fitnet_loss(student, teacher)) == pytest.approx(squares / (4 * elements), rel=1e-5)
    assert float(fitnet_loss(student, teacher, "paper")) == pytest.approx(squares / 4 / 2, rel=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_zero_at_equal_features_only(form: Form) -> None:
    student = maps(2, 3, 4, 4)
    assert float(fitnet_loss(student, student.clone(), form)) == 0
    assert float(fitnet_loss(student, -student, form)) > 0.1


@pytest.mark.parametrize("form", FORMS)
def test_it_does_not_depend_on_the_size_of_the_batch(form: Form) -> None:
    student, teacher = maps(2, 3, 4, 4), maps(2, 3, 4, 4, seed=1)
    more = fitnet_loss(student.repeat(3, 1, 1, 1), teacher.repeat(3, 1, 1, 1), form)
    torch.testing.assert_close(more, fitnet_loss(student, teacher, form))


@pytest.mark.parametrize("form", FORMS)
def test_the_gradient_goes_to_the_student_alone(form: Form) -> None:
    student, teacher = maps(2, 3, 4, 4).requires_grad_(), maps(2, 3, 4, 4, seed=1).requires_grad_()
    fitnet_loss(student, teacher, form).backward()
    share = 2 / student.numel() if form == "released" else 1 / len(student)
    assert teacher.grad is None
    torch.testing.assert_close(student.grad, share * (student - teacher).detach())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (2, 3, 4, 4)])
@pytest.mark.parametrize("size", [0.0, 1e4])
def test_finite_at_the_extremes(form: Form, shape: tuple[int, ...], size: float) -> None:
    student = torch.full(shape, size, requires_grad=True)
    loss = fitnet_loss(student, torch.full(shape, -size), form)
    loss.backward()
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(form: Form, dtype: torch.dtype) -> None:
    student, teacher = maps(2, 8, 4, 4).to(dtype), maps(2, 8, 4, 4, seed=1).to(dtype)
    loss = fitnet_loss(student, teacher, form)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, fitnet_loss(student.float(), teacher.float(), form))


def test_it_compiles_in_one_graph() -> None:
    student, teacher = maps(2, 3, 4, 4), maps(2, 3, 4, 4, seed=1)
    compiled = torch.compile(fitnet_loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(student, teacher), fitnet_loss(student, teacher))


@pytest.mark.parametrize("shape", [(2, 4, 4, 4), (1, 3, 4, 4), (2, 3, 1, 1), (2, 48)])
def test_shapes_that_differ(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        LimbeckError, match=r"student features \(2, 3, 4, 4\) and teacher features \(.*\) differ in shape"
    ):
        fitnet_loss(maps(2, 3, 4, 4), maps(*shape))
