"""What networks cost: exact counts, and times by a clock that only the networks move."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from limbeck import files
from limbeck.errors import LimbeckError
from limbeck.evaluation.cost import costs, file_bytes, mult_adds
from limbeck.models import build
from limbeck.training import Engine

FP32 = Engine(torch.device("cpu"), None, False, ())
SHAPE = (4, 6, 3)


class Clock:
    """Stands still until a network moves it, and remembers who did, by how many pictures."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.calls: list[tuple[str, int]] = []

    def __call__(self) -> float:
        return self.seconds


class Slow(nn.Module):
    """Takes ``seconds`` for one picture, the next of them at each answer, and ten times that for more pictures."""

    def __init__(self, name: str, clock: Clock, *seconds: float) -> None:
        super().__init__()
        self.name, self.clock, self.seconds, self.singles = name, clock, seconds, 0
        self.head = nn.Linear(3, 2)
        self.modes: set[tuple[bool, bool]] = set()

    def forward(self, images: Tensor) -> Tensor:
        single = len(images) == 1
        self.clock.seconds += self.seconds[self.singles % len(self.seconds)] if single else 10 * self.seconds[0]
        self.singles += single
        self.clock.calls.append((self.name, len(images)))
        self.modes.add((self.training, torch.is_grad_enabled()))
        return self.head(images.mean(dim=(2, 3)))


class Rounded(TorchDispatchMode):
    """Counts how often a weight is copied."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight, self.times = weight, 0

    def __torch_dispatch__(self, function: Any, types: Any, values: Any = (), named: Any = None) -> Any:
        self.times += function is torch.ops.aten._to_copy.default and values[0] is self.weight
        return function(*values, **(named or {}))


def order(clock: Clock) -> list[tuple[str, int]]:
    """Whose turns there were, and with how many pictures, each once."""
    return [call for at, call in enumerate(clock.calls) if not at or clock.calls[at - 1] != call]


class TestCounts:
    def test_alexnet(self) -> None:
        """0.480 GFLOP for the teacher's answer, as in the benchmarks."""
        with torch.device("meta"):
            network = build("alexnet_cifar", num_classes=10)
        assert sum(parameter.numel() for parameter in network.parameters()) == 57_023_306
        first = 33 * 33 * 3 * 9 * 64  # padding 2
        rest = 16 * 16 * 64 * 25 * 192 + 7 * 7 * (192 * 384 + 384 * 256 + 256 * 256) * 9
        head = 9216 * 4096 + 4096 * 4096 + 4096 * 10
        found = mult_adds(network, (32, 32, 3))
        assert 2 * found == pytest.approx(0.480e9, rel=1e-3)
        assert found == pytest.approx(first + rest + head, rel=0.05)

    def test_nin(self) -> None:
        """Positions x (inputs x kernel x outputs) of every convolution: 32 x 32, 16 x 16 and 8 x 8 positions."""
        with torch.device("meta"):
            network = build("nin_cifar", num_classes=10)
        assert sum(parameter.numel() for parameter in network.parameters()) == 966_986
        first = 3 * 25 * 192 + 192 * 160 + 160 * 96
        second = 96 * 25 * 192 + 192 * 192 * 2
        third = 192 * 9 * 192 + 192 * 192 + 192 * 10
        assert mult_adds(network, (32, 32, 3)) == 1024 * first + 256 * second + 64 * third == 222_486_528

    def test_only_products_count(self) -> None:
        network = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten())
        assert mult_adds(network, SHAPE) == 24 * 27 * 5
        assert mult_adds(nn.Sequential(network, nn.Linear(120, 7)), SHAPE) == 24 * 27 * 5 + 120 * 7
        assert mult_adds(nn.Flatten(), SHAPE) == 0

    @pytest.mark.parametrize("half", [False, True])
    def test_the_size_is_that_of_a_file(self, tmp_path: Path, half: bool) -> None:
        network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Linear(5, 2))
        files.write_tensors(tmp_path / "weights.safetensors", network.state_dict())
        written = (tmp_path / "weights.safetensors").stat().st_size
        assert file_bytes(network.half() if half else network) == pytest.approx(written, abs=24)  # its metadata
        assert written > 4 * (135 + 5 + 20 + 12) + 8

    def test_shared_weights_have_a_size_too(self) -> None:
        network = nn.Sequential(nn.Linear(50, 50), nn.Linear(50, 50))
        apart = file_bytes(network)
        network[1].weight = network[0].weight
        assert file_bytes(network) == apart > 4 * 5100


