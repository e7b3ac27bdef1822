"""Which callables can be checked, and how their arguments are told apart."""

from __future__ import annotations

from typing import Any

import mistakes as m
import pytest
import torch.nn.functional as F
from torch import Tensor, nn

from limbeck import objectives as o
from limbeck.doctor.losses import check
from limbeck.errors import LimbeckError


class TestSignatures:
    def test_arguments_are_given_by_name(self) -> None:
        def loss(outputs: Tensor, labels: Tensor, teacher_outputs: Tensor, T: float = 3.0) -> Tensor:
            return T**2 * o.ttm_loss(outputs / T, teacher_outputs / T, gamma=1) + F.cross_entropy(outputs, labels)

        report = check(loss)
        assert report.ok, str(report)
        assert report["what it is"].finding.startswith("cross-entropy or KL(teacher ‖ student) at T = 3")

    def test_the_teacher_first_by_name(self) -> None:
        def loss(teacher_logits: Tensor, student_logits: Tensor) -> Tensor:
            return o.kd_loss(student_logits, teacher_logits)

        report = check(loss)
        assert report.ok
        assert "it takes the teacher first" in report["student's gradient"].finding

    @pytest.mark.parametrize("names", ["y_s, y_t", "logits_student, logits_teacher", "x, y", "s, t", "ls, lt"])
    def test_usual_names(self, names: str) -> None:
        first, second = names.split(", ")
        scope: dict[str, Any] = {"kd": o.kd_loss}
        exec(f"def loss({names}, T=4): return kd({first}, {second}, T)", scope)
        assert check(scope["loss"]).ok

    def test_a_module_with_a_temperature_of_its_own(self) -> None:
        class Distil(nn.Module):
            def __init__(self, T: float) -> None:
                super().__init__()
                self.T = T

            def forward(self, y_s: Tensor, y_t: Tensor) -> Tensor:
                loss: Tensor = m.no_t_squared(y_s, y_t, self.T)
                return loss

        module = Distil(4)
        report = check(module)
        assert report["T²"].verdict == "wrong"
        assert report.subject == "Distil(y_s, y_t) at T = 4"
        assert module.T == 4

    def test_float32_modules_are_called_in_float32(self) -> None:
        class Projected(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.project = nn.Linear(10, 10)

            def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
                return F.mse_loss(self.project(student), teacher.detach())

        report = check(Projected())
        assert report["what it learns"].finding == "2 parameters of its own"
        assert "it raises there" in report["half precision"].finding
        assert "it raises there" in report["classes"].finding

    @pytest.mark.parametrize(
        ("loss", "message"),
        [
            (3, "int cannot be called"),
            (lambda student: student.mean(), r"takes \(student\), where two sets of logits are needed"),
            (
                lambda student, teacher, labels, params: student.mean(),
                "a check cannot know params.*gives params a value",
            ),
            (lambda student, teacher: student.mean(1), r"returned a torch.float64 tensor of shape \(16,\).*average"),
            (lambda student, teacher: 1.0, "returned float"),
            (lambda student, teacher: student.nosuch(), "cannot be called on logits .16, 10.: AttributeError.*nosuch"),
        ],
    )
    def test_what_cannot_be_checked(self, loss: Any, message: str) -> None:
        with pytest.raises(LimbeckError, match=message):
            check(loss)

    def test_too_few_classes(self) -> None:
        with pytest.raises(LimbeckError, match="classes = 2 is too few"):
            check(o.kd_loss, classes=2)
