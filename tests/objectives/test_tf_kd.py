"""The virtual teacher's loss against constants worked out by hand, and its properties."""

from __future__ import annotations

import math

import pytest
import torch

from limbeck.errors import LimbeckError
from limbeck.objectives import Batch, Outputs, TfKD, cross_entropy, tf_kd_loss

ZERO = torch.zeros(())


def softmax(values: list[float]) -> list[float]:
    powers = [math.exp(value) for value in values]
    return [power / sum(powers) for power in powers]


def by_hand(student: list[float], virtual: list[float], temperature: float, student_temperature: float) -> float:
    wanted = softmax([value / temperature for value in virtual])
    said = softmax([value / student_temperature for value in student])
    return sum(p * math.log(p / q) for p, q in zip(wanted, said, strict=True))


STUDENT, VIRTUAL = [2.0, -1.0, 0.5], [0.05, 0.9, 0.05]


@pytest.mark.parametrize(
    ("form", "expected"),
    [("released", by_hand(STUDENT, VIRTUAL, 4, 1)), ("paper", by_hand(STUDENT, VIRTUAL, 4, 4))],
)
def test_by_hand(form: str, expected: float) -> None:
    loss = tf_kd_loss(torch.tensor([STUDENT]), torch.tensor([1]), 4, 0.9, form)  # type: ignore[arg-type]
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("form", ["released", "paper"])
def test_it_does_not_depend_on_the_batch_size_nor_on_unlabelled_pictures(form: str) -> None:
    student, labels = torch.tensor([STUDENT, STUDENT[::-1]]), torch.tensor([1, 0])
    once = tf_kd_loss(student, labels, form=form)  # type: ignore[arg-type]
    thrice = tf_kd_loss(student.repeat(3, 1), labels.repeat(3), form=form)  # type: ignore[arg-type]
    more = torch.cat([student, torch.randn(2, 3)]), torch.cat([labels, torch.tensor([-1, -1])])
    torch.testing.assert_close(thrice, once)
    torch.testing.assert_close(tf_kd_loss(*more, form=form), once)  # type: ignore[arg-type]
    assert tf_kd_loss(student, torch.tensor([-1, -1]), form=form) == 0  # type: ignore[arg-type]


def test_the_paper_form_is_zero_where_the_student_says_what_the_virtual_teacher_says() -> None:
    assert tf_kd_loss(torch.tensor([VIRTUAL]), torch.tensor([1]), 4, 0.9, "paper").item() == pytest.approx(0, abs=1e-7)


def test_the_defaults_act_as_label_smoothing_of_a_tenth_does() -> None:
    """At T = 20 the virtual teacher is nearly uniform: a tenth of the loss pulls towards equal probabilities."""
    student, labels = (
        torch.randn(32, 10, generator=torch.Generator().manual_seed(0), requires_grad=True),
        torch.arange(32) % 10,
    )
    batch = Batch(torch.arange(32), torch.zeros(32, 3, 4, 4), labels, ZERO, ZERO, ZERO)
    (ours,) = torch.autograd.grad(sum(TfKD().forward(Outputs(student), None, batch).values()), student)  # type: ignore[arg-type]
    (smoothed,) = torch.autograd.grad(cross_entropy(student, labels, 0.1), student)
    (plain,) = torch.autograd.grad(cross_entropy(student, labels), student)
    assert (ours - smoothed).norm() < 0.02 * plain.norm()
    assert (plain - smoothed).norm() > 0.05 * plain.norm()


def test_hard_inputs_stay_finite() -> None:
    student = torch.tensor([[0.0] * 10, [1e4] * 5 + [-1e4] * 5], requires_grad=True)
    loss = tf_kd_loss(student, torch.tensor([0, 9]))
    loss.backward()
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_the_objective_weighs_its_terms_and_needs_no_teacher() -> None:
    student, labels = torch.tensor([STUDENT, STUDENT[::-1]]), torch.tensor([1, 2])
    batch = Batch(torch.arange(2), torch.zeros(2, 3, 4, 4), labels, ZERO, ZERO, ZERO)
    parts = TfKD(temperature=8, correct=0.8, weight=3, labels=0.5, form="paper").forward(Outputs(student), None, batch)
    torch.testing.assert_close(parts["labels"], 0.5 * cross_entropy(student, labels))
    torch.testing.assert_close(parts["tf_kd"], 3 * tf_kd_loss(student, labels, 8, 0.8, "paper"))
    assert not TfKD().needs_teacher


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": 0}, r"^temperature = 0 is not possible: it must be above 0\. Try 4\.$"),
        (
            {"form": "papers"},
            r"^unknown form of tf_kd_loss 'papers'\. Did you mean 'paper'\? Known: paper, released\.$",
        ),
        ({"correct": 1}, r"^correct = 1 is not possible: it must lie between 0 and 1\. Try 0\.99\.$"),
    ],
)
def test_impossible_values(values: dict[str, float], message: str) -> None:
    with pytest.raises(LimbeckError, match=message):
        tf_kd_loss(torch.zeros(1, 3), torch.tensor([0]), **values)  # type: ignore[arg-type]
