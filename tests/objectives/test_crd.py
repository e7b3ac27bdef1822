"""The contrastive loss and its memory against the paper's formula in plain arithmetic."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives.crd import ContrastiveMemory, crd_loss

LABELS = torch.tensor([2, 0, 0, 1, 2, 2, 0, 1, -1, 3])


def features(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def memory(labels: Tensor = LABELS, **fields: Any) -> ContrastiveMemory:
    torch.manual_seed(0)
    return ContrastiveMemory(6, 5, labels, **({"width": 4, "negatives": 7} | fields))


def contrast(positive: float, negatives: list[float], pictures: int) -> float:
    """The paper's: x is e^(s·t/τ) / Z, of a picture and of K others among N."""
    chance = len(negatives) / pictures
    return -math.log(positive / (positive + chance)) - sum(math.log(chance / (x + chance)) for x in negatives)


class TestLoss:
    def test_two_negatives(self) -> None:
        # z = ln 6: h = 6 / (6 + 2) = 3/4; negatives 0 and ln 2: 1 - h = 2/3 and 1/2. So ln (4/3) + ln (3/2) + ln 2
        loss = crd_loss(torch.tensor([math.log(6)]), torch.tensor([[0.0, math.log(2)]]))
        assert loss.shape == ()
        assert loss.item() == pytest.approx(math.log(4), rel=1e-6)

    @pytest.mark.parametrize("pictures", [10, 50000])
    def test_it_is_the_papers_formula_for_any_number_of_pictures(self, pictures: int) -> None:
        similarities, temperature, mean = features(3, 5).tanh().tolist(), 0.07, 2.5
        exponentials = [[math.exp(value / temperature) for value in row] for row in similarities]
        by_hand = [
            contrast(row[0] / (mean * pictures), [x / (mean * pictures) for x in row[1:]], pictures)
            for row in exponentials
        ]
        scores = torch.tensor(similarities) / temperature - math.log(mean)
        assert float(crd_loss(scores[:, 0], scores[:, 1:])) == pytest.approx(sum(by_hand) / 3, rel=1e-5)

    def test_the_right_direction(self) -> None:
        positive, negatives = features(4).requires_grad_(), features(4, 9, seed=1).requires_grad_()
        crd_loss(positive, negatives).backward()
        assert positive.grad is not None
        assert negatives.grad is not None
        assert (positive.grad < 0).all()
        assert (negatives.grad > 0).all()

    def test_without_labels_all_count(self) -> None:
        positive, negatives = features(4), features(4, 9, seed=1)
        assert torch.equal(crd_loss(positive, negatives, torch.arange(4)), crd_loss(positive, negatives))

    def test_negatives_are_summed(self) -> None:
        few, many = (crd_loss(torch.tensor([50.0]), torch.zeros(1, count)) for count in (100, 1000))
        assert float(few) == pytest.approx(100 * math.log(1.01), rel=1e-4)
        assert float(many) == pytest.approx(1000 * math.log(1.001), rel=1e-4)

    @pytest.mark.parametrize(
        ("positive", "negatives"), [((3,), (4, 2)), ((3,), (3,)), ((3,), (3, 0)), ((3, 1), (3, 2))]
    )
    def test_shapes_that_do_not_fit(self, positive: tuple[int, ...], negatives: tuple[int, ...]) -> None:
        with pytest.raises(
            LimbeckError, match=r"^positive scores \(.*\) and negative scores \(.*\) do not fit together"
        ):
            crd_loss(torch.zeros(positive), torch.zeros(negatives))


class TestDrawing:
    def test_from_every_other_class_alike_and_never_from_the_own_nor_from_unlabelled_pictures(self) -> None:
        torch.manual_seed(1)
        drawn = memory(negatives=7000).draw(torch.tensor([0, 1, 2, 3]))
        assert drawn.shape == (4, 7000)
        for own in range(4):
            others = (LABELS.ne(own) & LABELS.ge(0)).float()
            shares = torch.bincount(drawn[own], minlength=10) / 7000
            torch.testing.assert_close(shares, others / others.sum(), rtol=0, atol=0.03)
            assert not shares[others == 0].any()

    def test_torchs_random_numbers_decide(self) -> None:
        bank, labels = memory(), torch.tensor([0, 1])
        torch.manual_seed(3)
        first = bank.draw(labels)
        assert not torch.equal(bank.draw(labels), first)
        torch.manual_seed(3)
        assert torch.equal(bank.draw(labels), first)

    def test_unlabelled_pictures_may_ask(self) -> None:
        assert memory().draw(torch.tensor([-1, 0])).shape == (2, 7)

    def test_a_class_without_pictures(self) -> None:
        drawn = memory(torch.tensor([5, 5, 2]), negatives=100).draw(torch.tensor([5, 2]))
        assert drawn[0].unique().tolist() == [2]
        assert drawn[1].unique().tolist() == [0, 1]


