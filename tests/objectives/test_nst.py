"""Neuron selectivity transfer against loops over channels, and its invariances."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives.nst import nst_loss


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_by_hand() -> None:
    # The student's channels, to length 1: (1, 0) and (.6, .8); the teacher's: (0, 1).
    # k(t, t) = 1; k(s, s): 1, .36, .36, 1, mean .68; k(s, t): 0 and .64, mean .32.
    student, teacher = torch.tensor([[[[5.0, 0.0]], [[-3.0, -4.0]]]]), torch.tensor([[[[0.0, 7.0]]]])
    loss = nst_loss(student, teacher)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(1 + 0.68 - 2 * 0.32, rel=1e-6)


def kernel(one: np.ndarray, other: np.ndarray) -> float:
    cosine = float(one @ other) / math.sqrt(float(one @ one) * float(other @ other))
    return cosine**2


@pytest.mark.parametrize(
    ("channels", "others", "size"),
    [(3, 2, (3, 3)), (8, 9, (2, 2)), (12, 3, (2, 2)), (3, 5, (1, 4)), (5, 6, (5, 1))],
    ids=["more pixels", "more channels", "more of the student's", "row", "as many"],
)
def test_against_a_loop_over_channels(channels: int, others: int, size: tuple[int, int]) -> None:
    student, teacher = maps(2, channels, *size), maps(2, others, *size, seed=1)
    total = 0.0
    for ours, theirs in zip(student.double().flatten(2).numpy(), teacher.double().flatten(2).numpy(), strict=True):
        total += np.mean([kernel(a, b) for a in theirs for b in theirs])
        total += np.mean([kernel(a, b) for a in ours for b in ours])
        total -= 2 * np.mean([kernel(a, b) for a in ours for b in theirs])
    assert float(nst_loss(student, teacher)) == pytest.approx(total / 2, rel=1e-4)


def test_it_is_the_distance_of_the_mean_outer_products() -> None:
    student, teacher = maps(3, 4, 3, 3), maps(3, 6, 3, 3, seed=1)
    expected = []
    for ours, theirs in zip(student.flatten(2), teacher.flatten(2), strict=True):
        ours, theirs = ours / ours.norm(dim=1, keepdim=True), theirs / theirs.norm(dim=1, keepdim=True)
        expected.append((ours.T @ ours / 4 - theirs.T @ theirs / 6).square().sum())
    torch.testing.assert_close(nst_loss(student, teacher), torch.stack(expected).mean())


@pytest.mark.parametrize("shape", [(2, 4, 3, 3), (2, 9, 2, 2)])
def test_what_it_does_not_depend_on(shape: tuple[int, ...]) -> None:
    student, teacher = maps(*shape), maps(*shape, seed=1)
    loss = nst_loss(student, teacher)
    scales = torch.linspace(-3, 2, shape[1])[:, None, None]
    torch.testing.assert_close(nst_loss(scales * student, teacher), loss)
    torch.testing.assert_close(nst_loss(student.flip(1), teacher), loss)
    torch.testing.assert_close(nst_loss(student.repeat(1, 2, 1, 1), teacher), loss)
    torch.testing.assert_close(nst_loss(student.repeat(3, 1, 1, 1), teacher.repeat(3, 1, 1, 1)), loss)
    torch.testing.assert_close(nst_loss(student.flip(2), teacher.flip(2)), loss)


def test_zero_at_the_same_channels_and_positive_elsewhere() -> None:
    student = maps(2, 4, 3, 3)
    assert float(nst_loss(student, -2 * student.flip(1))) == pytest.approx(0, abs=1e-6)
    assert float(nst_loss(student, student.flip(2))) > 0.01
    assert float(nst_loss(student, maps(2, 4, 3, 3, seed=1))) > 0.01


@pytest.mark.parametrize("shape", [(2, 4, 3, 3), (2, 9, 2, 2)])
def test_no_gradient_reaches_the_teacher(shape: tuple[int, ...]) -> None:
    student, teacher = maps(*shape).requires_grad_(), maps(*shape, seed=1).requires_grad_()
    nst_loss(student, teacher).backward()
    assert teacher.grad is None
    assert student.grad is not None
    assert student.grad.abs().sum() > 0


def test_a_step_against_the_gradient_lessens_the_loss() -> None:
    student, teacher = maps(2, 4, 3, 3).requires_grad_(), maps(2, 4, 3, 3, seed=1)
    loss = nst_loss(student, teacher)
    loss.backward()
    assert student.grad is not None
    assert nst_loss((student - student.grad).detach(), teacher) < loss


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (1, 2, 4, 4), (2, 20, 2, 2)])
@pytest.mark.parametrize(("ours", "theirs"), [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (7.0, 7.0), (1e4, -1e4)])
def test_finite_at_the_extremes_and_on_constant_maps(shape: tuple[int, ...], ours: float, theirs: float) -> None:
    student = torch.full(shape, ours, requires_grad=True)
    loss = nst_loss(student, torch.full(shape, theirs))
    loss.backward()
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_a_dead_channel_beside_others() -> None:
    student = maps(2, 3, 4, 4)
    student[:, 0] = 0
    nst_loss(student.requires_grad_(), maps(2, 3, 4, 4, seed=1)).backward()
    assert student.grad is not None
    assert not student.grad[:, 0].any()
    assert student.grad[:, 1].any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    student, teacher = maps(2, 8, 4, 4).to(dtype), maps(2, 8, 4, 4, seed=1).to(dtype)
    loss = nst_loss(student, teacher)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, nst_loss(student.float(), teacher.float()))


@pytest.mark.parametrize("shape", [(2, 8, 4, 4), (2, 40, 3, 3)])
def test_automatic_mixed_precision_changes_nothing(shape: tuple[int, ...]) -> None:
    student, teacher = maps(*shape), maps(*shape, seed=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = nst_loss(student, teacher)
    assert torch.equal(loss, nst_loss(student, teacher))


@pytest.mark.parametrize("shape", [(2, 4, 4, 4), (2, 9, 2, 2)])
def test_it_compiles_in_one_graph(shape: tuple[int, ...]) -> None:
    student, teacher = maps(*shape), maps(*shape, seed=1)
    compiled = torch.compile(nst_loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(student, teacher), nst_loss(student, teacher))


@pytest.mark.parametrize("shape", [(1, 3, 4, 4), (2, 3, 2, 2), (2, 3, 16), (2, 48)])
def test_maps_that_do_not_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        LimbeckError, match=r"student maps \(2, 3, 4, 4\) and teacher maps \(.*\) do not fit.*Put adapt"
    ):
        nst_loss(maps(2, 3, 4, 4), maps(*shape))
