"""One place chooses device, precision, layout, compilation and allocator, and says why."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from limbeck.errors import LimbeckError
from limbeck.training import Device, Engine, choose
from limbeck.training import device as room

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Pretends what the machine has; at first, a CPU without bf16 and nothing else. Settings of torch are put back."""

    def have(
        cuda: int = 0, mps: bool = False, bf16: bool = False, amx: bool = False, avx512_bf16: bool = False
    ) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda including_emulation=True: bf16 or including_emulation
        )
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16, raising=False)

    before = torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark
    have()
    room._tune_allocator.cache_clear()
    yield have
    torch.set_num_threads(before[0])
    torch.set_float32_matmul_precision(before[1])
    torch.backends.cudnn.benchmark = before[2]
    room._tune_allocator.cache_clear()


def reason(engine: Engine, about: str) -> str:
    """The one reason that speaks of something."""
    found = [line for line in engine.reasons if line.startswith(about)]
    assert len(found) == 1, engine.reasons
    return found[0]


class TestDevice:
    def test_a_machine_with_nothing_but_a_cpu(self) -> None:
        engine = choose(Device())
        assert engine.device == CPU
        assert reason(engine, "device") == "device cpu: no accelerator found"

    def test_the_best_is_taken_and_the_others_are_named(self, machine: Callable[..., None]) -> None:
        machine(cuda=1, mps=True)
        assert choose(Device()).device == torch.device("cuda")
        assert reason(choose(Device()), "device") == "device cuda: the best of: cuda, mps, cpu"
        machine(cuda=1)
        assert reason(choose(Device()), "device") == "device cuda: the best of: cuda, cpu"
        machine(mps=True)
        assert choose(Device()).device == torch.device("mps")

    def test_what_is_asked_for_is_taken(self, machine: Callable[..., None]) -> None:
        machine(cuda=2)
        assert choose(Device(name="cpu")).device == CPU
        assert choose(Device(name="cuda:1")).device == torch.device("cuda", 1)
        assert reason(choose(Device(name="cuda:1")), "device") == "device cuda:1: as asked"

    @pytest.mark.parametrize("name", ["tpu", "cuda", "cuda:0", "mps", "CPU", "cuda:x", "", "meta", "xla"])
    def test_what_is_not_there(self, name: str) -> None:
        message = rf"^device '{name}' is not available\. On this machine: auto, cpu\. Type --device\.name cpu$"
        with pytest.raises(LimbeckError, match=message):
            choose(Device(name=name))

    def test_what_is_there_instead(self, machine: Callable[..., None]) -> None:
        machine(cuda=1, mps=True)
        with pytest.raises(LimbeckError, match=r"On this machine: auto, cuda, mps, cpu\. Type --device\.name cuda$"):
            choose(Device(name="tpu"))

    def test_a_gpu_too_many(self, machine: Callable[..., None]) -> None:
        machine(cuda=2)
        message = r"^device 'cuda:2' is not available: there are 2 GPUs, cuda:0 to cuda:1\.$"
        with pytest.raises(LimbeckError, match=message):
            choose(Device(name="cuda:2"))

    def test_a_gpu_is_told_to_use_its_matrix_units(self, machine: Callable[..., None]) -> None:
        machine(cuda=1)
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.benchmark = False
        choose(Device(name="cpu"))
        assert torch.get_float32_matmul_precision() == "highest"
        choose(Device(name="cuda"))
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.backends.cudnn.benchmark

    @pytest.mark.parametrize("threads", [0, -2])
    def test_impossible_threads(self, threads: int) -> None:
        with pytest.raises(
            LimbeckError, match=rf"^Device\.threads = {threads} is not possible: should be greater than"
        ):
            Device(threads=threads)

    def test_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(room, "_OWN_THREADS", 2)
        assert "2 threads" in choose(Device()).reasons
        assert "1 threads" in choose(Device(threads=1)).reasons
        assert torch.get_num_threads() == 1


