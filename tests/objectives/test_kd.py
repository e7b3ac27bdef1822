"""The two objectives: which terms they have, and how they are weighted."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from limbeck.errors import LimbeckError
from limbeck.objectives import KD, Batch, CrossEntropy, Objective, Outputs, cross_entropy, kd_loss, total
from limbeck.spec import Spec

STUDENT, TEACHER = (torch.randn(6, 4, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
LABELS = torch.tensor([0, 3, -1, 2, 1, -1])
NOW = torch.tensor(0.0)
BATCH = Batch(torch.arange(6), torch.zeros(6, 3, 2, 2), LABELS, step=NOW, epoch=NOW, progress=NOW)


def parts(objective: Objective, teacher: torch.Tensor | None = TEACHER) -> dict[str, torch.Tensor]:
    taught = None if teacher is None else Outputs(teacher)
    return objective.build()(Outputs(STUDENT), taught, BATCH)


class TestCrossEntropyAlone:
    @pytest.mark.parametrize("smoothing", [0.0, 0.3])
    def test_its_one_part(self, smoothing: float) -> None:
        found = parts(CrossEntropy(label_smoothing=smoothing), teacher=None)
        assert list(found) == ["labels"]
        assert torch.equal(found["labels"], cross_entropy(STUDENT, LABELS, smoothing))

    def test_it_needs_no_teacher(self) -> None:
        assert not CrossEntropy().needs_teacher
        assert CrossEntropy().name == "cross_entropy"

    @pytest.mark.parametrize("smoothing", [-0.1, 1.0])
    def test_an_impossible_smoothing(self, smoothing: float) -> None:
        with pytest.raises(LimbeckError, match=rf"^CrossEntropy\.label_smoothing = {smoothing} is not possible"):
            CrossEntropy(label_smoothing=smoothing)


class TestKD:
    def test_both_parts_and_their_weights(self) -> None:
        found = parts(KD(temperature=3, weight=0.7, labels=0.2))
        assert list(found) == ["labels", "kd"]
        torch.testing.assert_close(found["labels"], 0.2 * cross_entropy(STUDENT, LABELS))
        torch.testing.assert_close(found["kd"], 0.7 * kd_loss(STUDENT, TEACHER, 3))
        expected = 0.2 * cross_entropy(STUDENT, LABELS) + 0.7 * kd_loss(STUDENT, TEACHER, 3)
        torch.testing.assert_close(total(found), expected)

    def test_what_it_does_unless_told_otherwise(self) -> None:
        assert KD().needs_teacher
        found = parts(KD())
        torch.testing.assert_close(found["kd"], 0.9 * kd_loss(STUDENT, TEACHER, 4))
        torch.testing.assert_close(found["labels"], 0.1 * cross_entropy(STUDENT, LABELS))

    def test_a_weight_of_0_leaves_its_term_out(self) -> None:
        assert list(parts(KD(labels=0))) == ["kd"]
        assert list(parts(KD(weight=0))) == ["labels"]

    @pytest.mark.parametrize(
        ("kind", "fields", "message"),
        [
            (KD, {"temperature": 0}, r"^KD\.temperature = 0 is not possible: should be greater than 0\.$"),
            (KD, {"temperature": -2}, r"^KD\.temperature = -2 is not possible: should be greater than 0\.$"),
            (KD, {"weight": -0.1}, r"^KD\.weight = -0\.1 is not possible: should be greater than or equal to 0"),
            (KD, {"labels": -1}, r"^KD\.labels = -1 is not possible: should be greater than or equal to 0"),
            (
                KD,
                {"weight": 0, "labels": 0},
                r"^KD is not possible: weight and labels are both 0, so nothing would be learned; set one above 0\.$",
            ),
            (KD, {"temprature": 3}, r"^KD\.temprature: there is no such field\. Did you mean 'temperature'\?"),
        ],
    )
    def test_impossible_values_are_refused(self, kind: type[Spec], fields: dict[str, Any], message: str) -> None:
        with pytest.raises(LimbeckError, match=message):
            kind(**fields)
