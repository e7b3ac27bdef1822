"""What the machine could do: counted where it can be worked out by hand, bounded where it cannot."""

from __future__ import annotations

import pytest
import torch
from torch import nn


def test_a_pass_is_counted_by_hand(script):
    # Forward 2 * 3 * 5 * 16 = 480, the weights' gradient as much; the first layer's input needs none.
    network = nn.Conv2d(3, 5, kernel_size=1)
    assert script("machine").training_gflop(network, torch.zeros(1, 3, 4, 4)) * 1e9 == pytest.approx(960)


def test_the_full_student_costs_what_the_lab_document_leads_to(script):
    from limbeck import models

    student = models.build("nin_cifar", num_classes=10)
    assert f"{script('machine').training_gflop(student, torch.zeros(1, 3, 32, 32)):.3f}" == "1.305"


def test_products_are_named_by_precision_and_take_time(script):
    speeds = script("machine").matrix_products(torch.device("cpu"), bf16=True, side=64)
    assert list(speeds) == ["fp32 torch.mm", "fp32 1x1 convolution", "bf16 torch.mm"]
    assert all(0 < speed < 1e6 for speed in speeds.values())


def test_our_own_work_is_not_counted_as_that_of_others(script, monkeypatch):
    machine = script("machine")
    readings = iter([(100.0, 50.0, 10.0), (200.0, 120.0, 60.0)])  # 70 s busy, 50 of them ours, of 100
    monkeypatch.setattr(machine.Others, "_reading", lambda self: next(readings))
    assert machine.Others().share() == 0.2


def test_where_the_system_does_not_tell_the_share_is_unknown(script, monkeypatch):
    machine = script("machine")
    monkeypatch.setattr(machine.Others, "_reading", lambda self: None)
    assert machine.Others().share() is None
