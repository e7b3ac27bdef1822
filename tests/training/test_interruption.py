"""A training that is stopped goes on with the same bits; one that is broken stops and says why."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.objectives.objective import Outputs
from limbeck.training import SGD, AdamW, Engine, Job, Schedule, Train, checkpoint, fit

Make = Callable[..., Job]
Same = Callable[[nn.Module, nn.Module], bool]


class Stopped(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("changes", [{"clip": 1.0}, {"optimizer": AdamW(), "ema": 0.9, "accumulate": 2}], ids=",".join)
@pytest.mark.parametrize("stop", [1, 4, 9, 16])
def test_a_training_that_was_stopped_ends_with_the_same_bits(
    make: Make, train: Train, changes: dict[str, Any], stop: int, same_bits: Same, network: Callable[..., nn.Module]
) -> None:
    train = train.with_(epochs=4, checkpoint_seconds=0, **changes)

    def stopping(steps: int, note: str) -> None:
        if steps >= stop:
            raise Stopped

    whole = make(train=train)
    expected = fit(whole)
    with pytest.raises(Stopped):
        fit(make(train=train, folder=whole.folder / "stopped", progress=stopping))
    steps: list[int] = []
    again = make(train=train, folder=whole.folder / "stopped", progress=lambda done, note: steps.append(done))
    if stop > 4:
        again.network.load_state_dict(network(seed=7).state_dict())  # nothing but the checkpoint counts
    assert same_bits(fit(again), expected)
    assert steps[0] == 2 + (stop - 1) // 4 * 4  # it went on with the epoch that was stopped
    for folder in (whole.folder, again.folder):
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        assert [row["epoch"] for row in rows] == [1, 2, 3, 4]


def test_checkpoints_are_as_rare_as_asked_but_for_the_last(
    make: Make, monkeypatch: pytest.MonkeyPatch, train: Train
) -> None:
    saved: list[int] = []
    monkeypatch.setattr(checkpoint, "save", lambda path, identity, state: saved.append(state["epoch"]))
    fit(make(train=train.with_(checkpoint_seconds=1000)))
    fit(make(train=train.with_(checkpoint_seconds=0)))
    assert saved == [3, 1, 2, 3]


def test_the_metrics_are_whole_whenever_the_last_checkpoint_is_there(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = checkpoint.save

    def last(path: Path, identity: str, state: dict[str, Any]) -> None:
        save(path, identity, state)
        raise Stopped

    monkeypatch.setattr(checkpoint, "save", last)
    job = make()
    with pytest.raises(Stopped):
        fit(job)
    fit(make(folder=job.folder))
    rows = [json.loads(line) for line in (job.folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3]


class Breaks(nn.Module):
    """Cross-entropy that comes to nothing at one step: as a value, or only in its gradient."""

    def __init__(self, at: int, gradient: bool) -> None:
        super().__init__()
        self.at, self.gradient, self.seen = at, gradient, 0

    def forward(self, student: Outputs, teacher: Outputs | None, batch: Any) -> dict[str, Tensor]:
        loss = F.cross_entropy(student.logits, batch.labels)
        if self.seen == self.at:
            zero = (student.logits - student.logits.detach()).square().sum()
            loss = loss + zero.sqrt() if self.gradient else loss * torch.nan
        self.seen += 1
        return {"labels": loss}


@pytest.mark.parametrize(
    ("at", "gradient", "where"),
    [
        (6, False, "the loss is no longer a finite number, in epoch 2, step 3 of 4"),
        (7, True, "the weights or what they answer are no longer finite numbers, in epoch 2, step 4 of 4"),
        (5, True, "the loss is no longer a finite number, in epoch 2, step 3 of 4"),
    ],
)
def test_a_loss_that_is_no_number_stops_the_training(
    make: Make, at: int, gradient: bool, where: str, same_bits: Same, train: Train
) -> None:
    train = train.with_(checkpoint_seconds=0)
    job = make(objective=Breaks(at, gradient), train=train)
    with pytest.raises(LimbeckError) as stopped:
        fit(job)
    message = str(stopped.value)
    assert where in message
    assert "Lower optimizer.lr (the rate was 0.0" in message
    assert "or clip (now off)" in message
    assert "schedule.warmup (now 1 epochs)" in message
    assert "The last good checkpoint is kept." in message
    state = checkpoint.load(job.folder / "checkpoint.pt", "a test")
    assert state is not None
    assert state["epoch"] == 1
    assert all(tensor.isfinite().all() for tensor in state["network"].values())
    mended = fit(make(folder=job.folder, train=train))
    assert same_bits(mended, fit(make(train=train)))


def test_a_learning_rate_that_is_far_too_high_is_named(make: Make, train: Train) -> None:
    with pytest.raises(
        LimbeckError, match=r"in epoch 1, step \d of 4 .*the rate was 1e\+06 there\) or clip \(now 5.0\)"
    ):
        fit(make(train=train.with_(optimizer=SGD(lr=1e6), schedule=Schedule(decay="constant"), clip=5)))


def test_a_held_out_figure_that_is_no_number_stops_the_training(make: Make) -> None:
    with pytest.raises(LimbeckError, match=r"what they answer are no longer finite numbers, in epoch 1, step 4 of 4"):
        fit(make(evaluate=lambda network: {"holdout_nll": math.inf}))


def test_a_checkpoint_of_another_network_does_not_fit(
    make: Make, engine: Engine, network: Callable[..., nn.Module]
) -> None:
    job = make()
    fit(job)
    other = make(folder=job.folder)
    other.network = engine.place(network("alexnet_cifar"))
    with pytest.raises(
        LimbeckError, match=r"checkpoint .*checkpoint\.pt does not fit this training .*Remove that file"
    ):
        fit(other)
