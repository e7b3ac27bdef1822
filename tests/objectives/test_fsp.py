"""The FSP loss against matrices worked out by hand, and its properties."""

from __future__ import annotations

from typing import Literal, get_args

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


@pytest.mark.parametrize("larger", [0, 1])
def test_the_larger_stage_is_averaged_to_the_smaller(larger: int) -> None:
    large, small = maps(2, 3, 4, 6), maps(2, 3, 2, 3, seed=1)
    averaged = large.reshape(2, 3, 2, 2, 3, 2).mean((3, 5))
    given = (large, small) if larger == 0 else (small, large)
    expected = (averaged, small) if larger == 0 else (small, averaged)
    torch.testing.assert_close(fsp_matrix(*given), fsp_matrix(*expected))


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


def test_channels_that_differ() -> None:
    with pytest.raises(
        LimbeckError, match=r"student FSP matrices .* \(2, 3, 5\) and teacher .* \(2, 4, 5\) differ in shape"
    ):
        fsp_loss(stages(), (maps(2, 4, 4, 4), maps(2, 5, 2, 2)))


@pytest.mark.parametrize("later", [(1, 5, 4, 4), (2, 5), (2, 5, 16)])
def test_stages_that_do_not_fit(later: tuple[int, ...]) -> None:
    with pytest.raises(LimbeckError, match=r"stages \(2, 3, 4, 4\) and \(.*\) do not fit.*of the same pictures"):
        fsp_matrix(maps(2, 3, 4, 4), maps(*later))
