"""Deep mutual learning's loss against plain arithmetic, and its properties."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives.dml import dml_loss

FORMS: Any = pytest.mark.parametrize("form", ["released", "paper"])


def logits(*shape: int, seed: int = 0, scale: float = 3.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def softmax(values: list[float]) -> list[float]:
    powers = [math.exp(value) for value in values]
    return [power / sum(powers) for power in powers]


def divergence(peer: list[float], student: list[float]) -> float:
    return sum(p * math.log(p / q) for p, q in zip(softmax(peer), softmax(student), strict=True))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_by_hand(count: int) -> None:
    student, peers = logits(4, 3), [logits(4, 3, seed=1 + k) for k in range(count)]
    means = [
        sum(divergence(theirs, ours) for theirs, ours in zip(peer.tolist(), student.tolist(), strict=True)) / 4
        for peer in peers
    ]
    loss = dml_loss(student, peers)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(sum(means), rel=1e-5)
    assert float(dml_loss(student, peers, "paper")) == pytest.approx(sum(means) / count, rel=1e-5)


@FORMS
class TestProperties:
    def test_zero_where_all_agree(self, form: Any) -> None:
        student = logits(4, 5)
        assert float(dml_loss(student, [student.clone(), student.clone()], form)) == 0
        assert float(dml_loss(student, [student + 2], form)) == pytest.approx(0, abs=1e-5)

    def test_it_is_not_symmetric(self, form: Any) -> None:
        one, other = logits(4, 5), logits(4, 5, seed=1)
        assert not torch.allclose(dml_loss(one, [other], form), dml_loss(other, [one], form), rtol=1e-2)

    def test_it_does_not_depend_on_the_size_of_the_batch(self, form: Any) -> None:
        student, peers = logits(4, 5), [logits(4, 5, seed=1), logits(4, 5, seed=2)]
        repeated = dml_loss(student.repeat(3, 1), [peer.repeat(3, 1) for peer in peers], form)
        torch.testing.assert_close(repeated, dml_loss(student, peers, form))

    def test_no_gradient_reaches_a_peer(self, form: Any) -> None:
        student = logits(4, 5).requires_grad_()
        peers = [logits(4, 5, seed=seed).requires_grad_() for seed in (1, 2)]
        dml_loss(student, peers, form).backward()
        assert [peer.grad for peer in peers] == [None, None]
        gaps = sum(student.softmax(1) - peer.softmax(1) for peer in peers).detach()  # type: ignore[union-attr]
        torch.testing.assert_close(student.grad, gaps / 4 / (1 if form == "released" else 2))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_is_computed_in_float32(self, dtype: torch.dtype, form: Any) -> None:
        student, peers = logits(4, 50).to(dtype), [logits(4, 50, seed=1).to(dtype), logits(4, 50, seed=2).to(dtype)]
        loss = dml_loss(student, peers, form)
        assert loss.dtype == torch.float32
        assert torch.equal(loss, dml_loss(student.float(), [peer.float() for peer in peers], form))

    @pytest.mark.parametrize("peer", [[0.0, 0.0, 0.0], [1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]])
    @pytest.mark.parametrize("student", [[0.0, 0.0, 0.0], [1e4, -1e4, 0.0]])
    def test_hard_inputs_stay_finite(self, student: list[float], peer: list[float], form: Any) -> None:
        answers = torch.tensor([student], requires_grad=True)
        loss = dml_loss(answers, [torch.tensor([peer]), torch.tensor([peer])], form)
        loss.backward()
        assert loss.isfinite()
        assert answers.grad is not None
        assert answers.grad.isfinite().all()

    def test_it_compiles_in_one_piece(self, form: Any) -> None:
        student, peers = logits(4, 5), [logits(4, 5, seed=1), logits(4, 5, seed=2)]
        compiled = torch.compile(dml_loss, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(student, peers, form), dml_loss(student, peers, form))


def test_nobody_to_learn_from() -> None:
    with pytest.raises(
        LimbeckError, match=r"^there are no peers, and mutual learning needs 1 or more\. Pass the other"
    ):
        dml_loss(logits(2, 3), [])


def test_shapes_that_differ() -> None:
    with pytest.raises(LimbeckError, match=r"^student logits \(2, 3\) and teacher logits \(2, 4\) differ in shape"):
        dml_loss(logits(2, 3), [logits(2, 3), logits(2, 4)])
