"""Networks cut in two: the halves, one after the other, are the network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.models import CATALOGUE, build
from limbeck.models.cut import before, behind
from limbeck.objectives import probe

PLACES = ("first", "last")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_the_halves_are_the_network(name: str, place: str) -> None:
    torch.manual_seed(0)
    network = build(name, num_classes=5, width=0.125 if name != "mobilenet_v2" else 0.5).eval()
    images = torch.rand(2, 3, 32, 32)
    path = probe(network, images[0]).stages()[0 if place == "first" else -1]
    front, back = before(network, path), behind(network, path)
    with torch.no_grad():
        torch.testing.assert_close(back(front(images)), network(images))
    count = sum(map(torch.numel, network.parameters()))
    assert sum(sum(map(torch.numel, half.parameters())) for half in (front, back)) == count


class Crossing(nn.Module):
    """What comes behind `inner` needs the picture, too."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.outer(self.inner(images) + images).mean(dim=(2, 3))


class Deciding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(3, 3, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images) if images.sum() > 0 else images


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(3, 3, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.inner(self.inner(images))


class Writing(nn.Module):
    """Changes what it has in place, and does not use what comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(3, 3, 1)

    def forward(self, features: Tensor) -> Tensor:
        maps = self.inner(features)
        nn.functional.relu(maps, inplace=True)
        return maps


class Dropping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(3, 3, 1)

    def forward(self, features: Tensor) -> Tensor:
        return nn.functional.dropout(self.inner(features), training=self.training)


class Named(nn.Module):
    """Its forward calls the pictures what others call what was tapped."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(3, 3, 1)

    def forward(self, features: Tensor) -> Tensor:
        return self.inner(features).mean(dim=(2, 3))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Crossing(), r"Crossing cannot be cut behind 'inner': what follows needs more than its output .*into add, too"),
        (Deciding(), "Deciding cannot be cut at 'inner': its forward cannot be followed symbolically"),
        (Writing(), r"Writing cannot be cut at 'inner': its forward changes a tensor in place .*\(relu\)"),
        (Dropping(), "Dropping cannot be cut at 'inner': its forward does other things in train mode than in eval"),
        (Twice(), "Twice cannot be cut at 'inner': that submodule is called 2 times"),
    ],
)
def test_where_a_network_cannot_be_cut(network: nn.Module, message: str) -> None:
    with pytest.raises(LimbeckError, match=message):
        behind(network, "inner")


def test_before_a_crossing_it_can() -> None:
    network, images = Crossing(), torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(before(network, "inner")(images), network.inner(images))


def test_the_picture_may_have_any_name_and_modes_are_put_back() -> None:
    network, images = Named(), torch.rand(2, 3, 4, 4)
    network.inner.eval()
    torch.testing.assert_close(behind(network, "inner")(before(network, "inner")(images)), network(images))
    assert (network.training, network.inner.training) == (True, False)
