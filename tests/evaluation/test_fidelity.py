"""Student against teacher, by hand and against a plain sum."""

from __future__ import annotations

import math

import pytest
import torch

from limbeck.evaluation.fidelity import agreement, agreement_on_mistakes, changes, kl, mistakes

CLASSES = 4
LABELS = torch.tensor([0, 1, 2, 3, 0, 1, -1])
TEACHER = torch.tensor([0, 1, 2, 0, 1, 0, 3])  # wrong at 3, 4 and 5
STUDENT = torch.tensor([0, 2, 1, 3, 1, 2, 3])  # wrong at 1, 2, 4 and 5; at 4 as the teacher


def answering(answers: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.one_hot(answers, CLASSES).float()


def test_by_hand() -> None:
    student, teacher = answering(STUDENT), answering(TEACHER)
    assert agreement(student, teacher) == pytest.approx(3 / 7)
    assert mistakes(teacher, LABELS) == 3
    assert agreement_on_mistakes(student, teacher, LABELS) == pytest.approx(1 / 3)
    found = changes(student, teacher, LABELS)
    assert found.regressions.tolist() == [1, 2]
    assert found.gains.tolist() == [3]


def test_a_teacher_without_mistakes_has_none_to_agree_on() -> None:
    assert agreement_on_mistakes(answering(STUDENT[:2]), answering(TEACHER[:2]), LABELS[:2]) is None


def test_what_the_students_change_is_the_difference_of_what_is_right() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(200, 5, generator=generator) for _ in range(2))
    labels = torch.randint(-1, 5, (200,), generator=generator)
    found = changes(student, teacher, labels)
    right = [int((logits.argmax(1) == labels).sum()) for logits in (student, teacher)]
    assert len(found.gains) - len(found.regressions) == right[0] - right[1]
    assert len(found.gains) > 10
    assert not set(found.gains.tolist()) & set(found.regressions.tolist())
    back = changes(teacher, student, labels)
    assert torch.equal(back.gains, found.regressions)


class TestKL:
    def test_by_hand(self) -> None:
        """Teacher 3/4 1/4, student 1/2 1/2: 3/4 ln 3/2 + 1/4 ln 1/2 = .130812; the other way round ln 2 - ln 3 / 2."""
        teacher, student = torch.tensor([[math.log(3), 0.0]]), torch.zeros(1, 2)
        assert kl(student, teacher) == pytest.approx(0.1308120, abs=1e-6)
        assert kl(teacher, student) == pytest.approx(math.log(2) - math.log(3) / 2, abs=1e-6)

    def test_as_a_plain_sum_has_it(self) -> None:
        generator = torch.Generator().manual_seed(0)
        student, teacher = (3 * torch.randn(50, 6, generator=generator, dtype=torch.float64) for _ in range(2))
        p, q = (logits.exp() / logits.exp().sum(1, keepdim=True) for logits in (teacher, student))
        expected = sum(float(a) * math.log(float(a) / float(b)) for a, b in zip(p.flatten(), q.flatten(), strict=True))
        assert kl(student, teacher) == pytest.approx(expected / 50, abs=1e-9)

    def test_equals_are_at_0_and_certainty_is_finite(self) -> None:
        logits = torch.tensor([[1e4, 0.0], [3.0, 1.0]])
        assert kl(logits, logits) == 0
        assert kl(logits, logits + 7) == pytest.approx(0, abs=1e-12)
        assert kl(-logits, logits) >= 0
        assert math.isfinite(kl(-logits, logits))
        assert kl(torch.tensor([[0.0, 1e4]]), torch.tensor([[1e4, 0.0]])) == 1e4
