"""What a network costs: its size, its arithmetic, how long an answer takes on this device and in how much memory."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import NamedTuple

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from limbeck.errors import LimbeckError
from limbeck.training import Engine
from limbeck.training.memory import Peak

Clock = Callable[[], float]

_ROUNDS = 5  # that count


class Cost(NamedTuple):
    """What one network costs; ``_asdict()`` is JSON.

    Attributes:
        parameters: their number.
        mult_adds: multiply-additions of convolutions and matrix products for one picture.
        file_bytes: of its parameters and buffers as a float32 safetensors file without metadata.
        latency_ms: milliseconds of one answer to one picture, the median.
        latency_95_ms: milliseconds that 95 of 100 such answers take at most.
        images_per_second: in batches of ``batch``.
        batch: pictures in a large batch.
        peak_memory: bytes beyond what was held before, at the most, while a large batch is answered; None where that
            cannot be measured.
        rounds: over which the times are medians.
    """

    parameters: int
    mult_adds: int
    file_bytes: int
    latency_ms: float
    latency_95_ms: float
    images_per_second: float
    batch: int
    peak_memory: float | None
    rounds: int


class _Turn(NamedTuple):
    """The times of one network in one round, in seconds: of single answers, and of large batches."""

    single: list[float]
    batches: list[float]


def costs(
    networks: Mapping[str, nn.Module],
    image_shape: tuple[int, int, int],
    engine: Engine,
    *,
    batch: int = 256,
    seconds: float = 5.0,
    clock: Clock = time.perf_counter,
) -> dict[str, Cost]:
    """What each network costs, measured in turn in this process, so that a machine that slows down slows all of them.

    In every round each network has its turn, in the order given: as many single answers as half its share of the time
    allows, then large batches for the other half, at least one of each. The first round warms up and does not count.
    Of a round's median, 95th percentile and speed, the median over rounds is given. The pictures are noise and lie on
    the device: how they get there does not count.

    Args:
        networks: by name, on the engine's device; they compute in eval mode and are given back in the modes they had.
        image_shape: (height, width, channels) of the pictures.
        engine: device and precision.
        batch: pictures in a large batch.
        seconds: for all the rounds, by network. There are fewer rounds where turns take longer, but at least one.
        clock: what tells the time in seconds.

    Raises:
        LimbeckError: a batch or a time that is not positive.
    """
    if batch < 1 or not seconds > 0:
        raise LimbeckError(f"batch {batch} and {seconds} seconds cannot be measured with: give more than 0 of both.")
    pictures = _pictures(image_shape, engine, batch)
    time_of = _Stopwatch(engine, clock)
    with contextlib.ExitStack() as stack:
        for network in networks.values():
            stack.enter_context(_answering(network))
        stack.enter_context(torch.no_grad())  # in inference mode autocast would round the weights for every answer
        with engine.precision():
            turns = _rounds(networks, pictures, time_of, seconds)
        peaks = {name: _peak(network, pictures, engine) for name, network in networks.items()}
    return {
        name: Cost(
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            mult_adds=mult_adds(network, image_shape),
            file_bytes=file_bytes(network),
            latency_ms=1000 * median(median(turn.single) for turn in turns[name]),
            latency_95_ms=1000 * median(float(np.percentile(turn.single, 95)) for turn in turns[name]),
            images_per_second=median(batch * len(turn.batches) / sum(turn.batches) for turn in turns[name]),
            batch=batch,
            peak_memory=peaks[name],
            rounds=len(turns[name]),
        )
        for name, network in networks.items()
    }


def mult_adds(network: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """The multiply-additions of convolutions and matrix products for one picture in eval mode.

    Biases, activations, normalisation and pooling do not count.

    Args:
        network: takes float pictures (B, C, H, W); one picture goes through it, on the device where it lies.
        image_shape: (height, width, channels).
    """
    height, width, channels = image_shape
    picture = next(network.parameters(), torch.empty(0)).new_zeros(1, channels, height, width)
    with _answering(network), torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(picture)
    return int(counter.get_total_flops()) // 2


def file_bytes(network: nn.Module) -> int:
    """The size of a network's parameters and buffers as a safetensors file, floats in float32, without metadata."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in network.state_dict().items():
        plain = (tensor.float() if tensor.is_floating_point() else tensor).cpu().contiguous()
        shared = any(plain.data_ptr() == other.data_ptr() for other in tensors.values())
        tensors[name] = plain.clone() if shared else plain  # safetensors keeps each name's own copy
    return len(safetensors.torch.save(tensors))


class _Stopwatch:
    """Takes the time of an answer, until the device has given it."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._device, self._clock = engine.device, clock

    def __call__(self, network: nn.Module, pictures: Tensor) -> float:
        began = self.now()
        network(pictures)
        return self.now() - began

    def now(self) -> float:
        """Seconds on the clock, once the device has done what it was given."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        elif self._device.type == "mps":
            torch.mps.synchronize()
        return self._clock()


def _pictures(image_shape: tuple[int, int, int], engine: Engine, batch: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    noise_NHWC = torch.randint(0, 256, (batch, *image_shape), generator=generator, dtype=torch.uint8)
    return engine.pictures(noise_NHWC.permute(0, 3, 1, 2))


@contextlib.contextmanager
def _answering(network: nn.Module) -> Iterator[None]:
    """A network in eval mode, and afterwards every part of it in the mode that it had.

    Frozen weights are thawed meanwhile: autocast keeps only such as could learn, and would round the others anew for
    every answer, so that a frozen teacher seemed slower than it is.
    """
    modes = [(module, module.training) for module in network.modules()]
    frozen = [weight for weight in network.parameters() if weight.is_floating_point() and not weight.requires_grad]
    network.eval()
    try:
        for weight in frozen:
            weight.requires_grad_(True)
        yield
    finally:
        for weight in frozen:
            weight.requires_grad_(False)
        for module, training in modes:
            module.training = training


def _rounds(
    networks: Mapping[str, nn.Module], pictures: Tensor, time_of: _Stopwatch, seconds: float
) -> dict[str, list[_Turn]]:
    """The turns of each network that count. No round is begun that would end too late if it took as long as those
    before it, but one that counts there is.
    """
    turns: dict[str, list[_Turn]] = {name: [] for name in networks}
    began = time_of.now()
    for done in range(1 + _ROUNDS):
        spent = time_of.now() - began
        if done > 1 and spent * (done + 1) / done > seconds * len(networks):
            break
        for name, network in networks.items():
            turns[name].append(_turn(network, pictures, time_of, seconds / (1 + _ROUNDS)))
    return {name: of_network[1:] for name, of_network in turns.items()}


def _turn(network: nn.Module, pictures: Tensor, time_of: _Stopwatch, seconds: float) -> _Turn:
    """Single answers for half the time, then large batches for what is left; at least one of each."""
    turn = _Turn([], [])
    began = time_of.now()
    while not turn.single or time_of.now() - began < seconds / 2:
        turn.single.append(time_of(network, pictures[:1]))
    while not turn.batches or time_of.now() - began + turn.batches[-1] <= seconds:
        turn.batches.append(time_of(network, pictures))
    return turn


def _peak(network: nn.Module, pictures: Tensor, engine: Engine) -> float | None:
    peak = Peak(engine.device)
    with engine.precision():  # anew, so that weights rounded for it count
        network(pictures)
    return peak.figures().get("peak_memory")
