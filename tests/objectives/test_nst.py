"""Neuron selectivity transfer against loops over channels, and its invariances."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

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


def test_a_dead_channel_beside_others() -> None:
    student = maps(2, 3, 4, 4)
    student[:, 0] = 0
    nst_loss(student.requires_grad_(), maps(2, 3, 4, 4, seed=1)).backward()
    assert student.grad is not None
    assert not student.grad[:, 0].any()
    assert student.grad[:, 1].any()
