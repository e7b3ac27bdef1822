"""The live teacher is frozen, in eval mode, outside the graph, and says what its network says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from limbeck import streams
from limbeck.data import Dataset
from limbeck.data.views import Views, make_views
from limbeck.models.model import Model
from limbeck.teachers import LiveTeacher
from limbeck.training import Device, Engine, choose


@pytest.fixture
def network(pictures: Dataset) -> nn.Module:
    with streams.seeded(0, "weights"):
        return Model(name="alexnet_cifar", width=0.0625).build(10, pictures.statistics())


@pytest.fixture
def index() -> Tensor:
    return torch.randperm(120, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def views(pictures: Dataset, index: Tensor) -> Tensor:
    return make_views(pictures.fetch(index), index, Views(), 0, 0)


def test_it_says_what_the_network_says_in_eval_mode(
    network: nn.Module, engine: Engine, index: Tensor, views: Tensor
) -> None:
    with torch.no_grad():
        expected = network.eval()(views.float() / 255)
    teacher = LiveTeacher(network.train(), engine)
    first, second = (teacher.outputs(index, views, epoch).logits for epoch in (0, 1))
    torch.testing.assert_close(first, expected)
    assert torch.equal(first, second)
    with torch.no_grad():
        assert not torch.allclose(network.train()(views.float() / 255), expected)  # dropout would have shown


def test_it_is_frozen_and_outside_the_graph(network: nn.Module, engine: Engine, index: Tensor, views: Tensor) -> None:
    logits = LiveTeacher(network, engine).outputs(index, views, 0).logits
    assert not logits.requires_grad
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not any(module.training for module in network.modules())


def test_it_takes_no_random_numbers(network: nn.Module, engine: Engine, index: Tensor, views: Tensor) -> None:
    teacher, before = LiveTeacher(network, engine), torch.get_rng_state()
    teacher.outputs(index, views, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_it_asks_in_parts_that_fit(network: nn.Module, engine: Engine, index: Tensor, views: Tensor) -> None:
    sizes: list[int] = []
    network.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    whole = LiveTeacher(network, engine).outputs(index, views, 0).logits
    parts = LiveTeacher(network, engine, pictures_at_once=50).outputs(index, views, 0).logits
    assert sizes == [120, 50, 50, 20]
    torch.testing.assert_close(parts, whole)


def test_it_answers_in_float32_whatever_the_precision(network: nn.Module, index: Tensor, views: Tensor) -> None:
    exact = LiveTeacher(network, choose(Device(name="cpu", precision="fp32", threads=1))).outputs(index, views, 0)
    rough = LiveTeacher(network, choose(Device(name="cpu", precision="bf16", threads=1))).outputs(index, views, 0)
    assert rough.logits.dtype == exact.logits.dtype == torch.float32
    assert not torch.equal(rough.logits, exact.logits)
    torch.testing.assert_close(rough.logits, exact.logits, rtol=0.1, atol=0.01)


class Cosine(nn.Module):
    """A head that looks at its layer's weight itself."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3 * 32 * 32, 10)

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ nn.functional.normalize(self.layer.weight).T


def test_weights_are_rounded_once_where_the_answers_stay_the_same(
    network: nn.Module, index: Tensor, views: Tensor
) -> None:
    engine = choose(Device(name="cpu", precision="bf16", compile="off", threads=1))
    network.eval()
    with torch.no_grad(), engine.precision():
        expected = network(engine.pictures(views)).float()
    teacher = LiveTeacher(network, engine, ("features.conv1",))
    said = teacher.outputs(index, views, 0)
    assert torch.equal(said.logits, expected)
    assert {weight.dtype for weight in teacher._network.parameters()} == {torch.bfloat16}
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}
    assert torch.equal(teacher.outputs(index, views, 1).taps["features.conv1"], said.taps["features.conv1"])


def test_weights_that_are_looked_at_are_left_as_they_are(index: Tensor, views: Tensor) -> None:
    engine = choose(Device(name="cpu", precision="bf16", compile="off", threads=1))
    network = Cosine()
    with torch.no_grad(), engine.precision():
        expected = network(engine.pictures(views)).float()
    teacher = LiveTeacher(network, engine)
    assert torch.equal(teacher.outputs(index, views, 0).logits, expected)
    assert teacher._network is network
