"""The shares of several processes, without any: what each has is worked out here, and put together."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives import Outputs
from limbeck.processes import ranks
from limbeck.processes.ranks import Place
from limbeck.training import Engine, Train
from limbeck.training.batches import chunked
from limbeck.training.team import Team, refuse_small_batches

Standing = Callable[[int, int], None]


@pytest.fixture
def standing(monkeypatch: pytest.MonkeyPatch) -> Standing:
    """Makes this process take itself for one of several."""

    def stand(rank: int, size: int) -> None:
        monkeypatch.setattr(ranks._Known, "place", Place(rank, size, rank, size))

    return stand


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize(
    ("count", "batch_size", "parts"), [(24, 8, 1), (23, 8, 1), (30, 12, 5), (7, 7, 2), (13, 12, 1)]
)
def test_what_all_have_of_a_part_is_the_part(
    standing: Standing, engine: Engine, size: int, count: int, batch_size: int, parts: int
) -> None:
    index, shares = torch.randperm(count, generator=torch.Generator().manual_seed(0)), []
    for rank in range(size):
        standing(rank, size)
        shares.append(chunked(index, batch_size, parts, Team(engine)))
    fetched = [len(share.own) for share in shares]
    assert len(set(fetched)) == 1
    assert fetched[0] <= sum(-(-len(index[part.whole]) // size) for batch in shares[0].batches for part in batch)
    seen = []
    for number, batch in enumerate(shares[0].batches):
        for place, part in enumerate(batch):
            whole = index[part.whole]
            own = [share.own[share.batches[number][place].own] for share in shares]
            assert {len(some) for some in own} == {-(-len(whole) // size)}
            assert torch.equal(torch.cat(own)[: len(whole)], whole)
            seen.append(whole)
    assert torch.equal(torch.cat(seen), index)


def test_one_process_copies_nothing(engine: Engine) -> None:
    index = torch.arange(10)
    chunk = chunked(index, 4, 1, Team(engine))
    assert chunk.own.data_ptr() == index.data_ptr()
    assert all(part.own == part.whole for batch in chunk.batches for part in batch)


def test_answers_are_put_together_and_their_gradient_is_this_ones_times_all(
    standing: Standing, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two processes, of five pictures; a tap with two rows a picture, as a window transformer has."""
    standing(1, 2)
    monkeypatch.setattr(ranks, "gathered", lambda own: torch.cat([own - 100, own]))
    logits = torch.arange(6.0).reshape(3, 2).requires_grad_()
    tap = torch.arange(6.0).reshape(6, 1).requires_grad_()
    said = Team(engine).whole(Outputs(logits, {"tap": tap}), 5)
    assert torch.equal(said.logits, torch.cat([logits - 100, logits])[:5])
    assert torch.equal(said.taps["tap"], torch.cat([tap - 100, tap])[:10])
    weights: Tensor = torch.arange(1.0, 6.0)[:, None]
    (said.logits * weights).sum().backward()
    assert logits.grad is not None
    assert logits.grad.tolist() == [[8, 8], [10, 10], [0, 0]]  # twice the weights of its own; the last counts nowhere


def test_batches_that_leave_nothing_for_some(standing: Standing) -> None:
    standing(0, 4)
    refuse_small_batches(Train(batch_size=4))
    refuse_small_batches(Train(batch_size=8, accumulate=2))
    with pytest.raises(LimbeckError) as refused:
        refuse_small_batches(Train(batch_size=6, accumulate=2), "teacher.")
    assert str(refused.value) == (
        "teacher.train.batch_size = 6 with accumulate = 2 leaves nothing for some of the 4 processes. Type "
        "--teacher.train.batch-size 8 or more, or start fewer processes with torchrun --nproc-per-node."
    )
