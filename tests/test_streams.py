"""Random streams that are functions of their names alone."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator

import pytest
import torch

from limbeck.streams import derive, order, seeded


def test_a_seed_is_the_same_for_ever() -> None:
    """Stored logits and interrupted runs rest on these: a change breaks them all."""
    assert derive(0, "order", 0) == 3_471_081_512_423_777_433
    assert derive(0, "weights") == 7_388_263_408_636_359_099
    digest = hashlib.blake2b(b"3/dropout/17", digest_size=8).digest()
    assert derive(3, "dropout", 17) == int.from_bytes(digest, "little") // 2


def test_other_parts_give_other_seeds() -> None:
    seeds = {
        derive(seed, purpose, epoch) for seed in range(9) for purpose in ("order", "dropout") for epoch in range(9)
    }
    assert len(seeds) == 162
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) > 2**61


class TestOrder:
    def test_every_picture_once(self) -> None:
        assert order(0, 0, 1000).sort().values.equal(torch.arange(1000))
        assert order(0, 0, 1000).dtype == torch.int64

    def test_it_depends_on_seed_and_epoch_alone(self) -> None:
        first = order(1, 2, 500)
        torch.manual_seed(99)
        assert order(1, 2, 500).equal(first)
        assert not order(1, 3, 500).equal(first)
        assert not order(2, 2, 500).equal(first)

    def test_it_is_shuffled(self) -> None:
        assert (order(0, 0, 1000) == torch.arange(1000)).sum() < 10

    def test_the_global_generator_is_left_alone(self) -> None:
        before = torch.get_rng_state()
        order(0, 0, 10)
        assert torch.get_rng_state().equal(before)


class TestSeeded:
    def test_a_block_draws_the_same_whatever_came_before(self) -> None:
        with seeded(1, "weights"):
            first = torch.rand(5)
        torch.rand(17)
        with seeded(1, "weights"):
            assert torch.rand(5).equal(first)
        with seeded(2, "weights"):
            assert not torch.rand(5).equal(first)

    def test_it_draws_from_the_derived_seed(self) -> None:
        with seeded(1, "weights"):
            drawn = torch.rand(5)
        assert drawn.equal(torch.rand(5, generator=torch.Generator().manual_seed(derive(1, "weights"))))

    def test_the_generator_is_put_back_even_after_a_failure(self) -> None:
        before = torch.get_rng_state()
        with pytest.raises(RuntimeError, match="shape"), seeded(1, "weights"):
            torch.rand(5) @ torch.rand(5, 5)[:4]
        assert torch.get_rng_state().equal(before)

    def test_every_gpu_is_named_since_torch_warns_of_several(self, monkeypatch: pytest.MonkeyPatch) -> None:
        named: list[object] = []

        @contextlib.contextmanager
        def fork(devices: object = None) -> Iterator[None]:
            named.append(devices)
            yield

        monkeypatch.setattr(torch.random, "fork_rng", fork)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        state = torch.get_rng_state()
        with seeded(1):
            pass
        torch.set_rng_state(state)
        assert named == [[0, 1]]
