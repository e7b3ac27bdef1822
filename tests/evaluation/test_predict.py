"""A network's answers: in eval mode, in order, and as the engine says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from limbeck.data import Dataset
from limbeck.evaluation import predict
from limbeck.training import Device, Engine, choose

COUNT = 25
FP32 = Engine(torch.device("cpu"), None, False, ())


@pytest.fixture
def dataset() -> Dataset:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (COUNT, 4, 6, 3), generator=generator, dtype=torch.uint8)
    return Dataset("noise", ("a", "b"), images, torch.arange(COUNT) % 2)


class Means(nn.Module):
    """Answers with the mean of each channel, and remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.seen: list[tuple[tuple[int, ...], torch.dtype, bool, bool, bool]] = []

    def forward(self, images: Tensor) -> Tensor:
        laid_out = images.is_contiguous(memory_format=torch.channels_last)
        self.seen.append((tuple(images.shape), images.dtype, laid_out, self.training, torch.is_grad_enabled()))
        return self.dropout(images.mean(dim=(2, 3)))


def test_the_answers_are_in_order_and_of_pictures_from_0_to_1(dataset: Dataset) -> None:
    expected = dataset.images.double().mean(dim=(1, 2)) / 255
    found = predict(Means(), dataset, FP32)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("at_once", "sizes"), [(1000, [25]), (25, [25]), (10, [10, 10, 5]), (1, [1] * 25)])
def test_how_many_go_together_changes_nothing(dataset: Dataset, at_once: int, sizes: list[int]) -> None:
    network = Means()
    torch.testing.assert_close(predict(network, dataset, FP32, at_once), predict(Means(), dataset, FP32))
    assert network.seen == [((size, 3, 4, 6), torch.float32, True, False, False) for size in sizes]


@pytest.mark.parametrize("training", [True, False])
def test_the_networks_mode_is_put_back(dataset: Dataset, training: bool) -> None:
    network = Means().train(training)
    predict(network, dataset, FP32)
    assert network.training is training
    assert network.dropout.training is training


def test_no_gradient_is_kept(dataset: Dataset) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(72, 2))
    found = predict(network, dataset, FP32)
    assert not found.requires_grad
    assert torch.is_grad_enabled()


def test_the_engines_precision_is_used_and_the_answers_are_float32(dataset: Dataset) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(72, 2))
    exact = predict(network, dataset, choose(Device(name="cpu", precision="fp32")))
    rounded = predict(network, dataset, choose(Device(name="cpu", precision="bf16")))
    assert rounded.dtype == torch.float32
    assert torch.equal(rounded, rounded.bfloat16().float())
    assert not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0.02)
