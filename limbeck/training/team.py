"""How several processes take a step together: each answers for its share of the batch, all learn from the whole.

Every process makes the views of its own pictures, asks the teacher and runs the student on them. Then the answers of
all are gathered, and every process works out the same objective on the same whole batch: what relates the pictures of
a batch, remembers them or counts them is exact without knowing of processes. A gradient that reaches a process's own
answers is multiplied by the number of processes, so that the mean which DistributedDataParallel takes is the whole
batch's gradient for the network, and for what the objective learns the one that all have.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from limbeck import streams
from limbeck.errors import LimbeckError
from limbeck.objectives import Batch, Known, Objective, Outputs, Tapped
from limbeck.processes import ranks
from limbeck.training.device import Engine
from limbeck.training.optim import Train

States = list[Tensor]

_OPTIONS = inspect.signature(DistributedDataParallel).parameters
_BUFFERS = "forward_sync_buffers" if "forward_sync_buffers" in _OPTIONS else "broadcast_buffers"  # as torch calls it


class Team:
    """The processes that take part in a training; one of them, where it is alone, takes all of every batch."""

    def __init__(self, engine: Engine) -> None:
        self.size, self._rank, self._engine = ranks.size(), ranks.rank(), engine
        self.batch: Callable[..., Batch] = Batch if self.size == 1 else _Together
        self._states: States = []

    def rows(self, parts: Sequence[slice]) -> Tensor | slice:
        """Which pictures of a chunk are this process's: as many of each part as every other process has.

        Where a part cannot be divided, its last picture is taken more than once; such answers do not count.
        """
        if self.size == 1:
            return slice(None)
        return torch.cat(list(map(self._own, parts))).to(self._engine.device)

    def pieces(self, parts: Sequence[slice]) -> list[slice]:
        """Where each part's pictures are among those that `rows` gives."""
        ends = list(itertools.accumulate(map(self._each, parts)))
        return [slice(end - self._each(part), end) for part, end in zip(parts, ends, strict=True)]

    def _own(self, part: slice) -> Tensor:
        each = self._each(part)
        own = torch.arange(self._rank * each, (self._rank + 1) * each)
        return part.start + own.clamp(max=part.stop - part.start - 1)

    def _each(self, part: slice) -> int:
        return -(-(part.stop - part.start) // self.size)

    def whole(self, said: Outputs, count: int) -> Outputs:
        """What all processes said of ``count`` pictures, in their order, with the gradient of what this one said."""
        if self.size == 1:
            return said
        each = -(-count // self.size)

        def of_all(own: Tensor) -> Tensor:
            gathered: Tensor = _Gathered.apply(own)
            return gathered[: len(own) // each * count]  # a tap may have several rows a picture

        return Outputs(of_all(said.logits), {path: of_all(tap) for path, tap in said.taps.items()})

    def begin(self, *parts: int | str) -> None:
        """Gives this process a random stream of its own for what its network draws, as dropout does."""
        if self.size > 1:
            with streams.seeded(*parts, "process", self._rank):
                self._states = self._now()

    def student(self, network: Tapped) -> Callable[[Tensor], Outputs]:
        """The network, drawing from this process's own stream."""
        if self.size == 1:
            return network

        def answer(images: Tensor) -> Outputs:
            with torch.random.fork_rng(devices=self._engine.generators()):
                self._set(self._states)
                said = network(images)
                self._states = self._now()
            return said

        return answer

    def _now(self) -> States:
        return [torch.get_rng_state(), *map(torch.cuda.get_rng_state, self._engine.generators())]

    def _set(self, states: States) -> None:
        torch.set_rng_state(states[0])
        for device, state in zip(self._engine.generators(), states[1:], strict=True):
            torch.cuda.set_rng_state(state, device)

    def step(self, network: nn.Module, objective: nn.Module, loss: Callable[..., Any]) -> Callable[..., Any]:
        """``loss`` with its gradients averaged over the processes; all begin with the first one's weights."""
        if self.size == 1:
            return loss
        # What a loss does not reach (layers behind the last tap, an adapter of a term that is off) has no gradient, as
        # in one process; which that is may change from step to step.
        buffers: dict[str, Any] = {_BUFFERS: False}  # `unite` does
        return DistributedDataParallel(_Step(network, objective, loss), find_unused_parameters=True, **buffers)

    def adding_up(self, step: Callable[..., Any], last: bool) -> AbstractContextManager[None]:
        """Around each part of a batch: gradients are averaged with the last one's."""
        if last or not isinstance(step, DistributedDataParallel):
            return contextlib.nullcontext()
        return step.no_sync()

    def unite(self, *roots: nn.Module, counting: bool = True) -> None:
        """Makes buffers the same in all processes: the first one's; where batch normalisation is counting, the mean."""
        if self.size == 1:
            return
        for module in itertools.chain.from_iterable(root.modules() for root in roots):
            statistics = counting and isinstance(module, _BatchNorm) and module.training
            for buffer in module.buffers(recurse=False):
                averaged = statistics and buffer.is_floating_point()
                buffer.copy_(ranks.mean(buffer) if averaged else ranks.of_first(buffer))


def refuse_small_batches(train: Train, above: str = "") -> None:
    """Refuses batches that do not have a picture for each process in each of their parts.

    Args:
        train: how is trained.
        above: what stands before the names of its fields, as options: "teacher.".

    Raises:
        LimbeckError: they are too small.
    """
    size, parts = ranks.size(), train.accumulate
    if -(-train.batch_size // parts) < size:
        raise LimbeckError(
            f"{above}train.batch_size = {train.batch_size} with accumulate = {parts} leaves nothing for some of the "
            f"{size} processes. Type --{above}train.batch-size {size * parts} or more, or start fewer processes with "
            "torchrun --nproc-per-node."
        )


def refuse_parts(train: Train, objective: Objective, known: Known, above: str = "") -> None:
    """Refuses parts of batches where the objective has to see each batch whole.

    Args:
        train, objective, known: how is trained, for what, and what is known of it.
        above: as for `refuse_small_batches`.

    Raises:
        LimbeckError: it has to.
    """
    if train.accumulate > 1 and (names := objective.relating(known)):
        raise LimbeckError(
            f"objective {' and '.join(names)} relates the pictures of a batch, and {above}train.accumulate = "
            f"{train.accumulate} would show it them in parts. Type --{above}train.accumulate 1; where memory is short, "
            f"a smaller --{above}train.batch-size (now {train.batch_size})."
        )


class _Gathered(torch.autograd.Function):
    """The rows of all processes; the gradient of this process's, times their number."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        return ranks.gathered(own)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.chunk(ranks.size())[ranks.rank()] * ranks.size()


class _Step(nn.Module):
    """Views to loss, as the one module that DistributedDataParallel takes."""

    def __init__(self, network: nn.Module, objective: nn.Module, loss: Callable[..., Any]) -> None:
        super().__init__()
        self.network, self.objective, self._loss = network, objective, loss
        self.unreached = nn.Parameter(torch.zeros(1))  # torch warns of looking for such where there is none

    def forward(self, *shown: Any) -> Any:
        return self._loss(*shown)


class _Together(Batch):
    """A batch of several processes, whose pictures are gathered where an objective looks at them."""

    _own: Tensor
    _all: Tensor | None

    @property
    def images(self) -> Tensor:  # type: ignore[override]
        if self._all is None:
            self._all = ranks.gathered(self._own)[: len(self.index)]
        return self._all

    @images.setter
    def images(self, own: Tensor) -> None:
        self._own, self._all = own, None
