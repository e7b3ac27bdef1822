"""Deep mutual learning's loss against plain arithmetic, and its properties."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.objectives import Batch, Known, Outputs, cross_entropy
from limbeck.objectives.dml import DML, dml_loss

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


class TestObjective:
    """The student and its peers, on a linear network whose answers can be worked out."""

    def cohort(self, peers: int = 2, **fields: Any) -> tuple[nn.Module, nn.Module, Batch]:
        torch.manual_seed(0)
        student = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
        images, labels, now = torch.rand(4, 3, 2, 2), torch.tensor([0, 2, 1, -1]), torch.zeros(())
        module = DML(peers=peers, **fields).build(Known(student, None, images[0], labels, 4))
        return student, module, Batch(torch.arange(4), images, labels, now, now, now)

    def test_everybody_learns_from_the_labels_and_from_the_others(self) -> None:
        student, module, batch = self.cohort(weight=0.5, labels=2)
        parts = module(Outputs(student(batch.images)), None, batch)
        said = [student(batch.images), *(peer(batch.images) for peer in module.peers)]
        assert len({tuple(logits.flatten().tolist()) for logits in said}) == 3  # weights of their own
        losses = [
            (2 * cross_entropy(ours, batch.labels), 0.5 * dml_loss(ours, [o for o in said if o is not ours]))
            for ours in said
        ]
        assert parts.keys() == {"labels", "dml", "peers"}
        torch.testing.assert_close(parts["labels"], losses[0][0])
        torch.testing.assert_close(parts["dml"], losses[0][1])
        torch.testing.assert_close(parts["peers"], sum(losses[1] + losses[2], torch.zeros(())))

    def test_nobody_is_moved_by_anothers_loss(self) -> None:
        student, module, batch = self.cohort()
        parts = module(Outputs(student(batch.images)), None, batch)
        parts["peers"].backward(retain_graph=True)
        assert all(weight.grad is None for weight in student.parameters())
        assert all(weight.grad is not None for weight in module.parameters())
        module.zero_grad()
        (parts["labels"] + parts["dml"]).backward()
        assert all(weight.grad is not None for weight in student.parameters())
        assert all(weight.grad is None for weight in module.parameters())

    def test_peers_are_trained_whatever_the_students_mode(self) -> None:
        student = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(12, 3)).eval()
        module = DML().build(Known(student, None, torch.rand(3, 2, 2), torch.zeros(4, dtype=torch.int64), 4))
        assert all(part.training for part in module.modules())

    def test_it_needs_to_know_the_student(self) -> None:
        with pytest.raises(LimbeckError, match=r"dml needs to know the student.*build\(known\)"):
            DML().build()
