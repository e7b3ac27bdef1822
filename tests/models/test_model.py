"""The description of a network, and the network that it builds."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from limbeck.errors import LimbeckError
from limbeck.models import CIFARNIN, AlexNet, Normalised
from limbeck.models.model import Model
from limbeck.spec import Spec

STATISTICS = (0.5, 0.25, 0.125), (0.2, 0.1, 0.4)


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("name", "kind"), [("alexnet_cifar", AlexNet), ("nin_cifar", CIFARNIN)])
def test_the_network_of_that_name(name: str, kind: type) -> None:
    network = Model(name=name, width=0.1).build(7, STATISTICS)
    assert isinstance(network, Normalised)
    assert isinstance(network.network, kind)
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, 7)


def test_the_width() -> None:
    with torch.device("meta"):
        whole, half = (parameters(Model(name="nin_cifar", width=width).build(10, STATISTICS)) for width in (1, 0.5))
    assert whole == 966_986
    assert 0.24 < half / whole < 0.27


@pytest.mark.parametrize(
    ("mean", "std", "expected"),
    [
        (None, None, STATISTICS),
        ((0.1, 0.2, 0.3), (0.5, 0.6, 0.7), ((0.1, 0.2, 0.3), (0.5, 0.6, 0.7))),
        (None, (0.5, 0.6, 0.7), (STATISTICS[0], (0.5, 0.6, 0.7))),
        ((0.1, 0.2, 0.3), None, ((0.1, 0.2, 0.3), STATISTICS[1])),
    ],
)
def test_its_own_normalisation_or_the_training_sets(
    mean: tuple[float, ...] | None, std: tuple[float, ...] | None, expected: tuple[tuple[float, ...], ...]
) -> None:
    network = Model(name="nin_cifar", width=0.05, mean=mean, std=std).build(10, STATISTICS)
    torch.testing.assert_close(1 / network.scale.flatten(), torch.tensor(expected[1]))
    torch.testing.assert_close(-network.shift / network.scale, torch.tensor(expected[0]).view(3, 1, 1))


def test_grey_pictures_have_one_channel() -> None:
    network = Model(name="nin_cifar", width=0.05).build(10, ([0.5], [0.25]))
    assert network(torch.rand(2, 1, 32, 32)).shape == (2, 10)


def test_fresh_weights_come_from_torchs_random_state() -> None:
    def weight(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return next(Model(name="nin_cifar", width=0.05).build(10, STATISTICS).parameters())

    assert torch.equal(weight(0), weight(0))
    assert not torch.equal(weight(0), weight(1))


@pytest.mark.parametrize(
    ("width", "title"), [(1, "nin_cifar"), (0.5, "nin_cifar x0.5"), (0.125, "nin_cifar x0.125"), (2, "nin_cifar x2")]
)
def test_its_title(width: float, title: str) -> None:
    assert Model(name="nin_cifar", width=width).title() == title
    assert Model(name="nin_cifar") == Model(name="nin_cifar", width=1)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (
            Model,
            {"name": "nin"},
            r"^unknown model 'nin'\. Did you mean 'nin_cifar'\? Known: alexnet_cifar, .*nin_cifar, ",
        ),
        (Model, {}, r"^Model\.name: this field must be given\.$"),
        (Model, {"name": "nin_cifar", "width": 0}, r"^Model\.width = 0 is not possible: should be greater than 0\.$"),
        (Model, {"name": "nin_cifar", "width": -1}, r"^Model\.width = -1 is not possible: should be greater than 0\.$"),
        (
            Model,
            {"name": "nin_cifar", "width": 101},
            r"^Model\.width = 101 is not possible: should be less than or equal",
        ),
        (
            Model,
            {"name": "nin_cifar", "std": (0.2, 0, 0.2)},
            r"^Model\.std = \(0\.2, 0, 0\.2\) is not possible: each number must be above 0; CIFAR-10's",
        ),
        (Model, {"name": "nin_cifar", "std": (0.2, -0.1)}, r"^Model\.std = .*must be above 0"),
        (Model, {"name": "nin_cifar", "mean": (float("inf"),)}, r"^Model\.mean\.0 = inf is not possible: .*finite"),
        (
            Model,
            {"name": "nin_cifar", "mean": (0.5,), "std": (0.2, 0.2)},
            r"^Model\.std = .* is not possible: mean has 1 numbers and std has 2; give each one number a channel\.$",
        ),
        (Model, {"name": "nin_cifar", "widht": 1}, r"^Model\.widht: there is no such field\. Did you mean 'width'\?"),
        (
            Model,
            {"name": "nin_cifar", "mean": (0.5, "x")},
            r"^Model\.mean\.1 = 'x' is not possible: should be a valid num",
        ),
    ],
)
def test_impossible_models_are_refused(kind: type[Spec], fields: dict[str, Any], message: str) -> None:
    with pytest.raises(LimbeckError, match=message):
        kind(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mean": (0.5,)}, r"^mean has 1 numbers and std has 3\."),
    ],
)
def test_what_cannot_be_built(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(LimbeckError, match=message):
        Model(name="nin_cifar", **fields).build(10, STATISTICS)


def test_dropout_reaches_every_dropout_layer() -> None:
    layers = {
        given: [
            module.p
            for module in Model(name="alexnet_cifar", width=0.05, dropout=given)
            .build(10, ([0.5] * 3, [0.5] * 3))
            .modules()
            if isinstance(module, torch.nn.Dropout)
        ]
        for given in (None, 0.0, 0.25)
    }
    assert layers == {None: [0.5, 0.5], 0.0: [0.0, 0.0], 0.25: [0.25, 0.25]}
    with pytest.raises(LimbeckError, match=r"^Model\.dropout = 1 is not possible: should be less than 1"):
        Model(name="alexnet_cifar", dropout=1)
    with pytest.raises(
        LimbeckError,
        match=r"^Model is not possible: dropout = 0\.3 has no effect: wrn_16_2 has no dropout layer; leave",
    ):
        Model(name="wrn_16_2", width=0.1, dropout=0.3)
