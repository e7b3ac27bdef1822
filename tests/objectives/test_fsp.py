"""The FSP loss against matrices worked out by hand, and its properties."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives.fsp import fsp_loss, fsp_matrix

Form = Literal["released", "paper"]
FORMS = get_args(Form)


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def stages(batch: int = 2, seed: int = 0, size: int = 4) -> tuple[Tensor, Tensor]:
    return maps(batch, 3, size, size, seed=seed), maps(batch, 5, size // 2, size // 2, seed=seed + 10)


def repeated(pair: tuple[Tensor, Tensor], times: int) -> tuple[Tensor, Tensor]:
    return pair[0].repeat(times, 1, 1, 1), pair[1].repeat(times, 1, 1, 1)


@pytest.mark.parametrize(("form", "share"), [("released", 1 / 2), ("paper", 1)])
def test_by_hand(form: Form, share: float) -> None:
    # one earlier channel (1, 2), two later ones (3, 4) and (5, 6): (3 + 8) / 2 and (5 + 12) / 2; the teacher's: 0 and 0
    student = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[3.0, 4.0]], [[5.0, 6.0]]]])
    teacher = torch.zeros(1, 1, 1, 2), torch.ones(1, 2, 1, 2)
    torch.testing.assert_close(fsp_matrix(*student), torch.tensor([[[5.5, 8.5]]]))
    loss = fsp_loss(student, teacher, form)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(share * (5.5**2 + 8.5**2), rel=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_against_a_loop_over_channels(form: Form) -> None:
    student, teacher = (
        (maps(2, 3, 4, 2), maps(2, 5, 4, 2, seed=1)),
        (maps(2, 3, 4, 2, seed=2), maps(2, 5, 4, 2, seed=3)),
    )
    total = 0.0
    for picture in range(2):
        for one in range(3):
            for other in range(5):
                ours, theirs = (
                    np.mean(earlier[picture, one].double().numpy() * later[picture, other].double().numpy())
                    for earlier, later in (student, teacher)
                )
                total += (ours - theirs) ** 2
    expected = total / (2 * 3 * 5) if form == "released" else total / 2
    assert float(fsp_loss(student, teacher, form)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("larger", [0, 1])
def test_the_larger_stage_is_averaged_to_the_smaller(larger: int) -> None:
    large, small = maps(2, 3, 4, 6), maps(2, 3, 2, 3, seed=1)
    averaged = large.reshape(2, 3, 2, 2, 3, 2).mean((3, 5))
    given = (large, small) if larger == 0 else (small, large)
    expected = (averaged, small) if larger == 0 else (small, averaged)
    torch.testing.assert_close(fsp_matrix(*given), fsp_matrix(*expected))


def test_the_default_is_the_released_form() -> None:
    assert torch.equal(fsp_loss(stages(), stages(seed=1)), fsp_loss(stages(), stages(seed=1), "released"))


def test_the_matrix_does_not_depend_on_the_number_of_pixels() -> None:
    earlier, later = maps(2, 3, 4, 4), maps(2, 5, 4, 4, seed=1)
    wide = fsp_matrix(earlier.repeat(1, 1, 2, 3), later.repeat(1, 1, 2, 3))
    torch.testing.assert_close(wide, fsp_matrix(earlier, later))


@pytest.mark.parametrize("form", FORMS)
def test_what_it_does_not_depend_on(form: Form) -> None:
    student, teacher = stages(), stages(seed=1)
    loss = fsp_loss(student, teacher, form)
    torch.testing.assert_close(fsp_loss(repeated(student, 3), repeated(teacher, 3), form), loss)
    turned = student[0].flip(3), student[1].flip(3)  # each product is averaged over the pixels, wherever they are
    torch.testing.assert_close(fsp_loss(turned, teacher, form), loss)
    assert fsp_loss(stages(size=8), teacher, form).isfinite()


@pytest.mark.parametrize("form", FORMS)
def test_zero_at_equal_stages_and_positive_elsewhere(form: Form) -> None:
    student = stages()
    assert float(fsp_loss(student, (student[0].clone(), student[1].clone()), form)) == 0
    assert float(fsp_loss(student, (student[0], -student[1]), form)) > 0.1
    assert float(fsp_loss(student, (student[0].flip(1), student[1]), form)) > 0.01


def test_no_gradient_reaches_the_teacher() -> None:
    student, teacher = stages(), stages(seed=1)
    for tensor in (*student, *teacher):
        tensor.requires_grad_()
    fsp_loss(student, teacher).backward()
    assert all(tensor.grad is None for tensor in teacher)
    assert all(tensor.grad is not None and tensor.grad.any() for tensor in student)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (2, 3, 4, 4)])
@pytest.mark.parametrize("size", [0.0, 1e4])
def test_finite_at_the_extremes(form: Form, shape: tuple[int, ...], size: float) -> None:
    student = torch.full(shape, size, requires_grad=True)
    loss = fsp_loss((student, student), (torch.full(shape, -size), torch.full(shape, size)), form)
    loss.backward()
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    student, teacher = ([stage.to(dtype) for stage in stages(seed=seed)] for seed in (0, 1))
    loss = fsp_loss((student[0], student[1]), (teacher[0], teacher[1]))
    expected = fsp_loss((student[0].float(), student[1].float()), (teacher[0].float(), teacher[1].float()))
    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected)


def test_automatic_mixed_precision_changes_nothing() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = fsp_loss(stages(), stages(seed=1))
    assert torch.equal(loss, fsp_loss(stages(), stages(seed=1)))


def test_it_compiles_in_one_graph() -> None:
    compiled = torch.compile(fsp_loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(stages(), stages(seed=1)), fsp_loss(stages(), stages(seed=1)))


def test_channels_that_differ() -> None:
    with pytest.raises(
        LimbeckError, match=r"student FSP matrices .* \(2, 3, 5\) and teacher .* \(2, 4, 5\) differ in shape"
    ):
        fsp_loss(stages(), (maps(2, 4, 4, 4), maps(2, 5, 2, 2)))


@pytest.mark.parametrize("later", [(1, 5, 4, 4), (2, 5), (2, 5, 16)])
def test_stages_that_do_not_fit(later: tuple[int, ...]) -> None:
    with pytest.raises(LimbeckError, match=r"stages \(2, 3, 4, 4\) and \(.*\) do not fit.*of the same pictures"):
        fsp_matrix(maps(2, 3, 4, 4), maps(*later))
