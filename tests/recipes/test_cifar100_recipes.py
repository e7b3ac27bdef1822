"""The recipes on CIFAR-100: the published settings, and any method on any of the published pairs."""

from __future__ import annotations

import inspect
import shlex

import pytest
import torch

import limbeck
from limbeck.models.model import Model
from limbeck.objectives import CRD, DKD, KD, Batch, Known, Objective, Tapped, total
from limbeck.options import parse
from limbeck.recipes import CATALOGUE, Data, Protocol, Recipe, Training, cifar100, cifar100_fast
from limbeck.training import SGD, Device, Train

PAIRS = [
    ("resnet56", "resnet20"),
    ("resnet110", "resnet32"),
    ("resnet32x4", "resnet8x4"),
    ("wrn_40_2", "wrn_16_2"),
    ("wrn_40_2", "wrn_40_1"),
    ("vgg13", "vgg8"),
    ("resnet32x4", "shufflenet_v1"),
    ("wrn_40_2", "shufflenet_v1"),
    ("vgg13", "mobilenetv2_half"),
    ("resnet50_cifar", "mobilenetv2_half"),
    ("resnet32x4", "shufflenet_v2"),
]


def test_the_published_settings() -> None:
    recipe = cifar100()
    train = recipe.train
    assert (train.epochs, train.batch_size, train.clip, train.ema) == (240, 64, None, None)
    assert train.optimizer == SGD(lr=0.05, momentum=0.9, nesterov=False, weight_decay=5e-4)
    steps = 782  # of an epoch of 50,000
    rates = [0.05 * train.schedule.share(epoch * steps, 240 * steps, steps) for epoch in range(240)]
    assert rates == pytest.approx([0.05] * 150 + [0.005] * 30 + [0.0005] * 30 + [0.00005] * 30)
    assert (recipe.views.crop, recipe.views.padding, recipe.views.flip) == (4, "zeros", True)
    assert (recipe.views.policy, recipe.views.cutout) == (None, 0)
    assert recipe.objective == KD(temperature=4, weight=0.9, labels=0.1)
    assert recipe.data.test_sets() == ("cifar100",)
    assert isinstance(recipe.teacher, Training)
    assert (recipe.teacher.train, recipe.teacher.views) == (train, recipe.views)


def test_the_fast_setting_is_the_same_comparison_in_fewer_steps() -> None:
    slow, fast = cifar100(), cifar100_fast()
    assert (fast.data, fast.views, fast.student, fast.objective) == (
        slow.data,
        slow.views,
        slow.student,
        slow.objective,
    )
    assert isinstance(fast.teacher, Training)
    assert isinstance(slow.teacher, Training)
    assert fast.teacher.student == slow.teacher.student
    assert 12.5 < 240 * -(-50_000 // 64) / (fast.train.epochs * -(-45_000 // fast.train.batch_size)) < 13.5


def commands(name: str) -> list[list[str]]:
    said = inspect.getdoc(CATALOGUE[name]) or ""
    return [shlex.split(line.partition(": limbeck ")[2]) for line in said.splitlines() if ": limbeck run " in line]


@pytest.mark.parametrize("name", ["cifar100", "cifar100_fast"])
def test_the_commands_in_its_docstring_are_accepted(name: str) -> None:
    assert commands(name)[0] == ["run", name]
    for run, recipe, *options in commands(name):
        assert (run, recipe) == ("run", name)
        parse(CATALOGUE[recipe](), options, f"limbeck run {name}")


def test_another_method_and_another_pair() -> None:
    _, method, pair, mobile = (
        parse(cifar100(), words[2:], "limbeck run cifar100")[0] for words in commands("cifar100")
    )
    assert method == cifar100().with_(objective=DKD())
    assert isinstance(pair.teacher, Training)
    assert (pair.teacher.student.name, pair.student.name) == ("wrn_40_2", "wrn_16_2")
    assert isinstance(mobile.train.optimizer, SGD)
    assert (mobile.train.optimizer.lr, mobile.train.epochs) == (0.01, 240)


@pytest.mark.parametrize(("teacher", "student"), PAIRS)
def test_methods_on_the_published_pairs(teacher: str, student: str) -> None:
    """Each tells the narrow student something: finite, and with a gradient. A sixth of them on each pair, in turn."""
    torch.manual_seed(0)
    statistics = ((0.5,) * 3, (0.25,) * 3)
    taught = Model(name=student, width=0.1).build(5, statistics)
    frozen = Model(name=teacher, width=0.1).build(5, statistics).eval().requires_grad_(False)
    images, labels = torch.rand(6, 3, 32, 32), torch.arange(6) % 5
    known = Known(taught, frozen, images[0], labels, 6)
    batch = Batch(torch.arange(6), images, labels, *torch.tensor([10.0, 30.0, 0.5]))
    ours = [  # other tests have some of their own
        (name, kind)
        for name, kind in Objective.members().items()
        if name != "sum" and kind.__module__.startswith("limbeck.objectives")
    ]
    for name, kind in ours[PAIRS.index((teacher, student)) % 6 :: 6]:
        objective = CRD(negatives=8) if kind is CRD else kind()
        trained = known.of(objective.student(known))
        module = objective.build(trained)
        networks = trained.student_network, frozen
        listening = [Tapped(*pair) for pair in zip(networks, objective.taps(trained), strict=True)]
        loss = total(module(*(tapped(images) for tapped in listening), batch))
        for tapped in listening:
            tapped.close()
        taught.zero_grad()
        loss.backward()
        assert loss.isfinite(), name
        assert any(value.grad is not None and value.grad.any() for value in taught.parameters()), name


def tiny(recipe: Recipe, data: str) -> Recipe:
    """The recipe with narrow networks on a few pictures, for one epoch."""
    train = Train(epochs=1, batch_size=32, optimizer=recipe.train.optimizer, ema=recipe.train.ema)
    assert isinstance(recipe.teacher, Training)
    narrow = recipe.teacher.with_(student=recipe.teacher.student.with_(width=0.1), train=train)
    return recipe.with_(
        data=Data(name=data),
        teacher=narrow,
        student=recipe.student.with_(width=0.1),
        train=train,
        protocol=Protocol(seeds=(0,), holdout=min(recipe.protocol.holdout, 20)),
        device=Device(name="cpu", precision="fp32", compile="off", threads=1),
    )


@pytest.mark.parametrize("name", ["cifar100", "cifar100_fast"])
def test_it_runs(name: str, few: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = limbeck.run(tiny(CATALOGUE[name](), few))
    assert 0 <= result.results["summary"][few]["accuracy"]["distilled"]["mean"] <= 1
