"""The activation boundaries' hinge against values worked out by hand, and its properties."""

from __future__ import annotations

from typing import Literal, get_args

import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives.ab import ab_loss

Form = Literal["released", "paper"]
FORMS = get_args(Form)


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def by_hand(student: Tensor, teacher: Tensor, margin: float) -> float:
    total = 0.0
    for ours, theirs in zip(student.flatten().tolist(), teacher.flatten().tolist(), strict=True):
        short = margin - ours if theirs > 0 else margin + ours
        total += short**2 if short > 0 else 0.0
    return total / len(student)


@pytest.mark.parametrize(
    ("student", "teacher", "cost"),
    [
        (0.5, 3.0, 0.25),  # on in both, half a margin short
        (2.0, 3.0, 0.0),  # on in both, beyond the margin
        (-2.0, 3.0, 9.0),  # off where the teacher is on: squared, not 3
        (0.5, -3.0, 2.25),  # on where the teacher is off
        (-2.0, -3.0, 0.0),  # off in both
        (0.5, 0.0, 2.25),  # 0 is off
    ],
)
def test_one_neuron(student: float, teacher: float, cost: float) -> None:
    pair = torch.tensor([[student]]), torch.tensor([[teacher]])
    assert float(ab_loss(*pair, form="paper")) == pytest.approx(cost, rel=1e-6)
    assert float(ab_loss(*pair)) == pytest.approx(cost * 3 / 1000, rel=1e-6)


@pytest.mark.parametrize("shape", [(4, 3, 5, 5), (4, 7, 6), (4, 9)])
@pytest.mark.parametrize("margin", [0.3, 1.0, 2.0])
def test_the_sum_of_each_picture_averaged_over_the_batch(shape: tuple[int, ...], margin: float) -> None:
    student, teacher = maps(*shape), maps(*shape, seed=1)
    expected = by_hand(student, teacher, margin)
    assert float(ab_loss(student, teacher, margin, form="paper")) == pytest.approx(expected, rel=1e-5)
    assert float(ab_loss(student, teacher, margin)) == pytest.approx(0.003 * expected, rel=1e-5)


def test_each_layer_counts_half_as_much_as_the_next() -> None:
    student, teacher = maps(2, 3, 4, 4), maps(2, 3, 4, 4, seed=1)
    for later in range(4):
        weighted = ab_loss(student, teacher, later_layers=later)
        torch.testing.assert_close(2.0**later * weighted, ab_loss(student, teacher))


@pytest.mark.parametrize("form", FORMS)
def test_what_it_does_not_depend_on(form: Form) -> None:
    student, teacher = maps(2, 3, 4, 4), maps(2, 3, 4, 4, seed=1)
    loss = ab_loss(student, teacher, form=form)
    torch.testing.assert_close(ab_loss(student, 100 * teacher, form=form), loss)
    torch.testing.assert_close(ab_loss(student, teacher.sign(), form=form), loss)
    torch.testing.assert_close(ab_loss(-student, -teacher, form=form), loss)
    torch.testing.assert_close(
        ab_loss(student.repeat(3, 1, 1, 1), teacher.repeat(3, 1, 1, 1), form=form), loss, rtol=1e-5, atol=0
    )


def test_zero_beyond_the_margin_on_the_teachers_side() -> None:
    teacher = maps(2, 3, 4, 4)
    assert float(ab_loss(1.01 * teacher.sign(), teacher)) == 0
    assert float(ab_loss(0.99 * teacher.sign(), teacher)) > 0
    assert float(ab_loss(1.01 * teacher.sign(), teacher, margin=2)) > 0


def test_the_gradient_goes_to_the_student_alone() -> None:
    student, teacher = torch.tensor([[0.5, 2.0, 0.5]], requires_grad=True), torch.tensor([[3.0, 3.0, -3.0]])
    teacher.requires_grad_()
    ab_loss(student, teacher, form="paper").backward()
    assert teacher.grad is None
    torch.testing.assert_close(student.grad, torch.tensor([[-1.0, 0.0, 3.0]]))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (2, 3, 4, 4)])
@pytest.mark.parametrize(("ours", "theirs"), [(0.0, 0.0), (1e4, -1e4), (-1e4, 1e4)])
def test_finite_at_the_extremes(form: Form, shape: tuple[int, ...], ours: float, theirs: float) -> None:
    student = torch.full(shape, ours, requires_grad=True)
    loss = ab_loss(student, torch.full(shape, theirs), form=form)
    loss.backward()
    assert loss.isfinite()
    assert loss > 0
    assert student.grad is not None
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    student, teacher = maps(2, 8, 4, 4).to(dtype), maps(2, 8, 4, 4, seed=1).to(dtype)
    loss = ab_loss(student, teacher)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, ab_loss(student.float(), teacher.float()))


def test_it_compiles_in_one_graph() -> None:
    student, teacher = maps(2, 3, 4, 4), maps(2, 3, 4, 4, seed=1)
    compiled = torch.compile(ab_loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(student, teacher), ab_loss(student, teacher))


@pytest.mark.parametrize("margin", [0, -1.0, float("nan")])
def test_an_impossible_margin(margin: float) -> None:
    with pytest.raises(LimbeckError, match=rf"^margin = {margin} is not possible: it must be above 0\. Try 1\.$"):
        ab_loss(maps(2, 3), maps(2, 3), margin)


@pytest.mark.parametrize("shape", [(2, 4, 4, 4), (1, 3, 4, 4), (2, 48)])
def test_shapes_that_differ(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        LimbeckError, match=r"student activations \(2, 3, 4, 4\) and teacher activations .* differ in shape"
    ):
        ab_loss(maps(2, 3, 4, 4), maps(*shape))
