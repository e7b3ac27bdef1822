"""How often a network is right: against figures worked out by hand, and against scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from sklearn import metrics as sklearn_metrics
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.evaluation.metrics import accuracy, balanced_accuracy, class_accuracy, confusion, correct, macro_f1

SCORES = (accuracy, balanced_accuracy, macro_f1)
ANSWERS = torch.tensor([0, 0, 0, 1, 1, 2, 0])
LABELS = torch.tensor([0, 0, 1, 1, 1, 1, -1])


def answering(answers: Tensor, classes: int = 4) -> Tensor:
    """Logits of a network that gives these answers."""
    return torch.nn.functional.one_hot(answers, classes).float()


@pytest.fixture
def random() -> tuple[Tensor, Tensor]:
    """500 pictures of 12 classes, about 40 % of them right."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 12, (500,), generator=generator)
    return torch.randn(500, 12, generator=generator) + 1.5 * answering(labels, 12), labels


def test_by_hand() -> None:
    """Class 0: 2 of 2 right; class 1: 2 of 4; classes 2 and 3: no pictures, 2 is answered once, 3 never.

    F1: 2 * 2 / (2 + 3) = .8; 2 * 2 / (4 + 2) = 2/3; 0.
    """
    logits = answering(ANSWERS)
    assert confusion(logits, LABELS).tolist() == [[2, 0, 0, 0], [1, 2, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert accuracy(logits, LABELS) == pytest.approx(4 / 6)
    found = class_accuracy(logits, LABELS).tolist()
    assert found[:2] == [1.0, 0.5]
    assert all(map(math.isnan, found[2:]))
    assert balanced_accuracy(logits, LABELS) == 0.75
    assert macro_f1(logits, LABELS) == pytest.approx((0.8 + 2 / 3 + 0) / 3)


def test_as_scikit_learn_has_it(random: tuple[Tensor, Tensor]) -> None:
    logits, labels = random
    answers = logits.argmax(1).numpy()
    for k in (1, 2, 5, 11):
        expected = sklearn_metrics.top_k_accuracy_score(labels.numpy(), logits.numpy(), k=k, labels=range(12))
        assert accuracy(logits, labels, k) == pytest.approx(expected, abs=1e-12)
    assert confusion(logits, labels).tolist() == sklearn_metrics.confusion_matrix(labels, answers).tolist()
    expected = sklearn_metrics.recall_score(labels, answers, average=None).tolist()
    assert class_accuracy(logits, labels).tolist() == pytest.approx(expected, abs=1e-12)
    expected = sklearn_metrics.balanced_accuracy_score(labels, answers)
    assert balanced_accuracy(logits, labels) == pytest.approx(expected, abs=1e-12)
    assert macro_f1(logits, labels) == pytest.approx(sklearn_metrics.f1_score(labels, answers, average="macro"))


def test_macro_f1_without_some_classes_is_as_scikit_learn_has_it() -> None:
    expected = sklearn_metrics.f1_score(LABELS[:6], ANSWERS[:6], average="macro")
    assert macro_f1(answering(ANSWERS), LABELS) == pytest.approx(expected, abs=1e-12)


def test_of_equal_logits_the_first_is_the_answer() -> None:
    """Labels at the 1st, 2nd and 6th place of six equals, and behind one that is larger."""
    logits = torch.zeros(4, 6)
    logits[3, 5] = 1
    labels = torch.tensor([0, 1, 5, 0])
    assert [correct(logits, labels, k).tolist() for k in (1, 2, 5)] == [
        [True, False, False, False],
        [True, True, False, True],
        [True, True, False, True],
    ]
    assert torch.equal(correct(logits, labels), logits.argmax(1) == labels)
    assert confusion(logits, labels).diagonal().sum() == 1


def test_what_is_not_a_number_is_never_right() -> None:
    assert accuracy(torch.full((3, 4), math.nan), torch.tensor([0, 1, 3]), 3) == 0


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(("answer", "value"), [(2, 1.0), (1, 0.0)])
def test_one_picture(score: Callable[..., float], answer: int, value: float) -> None:
    assert score(answering(torch.tensor([answer])), torch.tensor([2])) == value


@pytest.mark.parametrize("score", SCORES)
def test_pictures_without_a_label_do_not_count(score: Callable[..., float], random: tuple[Tensor, Tensor]) -> None:
    logits, labels = random
    hidden = torch.where(torch.arange(500) % 3 == 0, -1, labels)
    assert score(logits, hidden) == score(logits[hidden >= 0], labels[hidden >= 0]) != score(logits, labels)


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(LimbeckError, match=r"^none of the 2 pictures has a label"):
        accuracy(torch.zeros(2, 3), torch.tensor([-1, -1]))
    with pytest.raises(LimbeckError, match=r"^logits \(2, 3\) and labels \(3,\) do not fit: give logits \(pictures, "):
        accuracy(torch.zeros(2, 3), torch.tensor([0, 1, 2]))
    with pytest.raises(LimbeckError, match=r"^a label is 3, but the logits are of 3 classes from 0\.$"):
        accuracy(torch.zeros(2, 3), torch.tensor([0, 3]))