class TestMemory:
    index = torch.tensor([4, 0, 7])
    student, teacher = features(3, 6), features(3, 5, seed=1)

    def expected(self, bank: ContrastiveMemory, means: list[float] | None = None) -> tuple[float, list[float]]:
        """The paper's loss and the mean scores, from the banks as they are now."""
        state = torch.get_rng_state()
        drawn = torch.cat([self.index[:, None], bank.draw(bank.labels[self.index])], dim=1).tolist()
        torch.set_rng_state(state)
        sides = (
            (bank.student_head(self.student), bank.teacher_bank),
            (bank.teacher_head(self.teacher), bank.student_bank),
        )
        total, found = 0.0, []
        for side, (embeddings, entries) in enumerate(sides):
            rows = [
                [
                    math.exp(
                        sum(a * b for a, b in zip(anchor, entries[place].tolist(), strict=True)) / bank.temperature
                    )
                    for place in places
                ]
                for anchor, places in zip(
                    (embeddings / embeddings.norm(dim=1, keepdim=True)).tolist(), drawn, strict=True
                )
            ]
            mean = means[side] if means else sum(map(sum, rows)) / (3 * 8)
            found.append(mean)
            parts = [contrast(row[0] / mean / 10, [x / mean / 10 for x in row[1:]], pictures=10) for row in rows]
            total += sum(parts) / 3
        return total, found

    def test_the_first_two_steps_are_the_papers(self) -> None:
        bank = memory(temperature=0.5)
        expected, means = self.expected(bank)
        loss = bank(self.student, self.teacher, self.index)
        assert loss.shape == ()
        assert loss.item() == pytest.approx(expected, rel=1e-4)
        assert bank.log_means.exp().tolist() == pytest.approx(means, rel=1e-5)
        expected, _ = self.expected(bank, means)  # the first batch's means stay
        assert bank(self.student, self.teacher, self.index).item() == pytest.approx(expected, rel=1e-4)
        assert bank.log_means.exp().tolist() == pytest.approx(means, rel=1e-5)

    def test_entries_move_towards_the_new_embeddings(self) -> None:
        bank = memory(momentum=0.25)
        before = bank.student_bank.clone(), bank.teacher_bank.clone()
        bank(self.student, self.teacher, self.index)
        heads = bank.student_head(self.student), bank.teacher_head(self.teacher)
        for old, new, embeddings in zip(before, (bank.student_bank, bank.teacher_bank), heads, strict=True):
            mixed = 0.25 * old[self.index] + 0.75 * embeddings / embeddings.norm(dim=1, keepdim=True)
            torch.testing.assert_close(new[self.index], mixed / mixed.norm(dim=1, keepdim=True))
            others = [place for place in range(10) if place not in self.index]
            assert torch.equal(new[others], old[others])

    def test_no_gradient_reaches_the_teacher_but_both_heads_learn(self) -> None:
        bank, student, teacher = memory(), self.student.clone().requires_grad_(), self.teacher.clone().requires_grad_()
        bank(student, teacher, self.index).backward()
        assert student.grad is not None
        assert student.grad.abs().sum() > 0
        assert teacher.grad is None
        assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in bank.parameters())

    def test_the_gradient_is_of_the_banks_as_they_were(self) -> None:
        bank, student = memory(temperature=1), self.student.clone().requires_grad_()
        twin, state = copy.deepcopy(bank).eval(), torch.get_rng_state()
        bank(student, self.teacher, self.index).backward()
        direction, step = features(3, 6, seed=2), 1e-2
        twin.log_means.copy_(bank.log_means)
        losses = []
        for sign in (1, -1):
            torch.set_rng_state(state)
            losses.append(twin(self.student + sign * step * direction, self.teacher, self.index).item())
        assert student.grad is not None
        slope = float((student.grad * direction).sum())
        assert slope == pytest.approx((losses[0] - losses[1]) / (2 * step), rel=2e-2)

    def test_evaluation_changes_nothing(self) -> None:
        bank = memory().eval()
        before = copy.deepcopy(bank.state_dict())
        assert bank(self.student, self.teacher, self.index).isfinite()
        assert all(torch.equal(value, before[name]) for name, value in bank.state_dict().items())

    def test_a_state_dict_continues_exactly(self) -> None:
        straight = memory()
        straight(self.student, self.teacher, self.index)
        other = ContrastiveMemory(6, 5, LABELS, width=4, negatives=7)
        other.load_state_dict(straight.state_dict())
        losses = []
        for bank in (straight, other):
            torch.manual_seed(5)
            losses.append([bank(self.student, self.teacher, self.index).item() for _ in range(3)])
        assert losses[0] == losses[1]
        assert all(torch.equal(value, other.state_dict()[name]) for name, value in straight.state_dict().items())

    def test_unlabelled_pictures_do_not_count(self) -> None:
        bank, student = memory(), features(2, 6).requires_grad_()
        loss = bank(student, features(2, 5, seed=1), torch.tensor([8, 3]))
        loss.backward()
        assert student.grad is not None
        assert student.grad.abs().sum(1).gt(0).tolist() == [False, True]

    def test_a_first_batch_without_labels_estimates_nothing(self) -> None:
        bank, student = memory(), features(1, 6).requires_grad_()
        loss = bank(student, features(1, 5, seed=1), torch.tensor([8]))
        loss.backward()
        assert loss.item() == 0
        assert student.grad is not None
        assert not student.grad.any()
        assert not bank.log_means.isfinite().any()
        bank(self.student, self.teacher, self.index)
        assert bank.log_means.isfinite().all()

    @pytest.mark.parametrize("scale", [0.0, 1e4])
    @pytest.mark.parametrize("temperature", [0.07, 0.005])
    def test_hard_inputs_stay_finite(self, scale: float, temperature: float) -> None:
        bank, student = memory(temperature=temperature), features(3, 6, scale=scale).requires_grad_()
        torch.nn.init.zeros_(bank.student_head.bias)  # so that zero features are embedded as zero
        for _ in range(2):
            loss = bank(student, features(3, 5, seed=1, scale=scale), self.index)
            loss.backward()
            assert loss.isfinite()
            assert student.grad is not None
            assert student.grad.isfinite().all()
            assert bank.student_head.weight.grad is not None
            assert bank.student_head.weight.grad.isfinite().all()

    def test_maps_half_precision_and_autocast(self) -> None:
        maps = self.student.bfloat16()
        losses = []
        for student, on in ((maps.reshape(3, 6, 1, 1), False), (maps.float(), False), (maps.float(), True)):
            bank = memory()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=on):
                losses.append(bank(student, self.teacher, self.index))
        assert losses[0].dtype == torch.float32
        assert losses[0] == losses[1] == losses[2]

    def test_it_learns_to_tell_pictures_apart(self) -> None:
        bank, student = memory(negatives=20), self.student.clone().requires_grad_()
        optimizer, losses = torch.optim.SGD([student, *bank.parameters()], lr=0.1), []
        for _ in range(30):
            optimizer.zero_grad()
            losses.append(bank(student, self.teacher, self.index))
            losses[-1].backward()
            optimizer.step()
        assert losses[-1].item() < 0.5 * losses[0].item()

    def test_a_compiled_step_is_the_same_step(self) -> None:
        """The backward pass must not be computed from banks that were updated meanwhile."""
        bank, twin = memory(), memory()
        compiled = torch.compile(lambda *given: bank(*given), dynamic=False)
        for seed in range(2):
            gradients = []
            for called in (compiled, twin):
                torch.manual_seed(seed)
                student = self.student.clone().requires_grad_()
                called(student, self.teacher, self.index).backward()
                gradients.append(student.grad)
            torch.testing.assert_close(*gradients)
        torch.testing.assert_close(bank.student_bank, twin.student_bank)

    def test_the_published_defaults(self) -> None:
        bank = ContrastiveMemory(6, 5, LABELS)
        assert (bank.negatives, bank.temperature, bank.momentum) == (16384, 0.07, 0.5)
        assert bank.student_bank.shape == bank.teacher_bank.shape == (10, 128)
        assert float(bank.student_bank.norm(dim=1).mean()) == pytest.approx(1, abs=0.1)
        assert set(bank.state_dict()) == {
            *("student_bank", "teacher_bank", "log_means"),
            *("student_head.weight", "student_head.bias", "teacher_head.weight", "teacher_head.bias"),
        }

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            (
                {"labels": torch.tensor([1, 1, -1])},
                r"^the labels of these 3 pictures name 1 class, .* 2 classes or more",
            ),
            ({"labels": torch.tensor([-1, -1])}, r"^the labels of these 2 pictures name 0 class, "),
            ({"temperature": 0}, r"^temperature = 0 is not possible: it must be above 0\. Try 0\.07\.$"),
            ({"negatives": 0}, r"^negatives = 0 is not possible: it must be above 0\. Try 16384\.$"),
            ({"momentum": 1.0}, r"^momentum = 1\.0 is not possible: it must be at least 0 and below 1\. Try 0\.5\.$"),
            ({"momentum": -0.1}, r"^momentum = -0\.1 is not possible"),
        ],
    )
    def test_impossible_values(self, fields: dict[str, Any], message: str) -> None:
        with pytest.raises(LimbeckError, match=message):
            memory(**fields)