class TestTurns:
    def test_everybody_has_a_turn_in_every_round(self) -> None:
        clock = Clock()
        networks = {"a": Slow("a", clock, 0.01), "b": Slow("b", clock, 0.02)}
        found = costs(networks, SHAPE, FP32, batch=8, seconds=6, clock=clock)
        one_round = [("a", 1), ("a", 8), ("b", 1), ("b", 8)]
        assert order(clock)[: 6 * 4] == 6 * one_round
        assert order(clock)[6 * 4 :] == [("a", 8), ("b", 8), ("a", 1), ("b", 1)]  # memory; products
        assert found["a"].rounds == found["b"].rounds == 5

    def test_half_of_a_turn_is_for_single_answers(self) -> None:
        """A second a turn: 50 answers of .01 s; then batches of .1 s until a sixth would end after it."""
        clock = Clock()
        costs({"a": Slow("a", clock, 0.01)}, SHAPE, FP32, batch=8, seconds=6, clock=clock)
        first = clock.calls[: clock.calls.index(("a", 1), 52)]
        assert 50 <= first.count(("a", 1)) <= 51  # sums of hundredths are not exact
        assert 4 <= first.count(("a", 8)) <= 5

    def test_times_by_hand(self) -> None:
        clock = Clock()
        found = costs(
            {"a": Slow("a", clock, 0.01), "b": Slow("b", clock, 0.02)}, SHAPE, FP32, batch=8, seconds=6, clock=clock
        )
        assert found["a"].latency_ms == pytest.approx(10)
        assert found["a"].latency_95_ms == pytest.approx(10)
        assert found["a"].images_per_second == pytest.approx(80)
        assert found["b"].latency_ms == pytest.approx(20)
        assert found["b"].images_per_second == pytest.approx(40)
        assert found["a"].batch == 8

    def test_one_answer_in_ten_is_slow(self) -> None:
        """The median does not see it, the 95th percentile does."""
        clock = Clock()
        network = Slow("a", clock, *[0.01] * 9, 0.05)
        found = costs({"a": network}, SHAPE, FP32, batch=8, seconds=60, clock=clock)["a"]
        assert found.latency_ms == pytest.approx(10)
        assert found.latency_95_ms == pytest.approx(50)

    def test_the_first_round_does_not_count(self) -> None:
        """A thousand answers of a second each, then a hundredth: the slow ones are all in the first round."""
        clock = Clock()
        network = Slow("a", clock, 1.0, *[0.01] * 5000)
        found = costs({"a": network}, SHAPE, FP32, batch=8, seconds=6, clock=clock)["a"]
        assert found.latency_95_ms == pytest.approx(10)

    def test_slow_networks_get_fewer_rounds_but_one(self) -> None:
        """A turn is one answer of 4 s and one batch of 40 s: the first round, which warms up, and one that counts."""
        clock = Clock()
        found = costs({"a": Slow("a", clock, 4.0)}, SHAPE, FP32, batch=8, seconds=5, clock=clock)["a"]
        assert clock.calls == [*2 * [("a", 1), ("a", 8)], ("a", 8), ("a", 1)]  # memory; products
        assert (found.rounds, found.latency_ms, found.images_per_second) == (1, 4000, 0.2)

    def test_the_time_is_kept(self) -> None:
        """Turns of 2.2 s where there were to be 1 s: 6 s are enough for two of them."""
        clock = Clock()
        found = costs({"a": Slow("a", clock, 0.2)}, SHAPE, FP32, batch=8, seconds=6, clock=clock)["a"]
        assert found.rounds == 1
        assert clock.seconds <= 6 + 2  # memory's batch comes after it


class TestNetworks:
    def test_modes_are_put_back_part_by_part(self) -> None:
        clock = Clock()
        network = nn.Sequential(Slow("a", clock, 0.1), nn.Dropout(), nn.Dropout())
        network.train()
        network[1].eval()
        costs({"a": network}, SHAPE, FP32, batch=2, seconds=0.1, clock=clock)
        assert [part.training for part in network.modules()] == [True, True, True, False, True]

    def test_they_compute_in_eval_mode_and_without_gradients(self) -> None:
        clock = Clock()
        network = Slow("a", clock, 0.1).train()
        costs({"a": network}, SHAPE, FP32, batch=2, seconds=0.1, clock=clock)
        assert network.modes == {(False, False)}
        assert network.training
        assert torch.is_grad_enabled()

    def test_weights_are_rounded_once_and_not_for_every_answer(self) -> None:
        """Once for all the rounds, and once more for the batch whose memory is measured; a frozen one, too."""
        network = nn.Sequential(nn.Flatten(), nn.Linear(72, 100)).requires_grad_(False)
        rounded = Rounded(network[1].weight)
        with rounded:
            costs({"a": network}, SHAPE, Engine(torch.device("cpu"), torch.bfloat16, False, ()), batch=2, seconds=0.01)
        assert rounded.times == 2
        assert not network[1].weight.requires_grad

    def test_modes_are_put_back_where_a_network_fails(self) -> None:
        network = nn.Sequential(nn.Linear(1, 1), nn.Dropout())
        with pytest.raises(RuntimeError):
            costs({"a": network}, SHAPE, FP32)
        assert network.training
        assert network[1].training

    def test_real_ones(self) -> None:
        networks = {name: build(name, num_classes=10, width=0.125) for name in ("nin_cifar", "alexnet_cifar")}
        found = costs(networks, (32, 32, 3), FP32, batch=4, seconds=0.05)
        assert list(found) == list(networks)
        for name, cost in found.items():
            assert cost.parameters == sum(parameter.numel() for parameter in networks[name].parameters())
            assert cost.mult_adds == mult_adds(networks[name], (32, 32, 3))
            assert cost.file_bytes > 4 * cost.parameters
            assert 0 < cost.latency_ms <= cost.latency_95_ms
            assert cost.images_per_second > 0
            assert cost.peak_memory is None or cost.peak_memory >= 0
            assert json.loads(json.dumps(cost._asdict(), allow_nan=False)) == cost._asdict()

    def test_none_at_all(self) -> None:
        assert costs({}, SHAPE, FP32) == {}

    @pytest.mark.parametrize(("batch", "seconds"), [(0, 5.0), (8, 0.0), (8, float("nan"))])
    def test_what_cannot_be_measured_with_is_refused(self, batch: int, seconds: float) -> None:
        with pytest.raises(LimbeckError, match=f"batch {batch} and {seconds} seconds cannot be measured with"):
            costs({}, SHAPE, FP32, batch=batch, seconds=seconds)
