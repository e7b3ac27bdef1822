"""Networks made of others: what they answer, and that a weights file makes them again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from limbeck.errors import LimbeckError
from limbeck.models import Ensemble
from limbeck.models.composed import AnyModel, EnsembleModel, ReusedModel, described, reuse
from limbeck.models.model import Model
from limbeck.models.normalised import plain
from limbeck.models.reused import ReusedHeadStudent
from limbeck.models.weights import load_network, save_network

STATISTICS = ((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
STUDENT, TEACHER = Model(name="nin_cifar", width=0.1), Model(name="alexnet_cifar", width=0.1)
IMAGES = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
CLASSES = tuple("abcde")


def made(model: AnyModel, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return model.build(5, STATISTICS).eval()


def reusing() -> nn.Module:
    student, teacher = made(STUDENT, 0), made(TEACHER, 1)
    return reuse(student, teacher, ("features.stage3", "features.pool5"), ((19, 8, 8), (26, 3, 3)), 2).eval()


def test_an_ensemble_answers_with_the_mean() -> None:
    members = [made(STUDENT, 0), made(TEACHER, 1)]
    with torch.no_grad():
        wanted = (members[0](IMAGES) + members[1](IMAGES)) / 2
        torch.testing.assert_close(Ensemble(members).eval()(IMAGES), wanted)


def test_a_student_with_its_teachers_head() -> None:
    teacher, student = made(TEACHER, 1), reusing()
    whole = plain(student)
    assert isinstance(whole, ReusedHeadStudent)
    with torch.no_grad():
        features = torch.rand(2, 26, 3, 3)
        wanted = plain(teacher).classifier(plain(teacher).pool(features).flatten(1))
        torch.testing.assert_close(whole.head(features), wanted)
        assert student(IMAGES).shape == (3, 5)
    names = {name.split(".")[1] for name, weight in student.named_parameters() if weight.requires_grad}
    assert names == {"backbone", "projector"}


@pytest.mark.parametrize("kind", ["ensemble", "reused"])
def test_a_file_makes_it_again(kind: str, tmp_path: Path) -> None:
    network = Ensemble([made(STUDENT, 0), made(TEACHER, 1), made(STUDENT, 2)]) if kind == "ensemble" else reusing()
    model = described(network)
    assert model is not None
    save_network(tmp_path / "weights.safetensors", network.eval(), model, CLASSES)
    saved = load_network(tmp_path / "weights.safetensors")
    assert saved.model == model
    assert saved.classes == CLASSES
    assert described(saved.network) == model
    with torch.no_grad():
        torch.testing.assert_close(saved.network(IMAGES), network(IMAGES))


def test_titles() -> None:
    assert EnsembleModel(members=(STUDENT, STUDENT)).title() == "2 of nin_cifar x0.1"
    assert EnsembleModel(members=(STUDENT, TEACHER)).title() == "nin_cifar x0.1 and alexnet_cifar x0.1"
    model = described(reusing())
    assert isinstance(model, ReusedModel)
    assert model.title() == "nin_cifar x0.1 + head"


def test_nobody_described_ones_own_network() -> None:
    own = nn.Linear(2, 2)
    assert described(own) is None
    assert described(Ensemble([own, made(STUDENT, 0)])) is None


def test_a_tap_that_is_not_there() -> None:
    with pytest.raises(LimbeckError, match=r"AlexNet cannot be cut at 'features\.pool9': that submodule is called 0"):
        reuse(made(STUDENT, 0), made(TEACHER, 1), ("features.stage3", "features.pool9"), ((1, 1, 1), (1, 1, 1)), 2)
