"""The virtual teacher's loss against constants worked out by hand, and its properties."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch

from limbeck.errors import LimbeckError
from limbeck.objectives import Batch, Outputs, TfKD, cross_entropy, tf_kd_loss

ZERO = torch.zeros(())


STUDENT, VIRTUAL = [2.0, -1.0, 0.5], [0.05, 0.9, 0.05]


@pytest.mark.parametrize("form", ["released", "paper"])
def test_by_hand(form: Literal["released", "paper"]) -> None:
    # of two classes .99 and .01, at this temperature 3/4 : 1/4; the student says 1/2 : 1/2: 3/4 ln(3/2) + 1/4 ln(1/2)
    loss = tf_kd_loss(torch.zeros(1, 2), torch.tensor([1]), 0.98 / math.log(3), form=form)
    assert float(loss) == pytest.approx(0.1308120, rel=2e-6)


def test_only_the_paper_has_the_temperature_on_the_student() -> None:
    # 3/4 : 1/4 agrees with that teacher in the released form; in the paper's, those logits times T do
    labels, temperature = torch.tensor([0]), 0.98 / math.log(3)
    student = torch.tensor([[math.log(3), 0.0]])
    assert float(tf_kd_loss(student, labels, temperature)) == pytest.approx(0, abs=1e-6)
    assert float(tf_kd_loss(temperature * student, labels, temperature, form="paper")) == pytest.approx(0, abs=1e-6)
    assert float(tf_kd_loss(student, labels, temperature, form="paper")) > 0.001


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