class TestPrecision:
    @pytest.mark.parametrize(
        ("has", "name", "autocast", "why"),
        [
            ({}, "cpu", None, "precision fp32: cpu has no fast bf16 here"),
            (
                {"amx": True},
                "cpu",
                torch.bfloat16,
                "precision bf16 (autocast): the processor multiplies it in hardware (AMX)",
            ),
            (
                {"avx512_bf16": True},
                "cpu",
                torch.bfloat16,
                "precision bf16 (autocast): the processor multiplies it in hardware (AVX512_BF16)",
            ),
            (
                {"cuda": 1, "bf16": True},
                "cuda",
                torch.bfloat16,
                "precision bf16 (autocast): the GPU has matrix units for it",
            ),
            ({"cuda": 1, "amx": True}, "cuda", None, "precision fp32: cuda has no fast bf16 here"),
            ({"mps": True, "amx": True}, "mps", None, "precision fp32: mps has no fast bf16 here"),
        ],
    )
    def test_what_the_machine_is_good_at(
        self,
        machine: Callable[..., None],
        has: dict[str, int],
        name: str,
        autocast: torch.dtype | None,
        why: str,
    ) -> None:
        machine(**has)
        engine = choose(Device(name=name))
        assert engine.autocast == autocast
        assert reason(engine, "precision") == why

    def test_a_torch_that_cannot_tell(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for check in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
            monkeypatch.delattr(torch.cpu, check)
        assert choose(Device()).autocast is None

    def test_what_is_asked_for_is_taken(self, machine: Callable[..., None]) -> None:
        engine = choose(Device(precision="bf16"))
        assert engine.autocast == torch.bfloat16
        assert reason(engine, "precision") == "precision bf16 (autocast): as asked"
        machine(amx=True)
        engine = choose(Device(precision="fp32"))
        assert engine.autocast is None
        assert reason(engine, "precision") == "precision fp32: as asked"

    def test_bf16_on_mps(self, machine: Callable[..., None]) -> None:
        machine(mps=True)
        message = r"^precision 'bf16' is not offered on mps\. Type --device\.precision fp32$"
        with pytest.raises(LimbeckError, match=message):
            choose(Device(precision="bf16"))

    def test_an_unknown_precision(self) -> None:
        with pytest.raises(LimbeckError, match=r"^Device\.precision = 'fp16' .* 'auto', 'fp32' or 'bf16'"):
            Device(precision="fp16")  # type: ignore[arg-type]

    @pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
    def test_networks_are_called_in_it(self, precision: str, dtype: torch.dtype) -> None:
        engine, layer = choose(Device(precision=precision)), nn.Linear(2, 2)  # type: ignore[arg-type]
        with engine.precision():
            assert layer(torch.ones(1, 2)).dtype == dtype
        assert layer(torch.ones(1, 2)).dtype == torch.float32


class TestCompilation:
    @pytest.mark.parametrize(
        ("wanted", "has", "compiled", "why"),
        [
            ("auto", {}, False, "compile off: on cpu it does not pay for its start"),
            ("auto", {"mps": True}, False, "compile off: on mps it does not pay for its start"),
            ("auto", {"cuda": 1}, True, "compile on: fusing the step pays on a GPU"),
            ("on", {}, True, "compile on: as asked"),
            ("off", {"cuda": 1}, False, "compile off: as asked"),
        ],
    )
    def test_where_it_pays(
        self, machine: Callable[..., None], wanted: str, has: dict[str, int], compiled: bool, why: str
    ) -> None:
        machine(**has)
        engine = choose(Device(compile=wanted))  # type: ignore[arg-type]
        assert engine.compiled is compiled
        assert reason(engine, "compile") == why


class TestLayout:
    def test_weights_are_placed_in_channels_last(self) -> None:
        engine, layer = choose(Device()), nn.Conv2d(3, 4, 3)
        values = layer.weight.detach().clone()
        assert engine.place(layer) is layer
        assert layer.weight.is_contiguous(memory_format=torch.channels_last)
        assert not layer.weight.is_contiguous()
        assert torch.equal(layer.weight, values)
        assert reason(engine, "memory layout").startswith("memory layout channels_last")

    def test_views_become_floats_from_0_to_1_and_stay_channels_last(self) -> None:
        views_NCHW = torch.arange(256, dtype=torch.uint8).view(2, 4, 16, 2).permute(0, 3, 1, 2)
        images = choose(Device()).pictures(views_NCHW)
        assert images.dtype == torch.float32
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert (images.min().item(), images.max().item()) == (0, 1)
        torch.testing.assert_close(images, views_NCHW.double().div(255).float(), rtol=1e-6, atol=0)
        assert views_NCHW.max() == 255


class TestAllocator:
    @pytest.mark.parametrize(
        ("library", "accepts", "why"),
        [
            ("glibc", 1, "allocator glibc, keeping freed memory for the next step"),
            ("glibc", 0, "allocator as it is: glibc refused"),
            ("", 1, "allocator as it is: not glibc"),
        ],
    )
    def test_glibc_is_told_to_keep_memory(
        self, monkeypatch: pytest.MonkeyPatch, library: str, accepts: int, why: str
    ) -> None:
        told: dict[int, int] = {}

        def mallopt(option: int, value: int) -> int:
            told[option] = value
            return accepts

        monkeypatch.setattr(platform, "libc_ver", lambda: (library, "2.36"))
        monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
        assert reason(choose(Device()), "allocator") == why
        assert told == ({-4: 0, -1: -1, -2: 64 << 20} if library else {})

    def test_it_is_asked_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = iter([("", "")])
        monkeypatch.setattr(platform, "libc_ver", lambda: next(asked))
        assert choose(Device()).reasons == choose(Device()).reasons
        assert next(asked, None) is None

    def test_a_gpu_has_its_own(self, machine: Callable[..., None]) -> None:
        machine(cuda=1)
        assert not any("allocator" in line or "threads" in line for line in choose(Device()).reasons)
