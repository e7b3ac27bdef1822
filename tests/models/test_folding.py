"""Batch normalisation is there for training, and gone without a trace in what is kept."""

from __future__ import annotations

import pytest
import torch

from limbeck.errors import LimbeckError
from limbeck.models.composed import described, reuse
from limbeck.models.folding import NormedConv, add_norms, foldable, folded
from limbeck.models.model import Model
from limbeck.models.nin import CIFARNIN

STATISTICS = ([0.5] * 3, [0.25] * 3)


def _trained(name: str = "nin_cifar") -> torch.nn.Module:
    """A small network with norms that have seen something: statistics, factors and offsets far from their start."""
    torch.manual_seed(0)
    network = Model(name=name, width=0.125, batch_norm=True, dropout=0.0).build(10, STATISTICS)
    for module in network.modules():
        if isinstance(module, NormedConv):
            torch.nn.init.uniform_(module.norm.weight, 0.5, 2)
            torch.nn.init.uniform_(module.norm.bias, -1, 1)
    network.train()
    for _ in range(3):
        network(torch.rand(8, 3, 32, 32))
    return network.eval()


@pytest.mark.parametrize("name", ["nin_cifar", "alexnet_cifar"])
def test_what_is_kept_answers_the_same_and_is_the_plain_network(name: str) -> None:
    network, pictures = _trained(name), torch.rand(4, 3, 32, 32)
    kept = folded(network)
    plain = Model(name=name, width=0.125, dropout=0.0)
    assert described(kept) == plain
    twin = plain.build(10, STATISTICS)
    twin.load_state_dict(kept.state_dict())  # key by key what the plain network has
    with torch.no_grad():
        told, expected = twin.eval()(pictures), network(pictures)
    assert (told - expected).abs().max() < 1e-5 * max(1.0, float(expected.abs().max()))


def test_every_convolution_is_normalised_while_training_and_the_trained_network_is_left_alone() -> None:
    network = _trained()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    folded(network)
    assert sum(isinstance(module, NormedConv) for module in network.modules()) == 9
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_initial_weights_and_what_is_drawn_after_them_are_those_of_the_network_without() -> None:
    torch.manual_seed(1)
    plain = Model(name="nin_cifar", width=0.125).build(10, STATISTICS)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    normed = Model(name="nin_cifar", width=0.125, batch_norm=True).build(10, STATISTICS)
    assert torch.equal(torch.rand(1), drawn)
    ours, theirs = (
        [module.weight for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
        for network in (normed, plain)
    )
    assert len(ours) == 9
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_a_network_without_such_norms_is_given_back() -> None:
    network = CIFARNIN(width=0.125)
    assert folded(network) is network
    assert foldable(network)
    add_norms(network)
    assert not foldable(network)


def test_a_network_with_norms_of_its_own_is_refused() -> None:
    with pytest.raises((LimbeckError, ValueError), match="normalisation of its own"):
        Model(name="resnet20", batch_norm=True)


def test_a_student_that_ends_in_its_teachers_classifier_is_folded_too() -> None:
    teacher = Model(name="resnet8", width=0.5).build(10, STATISTICS).eval()
    student = _trained()
    shapes = ((24, 8, 8), (32, 8, 8))
    student = reuse(student, teacher, ("features.stage3", "features.stage3"), shapes, 2).eval()
    pictures = torch.rand(4, 3, 32, 32)
    kept = folded(student)
    assert not any(isinstance(module, NormedConv) for module in kept.modules())
    twin = described(kept).build(10, STATISTICS)
    twin.load_state_dict(kept.state_dict())
    with torch.no_grad():
        assert torch.allclose(twin.eval()(pictures), student(pictures), atol=1e-4)
