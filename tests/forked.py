"""The start of a script that forks itself for each run, so that they are warm: a few digits and a brief recipe."""

from __future__ import annotations

BRIEF = """
import os, signal, sys
from pathlib import Path
import torch, torch._dynamo  # which an optimizer imports at its first step: here once, for all that is forked
from limbeck import data, recipes, start
from limbeck.data import digits
from limbeck.evaluation import cost

ONE = cost.Cost(1, 1, 1, 1.0, 1.0, 1.0, 1, None, 1)
cost.costs = lambda networks, *rest, **more: dict.fromkeys(networks, ONE)  # nobody waits for a stopwatch
start.page_of = lambda folder, console: None  # a page takes seconds
few = digits.read(Path(), "train").subset(torch.arange(96))
data.CATALOGUE["few"] = data.Entry("few", "", few.classes, {"train": 96, "test": 96}, 0, lambda folder, split: few)


def brief(epochs, batch_size, **fields):
    "The recipe digits on a few of them, with narrow networks and a checkpoint after every epoch."
    plain = recipes.digits()
    train = plain.train.with_(epochs=epochs, batch_size=batch_size, checkpoint_seconds=0)
    return plain.with_(
        data=plain.data.with_(name="few"),
        teacher=plain.teacher.with_(student=plain.teacher.student.with_(width=0.0625), train=train),
        student=plain.student.with_(width=0.0625),
        train=train,
        device=plain.device.with_(name="cpu", threads=1),
    ).with_(**fields)
"""
