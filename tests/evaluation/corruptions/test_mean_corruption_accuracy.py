"""From answers to corrupted pictures to mean accuracies."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.evaluation.corruptions import KINDS, SEVERITIES, mean_corruption_accuracy

EVERY = tuple(kind for family in KINDS.values() for kind in family)


class TestMeanCorruptionAccuracy:
    LABELS = torch.tensor([0, 1, 0, 1])

    def answers(self, kind: str, *right: int) -> dict[tuple[str, int], Tensor]:
        """Logits that are right on the first so many pictures, severity by severity."""
        found = {}
        for severity, count in zip(SEVERITIES, right, strict=True):
            said = torch.where(torch.arange(4) < count, self.LABELS, 1 - self.LABELS)
            found[kind, severity] = torch.nn.functional.one_hot(said, 2).float()
        return found

    def test_by_hand(self) -> None:
        """Noise: (4 + 3 + 2 + 1 + 0) / 20 = .5, 1, 0; their mean is .5."""
        answers = {
            **self.answers("gaussian_noise", 4, 3, 2, 1, 0),
            **self.answers("shot_noise", 4, 4, 4, 4, 4),
            **self.answers("impulse_noise", 0, 0, 0, 0, 0),
            **self.answers("fog", 1, 1, 1, 1, 2),
        }
        found = mean_corruption_accuracy(answers, self.LABELS)
        assert found.severities["gaussian_noise"] == [1.0, 0.75, 0.5, 0.25, 0.0]
        assert found.kinds == pytest.approx({"gaussian_noise": 0.5, "shot_noise": 1, "impulse_noise": 0, "fog": 0.3})
        assert found.families == pytest.approx({"noise": 0.5})
        assert found.mean is None
        assert json.loads(json.dumps(found._asdict())) == found._asdict()

    def test_every_kind_counts_alike(self) -> None:
        """Of 15 kinds 3 are always right, the noises: .2 in all, and not the .25 of four families."""
        answers: dict[tuple[str, int], Tensor] = {}
        for kind in EVERY:
            answers |= self.answers(kind, *[4 * (kind in KINDS["noise"])] * 5)
        found = mean_corruption_accuracy(answers, self.LABELS)
        assert found.mean == pytest.approx(0.2)
        assert found.families == {"noise": 1, "blur": 0, "weather": 0, "digital": 0}

    def test_severities_that_are_missing(self) -> None:
        answers = self.answers("fog", 1, 1, 1, 1, 1)
        del answers["fog", 2], answers["fog", 5]
        with pytest.raises(LimbeckError, match="fog has no answers at severity 2, 5: measure all five, or none"):
            mean_corruption_accuracy(answers, self.LABELS)

    def test_answers_to_other_pictures(self) -> None:
        with pytest.raises(LimbeckError, match="fog at severity 1 has 4 answers, but there are 3 labels"):
            mean_corruption_accuracy(self.answers("fog", 1, 1, 1, 1, 1), self.LABELS[:3])

    def test_an_unknown_kind(self) -> None:
        with pytest.raises(LimbeckError, match="unknown corruption 'rain'"):
            mean_corruption_accuracy(self.answers("rain", 1, 1, 1, 1, 1), self.LABELS)
