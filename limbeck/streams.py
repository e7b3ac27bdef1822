"""Random streams, each derived from (seed, purpose, epoch), so that nothing random ever needs to be stored."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor


def derive(*parts: int | str) -> int:
    """A 63-bit seed from any mixture of numbers and words; equal parts give equal seeds on every machine."""
    text = "/".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


def order(seed: int, epoch: int, count: int) -> Tensor:
    """The order in which an epoch sees the pictures: a permutation of ``range(count)``, int64, on the CPU."""
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    return torch.randperm(count, generator=generator)


@contextlib.contextmanager
def seeded(*parts: int | str) -> Iterator[None]:
    """Runs a block with torch's global generators seeded from ``parts``, and puts them back afterwards."""
    gpus = list(range(torch.cuda.device_count()))  # torch warns where it has to find several by itself
    with torch.random.fork_rng(devices=gpus):
        torch.manual_seed(derive(*parts))
        yield
