"""How a network is trained: length, optimizer, schedule."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Literal

import torch
from pydantic import Field, SerializeAsAny
from torch import nn

from limbeck.spec import Family, Spec


class Optimizer(Family):
    """Base of the optimizers: a subclass has a ``name``, its numbers as fields, and `build`."""

    lr: float = Field(gt=0, description="Peak learning rate.")

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer that training steps with; the schedule sets its learning rate."""
        raise NotImplementedError


class SGD(Optimizer):
    """Stochastic gradient descent with momentum, Nesterov's by default."""

    name: Literal["sgd"] = "sgd"
    lr: float = Field(0.05, gt=0, description="Peak learning rate.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum.")
    nesterov: bool = Field(True, description="Nesterov's momentum.")
    weight_decay: float = Field(5e-4, ge=0, description="L2 decay on every parameter.")

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer, in torch's fused form."""
        nesterov = self.nesterov and self.momentum > 0
        return torch.optim.SGD(
            parameters, self.lr, self.momentum, weight_decay=self.weight_decay, nesterov=nesterov, fused=True
        )


class AdamW(Optimizer):
    """AdamW (Loshchilov, Hutter, ICLR 2019)."""

    name: Literal["adamw"] = "adamw"
    lr: float = Field(1e-3, gt=0, description="Peak learning rate.")
    beta1: float = Field(0.9, ge=0, lt=1, description="Decay of the first moment.")
    beta2: float = Field(0.999, ge=0, lt=1, description="Decay of the second moment.")
    weight_decay: float = Field(0.05, ge=0, description="Decoupled decay on every parameter.")

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer, in torch's fused form."""
        return torch.optim.AdamW(
            parameters, self.lr, (self.beta1, self.beta2), weight_decay=self.weight_decay, fused=True
        )


Share = Annotated[float, Field(ge=0, le=1)]


class Schedule(Spec):
    """The learning rate over a training, as a share of its peak: a linear warm-up, then a decay."""

    decay: Literal["constant", "cosine", "linear", "steps"] = Field("cosine", description="Shape after the warm-up.")
    warmup: float = Field(0.0, ge=0, description="Epochs of linear warm-up from near 0.")
    final: float = Field(0.0, ge=0, le=1, description="Share of the peak reached at the end (cosine, linear).")
    milestones: tuple[Share, ...] = Field((0.6, 0.8), description="Shares of the training after which steps decays.")
    factor: float = Field(0.1, gt=0, le=1, description="What each milestone multiplies the rate by (steps).")

    def share(self, step: int, steps: int, steps_per_epoch: int) -> float:
        """The learning rate of a step as a share of the peak.

        Args:
            step: from 0 to ``steps`` - 1.
            steps: optimizer steps of the whole training.
            steps_per_epoch: optimizer steps of one epoch.
        """
        warmup = min(round(self.warmup * steps_per_epoch), steps - 1)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if self.decay == "steps":
            return self.factor ** sum(step >= milestone * steps for milestone in self.milestones)
        done = (step - warmup) / (steps - warmup)
        falls = {"constant": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}[self.decay]
        return falls if self.decay == "constant" else self.final + (1 - self.final) * falls


class Train(Spec):
    """How one network is trained. Teacher, student alone and distilled student go through the same loop."""

    epochs: int = Field(30, ge=0, description="Passes over the training set.")
    batch_size: int = Field(128, ge=1, description="Pictures in an optimizer step.")
    optimizer: SerializeAsAny[Optimizer] = Field(SGD(), description="sgd or adamw.")
    schedule: Schedule = Schedule()
    clip: float | None = Field(None, gt=0, description="Largest norm of the gradient; none leaves it.")
    accumulate: int = Field(
        1,
        ge=1,
        description="Parts a batch is cut into, to save memory; only dropout and batch statistics differ. Not for "
        "objectives that relate the pictures of a batch.",
    )
    ema: float | None = Field(
        None, gt=0, lt=1, description="Decay of an average of the weights, which is what is kept."
    )
    chunk: int = Field(8, ge=1, description="Batches that are made and labelled by the teacher together.")
    checkpoint_seconds: float = Field(20, ge=0, description="Least time between two checkpoints.")
