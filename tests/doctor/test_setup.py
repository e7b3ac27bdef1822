"""`limbeck.check_setup`: a sound setup passes, and mistakes in networks, optimizer and loss are named."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from setups import CLASSES, Knowing, Setup, normalised, raw, wrong
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import limbeck


@pytest.fixture
def setup() -> Setup:
    return Setup()


def test_a_sound_one_passes(setup: Setup) -> None:
    held, marks = raw(64, 3)
    setup.more["selection"] = DataLoader(TensorDataset(normalised(held), marks), 64)
    setup.more["loss"] = nn.Linear(2, 2)
    setup.more["optimizer"].add_param_group({"params": setup.more["loss"].parameters()})
    report = setup.check()
    assert not report.wrong, str(report)
    assert not report.look, str(report)
    assert "equal budgets" in report.note
    assert "Nothing is wrong." in str(limbeck.check_setup(setup.teacher, setup.student, setup.loader))


def test_nothing_is_changed(setup: Setup) -> None:
    setup.student = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(192), nn.Linear(192, CLASSES))
    setup.more["optimizer"] = torch.optim.SGD(setup.student.parameters(), 0.1)
    setup.student[1].eval()
    before = copy.deepcopy(setup.student.state_dict()), torch.get_rng_state()
    report = setup.check()
    assert [module.training for module in setup.student] == [True, False, True]
    assert not setup.teacher.training
    torch.testing.assert_close(setup.student.state_dict(), before[0], rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), before[1])
    assert "train mode, but for 1" in report["student's mode"].finding


def test_the_teacher_in_train_mode(setup: Setup) -> None:
    setup.teacher.train()
    report = setup.check()
    assert wrong(report) == {"teacher's mode"}
    assert report["teacher's mode"].finding == "train mode: drop"
    assert "teacher.eval()" in report["teacher's mode"].mend


def test_a_teacher_with_dropout_in_its_forward(setup: Setup) -> None:
    class Noisy(Knowing):
        def forward(self, x: Tensor) -> Tensor:
            return F.dropout(super().forward(x))

    setup.teacher = Noisy().eval().requires_grad_(False)
    report = setup.check()
    assert wrong(report) == {"teacher's answers"}
    assert "without training=self.training" in report["teacher's answers"].mend


def test_a_trainable_teacher(setup: Setup) -> None:
    setup.teacher.requires_grad_(True)
    report = setup.check()
    assert report.ok
    assert report["teacher's parameters"].verdict == "look"
    assert report["teacher's parameters"].finding == "trainable: scale"
    setup.more["optimizer"].add_param_group({"params": setup.teacher.parameters()})
    report = setup.check()
    assert wrong(report) == {"teacher's parameters"}
    assert report["teacher's parameters"].finding == "in the optimizer: scale"


def test_the_student_in_eval_mode(setup: Setup) -> None:
    setup.student.eval()
    report = setup.check()
    assert wrong(report) == {"student's mode"}
    assert "an evaluation leaves it in eval mode" in report["student's mode"].mend


def test_a_student_that_is_not_trained(setup: Setup) -> None:
    setup.more["optimizer"] = torch.optim.SGD(nn.Linear(2, 2).parameters(), 0.1)
    assert setup.check()["student's parameters"].finding == "not in the optimizer: 2.weight, 2.bias"
    setup.student.requires_grad_(False)
    report = setup.check()
    assert wrong(report) == {"student's parameters"}
    assert report["student's parameters"].finding == "none is trainable"


def test_a_student_that_shares_the_teachers_weights(setup: Setup) -> None:
    setup.teacher = nn.Sequential(nn.Flatten(), nn.Dropout(0.1), setup.student[2]).eval()
    del setup.more["optimizer"]
    report = setup.check()
    assert report["student's parameters"].finding == "the teacher's own, and trainable: 2.weight, 2.bias"
    assert report["student's parameters"].verdict == "wrong"


def test_a_softmax_at_the_end(setup: Setup) -> None:
    setup.student.append(nn.Softmax(dim=1))
    report = setup.check()
    assert wrong(report) == {"logits"}
    assert report["logits"].finding == "the student returns probabilities"
    assert "a softmax twice" in report["logits"].mend


def test_other_classes(setup: Setup) -> None:
    setup.student[2] = nn.Linear(192, 5)
    del setup.more["optimizer"]
    assert setup.check()["logits"].finding == "the teacher has 8 classes, the student 5"


def test_a_network_that_cannot_be_called(setup: Setup) -> None:
    setup.student[2] = nn.Linear(7, 5)
    report = setup.check()
    assert report["logits"].verdict == "wrong"
    assert "the student cannot be called on these pictures: RuntimeError" in report["logits"].finding


class TestLearned:
    class Variances(nn.Module):
        def __init__(self, kept: type) -> None:
            super().__init__()
            self.sigmas = kept([nn.Parameter(torch.ones(3))])

    def test_in_a_plain_list(self, setup: Setup) -> None:
        setup.more["loss"] = self.Variances(list)
        report = setup.check()
        assert wrong(report) == {"what the loss learns"}
        assert report["what the loss learns"].finding == "not in its parameters(): sigmas[0]"

    def test_not_in_the_optimizer(self, setup: Setup) -> None:
        setup.more["loss"] = self.Variances(nn.ParameterList)
        report = setup.check()
        assert wrong(report) == {"what the loss learns"}
        assert report["what the loss learns"].finding == "not in the optimizer: sigmas.0"
        setup.more["optimizer"].add_param_group({"params": setup.more["loss"].parameters()})
        assert setup.check().ok
