"""Optimizers as asked for, and the learning rate at every turn of its schedule."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from limbeck.errors import LimbeckError
from limbeck.spec import Spec
from limbeck.training import SGD, AdamW, Schedule, Train


def parameter(value: float = 1.0) -> nn.Parameter:
    return nn.Parameter(torch.tensor([value]))


class TestOptimizers:
    def test_sgd(self) -> None:
        built = SGD(lr=0.2, momentum=0.8, weight_decay=1e-3).build([parameter()])
        assert isinstance(built, torch.optim.SGD)
        group = built.param_groups[0]
        assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.2, 0.8, 1e-3)
        assert (group["nesterov"], group["fused"], group["dampening"]) == (True, True, 0)

    @pytest.mark.parametrize(("momentum", "wanted", "nesterov"), [(0.9, False, False), (0.0, True, False)])
    def test_sgd_without_nesterov(self, momentum: float, wanted: bool, nesterov: bool) -> None:
        group = SGD(momentum=momentum, nesterov=wanted).build([parameter()]).param_groups[0]
        assert (group["momentum"], group["nesterov"]) == (momentum, nesterov)

    def test_two_steps_of_nesterov_by_hand(self) -> None:
        """With gradient 1, lr .1, momentum .5 and decay .2 from 1: d = 1.2, v = 1.2, step .1 (1.2 + .6) = .18; then
        d = 1.164, v = 1.764, step .1 (1.164 + .882) = .2046."""
        weight = parameter()
        optimizer = SGD(lr=0.1, momentum=0.5, weight_decay=0.2).build([weight])
        for expected in (0.82, 0.6154):
            weight.grad = torch.ones(1)
            optimizer.step()
            assert weight.item() == pytest.approx(expected, abs=1e-6)

    def test_adamw(self) -> None:
        built = AdamW(lr=0.2, beta1=0.8, beta2=0.95, weight_decay=0.3).build([parameter()])
        assert isinstance(built, torch.optim.AdamW)
        group = built.param_groups[0]
        assert (group["lr"], group["betas"], group["weight_decay"]) == (0.2, (0.8, 0.95), 0.3)
        assert group["fused"]

    def test_a_step_of_adamw_by_hand(self) -> None:
        """Decay first, 1 - .1 * .5 = .95; then the step of size lr."""
        weight = parameter()
        optimizer = AdamW(lr=0.1, weight_decay=0.5).build([weight])
        weight.grad = torch.full((1,), 3.0)
        optimizer.step()
        assert weight.item() == pytest.approx(0.85, abs=1e-6)


class TestSchedule:
    def shares(self, schedule: Schedule, epochs: int = 10, steps_per_epoch: int = 5) -> list[float]:
        steps = epochs * steps_per_epoch
        return [schedule.share(step, steps, steps_per_epoch) for step in range(steps)]

    def test_constant(self) -> None:
        assert self.shares(Schedule(decay="constant", final=0.5)) == [1] * 50

    def test_the_warm_up_is_linear_and_ends_at_the_peak(self) -> None:
        for decay in ("constant", "cosine", "linear", "steps"):
            shares = self.shares(Schedule(decay=decay, warmup=2))  # type: ignore[arg-type]
            assert shares[:11] == pytest.approx([number / 11 for number in range(1, 12)])
        assert self.shares(Schedule(decay="constant", warmup=2))[10:] == [1] * 40

    def test_a_part_of_an_epoch_of_warm_up(self) -> None:
        assert self.shares(Schedule(decay="constant", warmup=0.6))[:5] == pytest.approx([0.25, 0.5, 0.75, 1, 1])

    def test_a_warm_up_longer_than_the_training_ends_with_it(self) -> None:
        assert self.shares(Schedule(warmup=100), epochs=2) == pytest.approx([number / 10 for number in range(1, 11)])

    def test_cosine(self) -> None:
        shares = self.shares(Schedule(decay="cosine", warmup=2))
        assert shares[10] == 1
        assert shares[20] == pytest.approx((1 + math.sqrt(0.5)) / 2)
        assert shares[30] == pytest.approx(0.5)
        assert shares[49] == pytest.approx((1 - math.cos(math.pi / 40)) / 2)

    def test_linear(self) -> None:
        shares = self.shares(Schedule(decay="linear", warmup=2))
        assert shares[10:] == pytest.approx([1 - number / 40 for number in range(40)])

    @pytest.mark.parametrize(("decay", "halfway"), [("linear", 0.6), ("cosine", 0.6)])
    def test_the_share_at_the_end(self, decay: str, halfway: float) -> None:
        shares = self.shares(Schedule(decay=decay, final=0.2), epochs=1000)  # type: ignore[arg-type]
        assert shares[0] == 1
        assert shares[2500] == pytest.approx(halfway)
        assert 0.2 < shares[-1] < 0.2002

    def test_steps_at_their_milestones(self) -> None:
        shares = self.shares(Schedule(decay="steps", milestones=(0.6, 0.8), factor=0.1))
        assert shares == pytest.approx([1] * 30 + [0.1] * 10 + [0.01] * 10)

    def test_milestones_in_another_order(self) -> None:
        schedule = Schedule(decay="steps", milestones=(0.8, 0.6), factor=0.5, final=0.9)
        assert self.shares(schedule) == [1] * 30 + [0.5] * 10 + [0.25] * 10

    def test_without_milestones(self) -> None:
        assert self.shares(Schedule(decay="steps", milestones=())) == [1] * 50

    @pytest.mark.parametrize("decay", ["cosine", "linear", "steps", "constant"])
    @pytest.mark.parametrize("warmup", [0, 0.3, 3])
    def test_the_rate_rises_then_falls_and_is_never_0(self, decay: str, warmup: float) -> None:
        shares = self.shares(Schedule(decay=decay, warmup=warmup))  # type: ignore[arg-type]
        peak = round(warmup * 5)
        assert max(shares) == shares[peak] == 1
        assert shares[: peak + 1] == sorted(shares[: peak + 1])
        assert shares[peak:] == sorted(shares[peak:], reverse=True)
        assert min(shares) > 0

    def test_a_training_of_one_step(self) -> None:
        assert Schedule(warmup=3).share(0, 1, 1) == 1


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (Train, {"epochs": -1}, r"^Train\.epochs = -1 is not possible: should be greater than or equal to 0"),
        (Train, {"batch_size": 0}, r"^Train\.batch_size = 0 is not possible: should be greater than or equal to 1"),
        (Train, {"accumulate": 0}, r"^Train\.accumulate = 0 is not possible"),
        (Train, {"chunk": 0}, r"^Train\.chunk = 0 is not possible"),
        (Train, {"clip": 0}, r"^Train\.clip = 0 is not possible: should be greater than 0"),
        (Train, {"ema": 1}, r"^Train\.ema = 1 is not possible: should be less than 1"),
        (Train, {"ema": 0}, r"^Train\.ema = 0 is not possible: should be greater than 0"),
        (Train, {"checkpoint_seconds": -1}, r"^Train\.checkpoint_seconds = -1 is not possible"),
        (Train, {"optimizer": {"name": "adam"}}, r"^unknown optimizer 'adam'\. Did you mean 'adamw'\?"),
        (Train, {"epoch": 3}, r"^Train\.epoch: there is no such field\. Did you mean 'epochs'\?"),
        (SGD, {"lr": 0}, r"^SGD\.lr = 0 is not possible: should be greater than 0"),
        (SGD, {"momentum": 1}, r"^SGD\.momentum = 1 is not possible: should be less than 1"),
        (SGD, {"weight_decay": -1e-4}, r"^SGD\.weight_decay = -0\.0001 is not possible"),
        (AdamW, {"lr": -1}, r"^AdamW\.lr = -1 is not possible"),
        (AdamW, {"beta1": 1}, r"^AdamW\.beta1 = 1 is not possible"),
        (AdamW, {"beta2": -0.1}, r"^AdamW\.beta2 = -0\.1 is not possible"),
        (
            Schedule,
            {"decay": "exponential"},
            r"^Schedule\.decay = 'exponential' .*'constant', 'cosine', 'linear' or",
        ),
        (Schedule, {"warmup": -1}, r"^Schedule\.warmup = -1 is not possible"),
        (Schedule, {"final": 1.5}, r"^Schedule\.final = 1\.5 is not possible: should be less than or equal to 1"),
        (Schedule, {"factor": 0}, r"^Schedule\.factor = 0 is not possible: should be greater than 0"),
        (Schedule, {"milestones": (0.5, 1.1)}, r"^Schedule\.milestones\.1 = 1\.1 is not possible: should be less than"),
    ],
)
def test_impossible_values_are_refused(kind: type[Spec], fields: dict[str, Any], message: str) -> None:
    with pytest.raises(LimbeckError, match=message):
        kind(**fields)


def test_what_a_training_does_not_do_unless_asked() -> None:
    train = Train()
    assert (train.clip, train.accumulate, train.ema, train.schedule.warmup, train.schedule.final) == (
        None,
        1,
        None,
        0,
        0,
    )


def test_an_optimizer_is_told_apart_by_its_name() -> None:
    train = Train(optimizer={"name": "adamw", "lr": 0.1})  # type: ignore[arg-type]
    assert train.optimizer == AdamW(lr=0.1)
    assert Train(**train.model_dump()) == train
