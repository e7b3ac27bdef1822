"""Several processes that train together, as torchrun starts them: the one place that knows of processes.

`torchrun --nproc-per-node 2 -m limbeck run` starts the command twice. The first process does all that a single one
does: folder, judgement, page, printing. The others follow: they are called to each training, take their share of its
batches (`limbeck.training.team`), and write nothing. Where a process is alone, nothing here does anything.
"""

from __future__ import annotations

import atexit
import contextlib
import datetime
import os
import re
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from limbeck.errors import LimbeckError, TrainingError
from limbeck.processes.watch import LostError, Watch, ending

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_PATIENCE = datetime.timedelta(days=7)  # others wait while the first one judges; torchrun ends them where one dies
_LAST = 0.2  # seconds
_GONE = re.compile("gloo|nccl|connection (closed|reset|refused)|broken pipe", re.IGNORECASE)


class Place(NamedTuple):
    """Where a process stands among those that torchrun started.

    Attributes:
        rank, size: its number, from 0, and how many there are, on all machines.
        local, beside: the same on this machine.
    """

    rank: int = 0
    size: int = 1
    local: int = 0
    beside: int = 1


class _Known:
    """What a process knows of the others."""

    place: Place | None = None
    watch: Watch | None = None  # once they have met
    calling = False  # whether they are in the middle of something


def place() -> Place:
    """Where this process stands, by torchrun's environment; alone where there is none."""
    if _Known.place is None:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        found = [os.environ.get(name, "") for name in (*names, "MASTER_ADDR", "MASTER_PORT")]
        _Known.place = Place(*map(int, found[: len(names)])) if all(found) and found[1] != "1" else Place()
    return _Known.place


def rank() -> int:
    """This process's number, from 0."""
    return place().rank


def size() -> int:
    """How many processes there are; 1 where nobody shares the work."""
    return place().size


def first() -> bool:
    """Whether this is the process that decides, writes and speaks."""
    return rank() == 0


def withdraw() -> bool:
    """For what one process does by itself: whether it is this one, which then takes itself to be alone."""
    here = first()
    if here:
        _Known.place = Place()
    return here


def hush() -> None:
    """Leaves the standard output to the first process."""
    if not first():
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Lets the processes find each other, where there are several, and says so where one of them is lost.

    Args:
        device: what this process computes on.

    Raises:
        LostError: another process has ended, or torchrun tells this one to end.
    """
    if size() == 1:
        yield
        return
    watch = _met(device)
    try:
        yield
    except RuntimeError as error:
        if not _GONE.search(str(error)):
            raise
        raise watch.lost(str(error).splitlines()[0]) from error


@contextlib.contextmanager
def leading() -> Iterator[None]:
    """What the first process does while the others wait for its calls; where it fails, they are let go."""
    try:
        yield
    except Exception as error:
        if size() > 1:
            ending()
        if first() and not isinstance(error, LostError) and not _Known.calling:
            with contextlib.suppress(RuntimeError):
                tell(None)
        raise


@contextlib.contextmanager
def calling(call: object) -> Iterator[None]:
    """What all processes do together: the first one tells the others what it is, who have been `told`."""
    if first():
        tell(call)
    _Known.calling = True
    try:
        yield
    except TrainingError as error:
        _Known.calling = not error.lasting  # all of them see that a training diverges; memory runs out in one
        raise
    _Known.calling = False


@contextlib.contextmanager
def ahead() -> Iterator[None]:
    """What the first process does before the others do, who find what it has left on the disk."""
    if not first():
        agreed(True)
    yield
    if first():
        agreed(True)


def tell(value: object) -> None:
    """Tells something to those who wait in `told`."""
    import torch
    from torch import distributed

    if size() > 1:
        distributed.broadcast_object_list([value], src=0, device=torch.device("cpu"))


def told() -> Any:
    """What the first process tells; waits for it."""
    import torch
    from torch import distributed

    box: list[Any] = [None]
    distributed.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    return box[0]


def agreed(flag: bool) -> bool:
    """Whether it is true in every process."""
    if size() == 1:
        return flag
    import torch
    from torch import distributed

    every = torch.tensor(int(flag))
    distributed.all_reduce(every, distributed.ReduceOp.MIN)
    return bool(every)


def of_first(tensor: Tensor) -> Tensor:
    """The first process's tensor of this kind; that very tensor, where it is dense."""
    if size() == 1:
        return tensor
    from torch import distributed

    dense = tensor.contiguous()
    distributed.broadcast(dense, src=0)
    return dense


def mean(tensor: Tensor) -> Tensor:
    """The mean of all processes' tensors."""
    if size() == 1:
        return tensor
    from torch import distributed

    total = tensor.clone()
    distributed.all_reduce(total)
    return total / size()


def gathered(rows: Tensor) -> Tensor:
    """The rows (B, ...) of all processes, in the order of their numbers: (size · B, ...); each has as many."""
    if size() == 1:
        return rows
    import torch
    from torch import distributed

    rows = rows.contiguous()
    everybody = rows.new_empty(size() * len(rows), *rows.shape[1:])
    as_bytes = everybody.view(torch.uint8).chunk(size())  # of which every backend can send any number
    distributed.all_gather(list(as_bytes), rows.view(torch.uint8))
    return everybody


def speaks() -> bool:
    """Whether it is for this process to say why all of them end; before they have met, one on each machine does."""
    return _Known.watch.speaks() if _Known.watch and size() > 1 else place().local == 0


def blaming(error: LimbeckError) -> str:
    """What the message of an error begins with where it is one of a process that follows."""
    return "" if first() or isinstance(error, LostError) else f"process {rank() + 1} of {size()}: "


def _met(device: torch.device) -> Watch:
    """Starts the process group, once."""
    from torch import distributed

    if _Known.watch is None:
        if not distributed.is_initialized():
            store, number, count = next(distributed.rendezvous("env://"))
            backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
            distributed.init_process_group(backend, store=store, rank=number, world_size=count, timeout=_PATIENCE)
            atexit.register(_part)
        everybody: list[Any] = [None] * size()
        distributed.all_gather_object(everybody, Watch.me())
        _Known.watch = Watch(everybody, distributed.distributed_c10d._get_default_store())
    return _Known.watch


def _part() -> None:
    """Leaves the group."""
    from torch import distributed

    time.sleep(_LAST)  # its threads let go of what they sent last; where Python has ended by then, they abort
    if distributed.is_initialized() and not _Known.calling:
        distributed.destroy_process_group()
