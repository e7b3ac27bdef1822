"""The peak of memory in use: a known amount is seen, and what is freed before or given back does not count."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from limbeck.errors import TrainingError
from limbeck.objectives import KD, RKD, Objective
from limbeck.training import Train, memory
from limbeck.training.memory import Peak

CPU = torch.device("cpu")
MANY = 64 << 20


def filled(count: int) -> torch.Tensor:
    return torch.ones(count, dtype=torch.uint8)


@pytest.mark.skipif(sys.platform != "linux", reason="the figures of a process are Linux's")
def test_a_known_amount_is_seen_even_when_it_was_given_back() -> None:
    kept = filled(MANY)  # held before: does not count
    peak = Peak(CPU)
    first = peak.figures()
    if not first:
        pytest.skip("this kernel does not let a process reset its peak")
    more = filled(2 * MANY)
    del more
    assert first["peak_memory"] < MANY / 4
    assert peak.figures()["peak_memory"] == pytest.approx(2 * MANY, rel=0.1)
    assert Peak(CPU).figures()["peak_memory"] < MANY / 4
    assert len(kept) == MANY


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu() -> None:
    device = torch.device("cuda")
    kept, peak = filled(MANY).to(device), Peak(device)
    more = filled(2 * MANY).to(device)
    del more
    assert peak.figures() == {"peak_memory": 2 * MANY}
    assert len(kept) == MANY


def test_where_it_cannot_be_measured_nothing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_PROCESS", tmp_path / "none")
    assert Peak(CPU).figures() == {}
    monkeypatch.undo()
    monkeypatch.setattr("platform.libc_ver", lambda: ("", ""))
    assert Peak(CPU).figures() == {}
    assert Peak(torch.device("mps")).figures() == {}


@pytest.mark.parametrize(("objective", "advised"), [(KD(), True), (KD() + RKD(), False)])
def test_parts_are_advised_where_they_are_possible(objective: Objective, advised: bool) -> None:
    with pytest.raises(TrainingError) as short, memory.enough_memory("it", Train(), objective):
        raise MemoryError
    assert ("raise accumulate (now 1), or narrow the network" in str(short.value)) is advised
    assert "chunk (now 8), " in str(short.value)


def test_a_containers_memory_is_its_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cpu, limit = torch.device("cpu"), tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_LIMIT", limit)
    whole = memory.capacity(cpu)
    limit.write_text("max\n")
    assert memory.capacity(cpu) == whole > 1 << 28
    limit.write_text("1000000\n")
    assert memory.capacity(cpu) == 1_000_000
