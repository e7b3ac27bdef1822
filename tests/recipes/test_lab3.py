"""The lab's recipe has the lab's mistakes: each quirk against the notebook's own way of writing it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limbeck import start, streams
from limbeck.console import Console
from limbeck.data import Dataset
from limbeck.data.views import AutoAugment, Views, make_views
from limbeck.models.model import Model
from limbeck.objectives import Batch, Outputs, cross_entropy
from limbeck.recipes import Recipe, Training, lab3
from limbeck.recipes.lab3 import DoubleSoftmax, InTrainMode
from limbeck.teachers import Assignment
from limbeck.training import SGD, Engine

ZERO = torch.zeros(())


def batch(labels: Tensor) -> Batch:
    return Batch(torch.arange(len(labels)), torch.zeros(len(labels), 3, 4, 4), labels, ZERO, ZERO, ZERO)


def test_the_loss_is_the_notebooks() -> None:
    student, teacher = 6 * torch.randn(2, 8, 10, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(8)
    parts = DoubleSoftmax().forward(Outputs(student), Outputs(teacher), batch(labels))
    notebook = nn.CrossEntropyLoss()(nn.Softmax(dim=1)(student / 5), nn.Softmax(dim=1)(teacher / 5))
    torch.testing.assert_close(parts, {"double_softmax": notebook})
    more = DoubleSoftmax(weight=3, labels=0.5).forward(Outputs(student), Outputs(teacher), batch(labels))
    torch.testing.assert_close(more, {"double_softmax": 3 * notebook, "labels": 0.5 * cross_entropy(student, labels)})


def test_the_loss_cannot_fall_however_right_the_student_is() -> None:
    sure = 1e4 * F.one_hot(torch.arange(10), 10).float()
    floor = DoubleSoftmax().forward(Outputs(sure), Outputs(sure), batch(torch.arange(10)))["double_softmax"]
    assert floor.item() == pytest.approx(-math.log(math.e / (math.e + 9)), abs=1e-5)  # 1.46


def test_the_penalty_is_the_weight_decay() -> None:
    """5e-5 times the sum of squares in the loss, and momentum without Nesterov: the same steps."""
    recipe = lab3()
    penalised, decayed = (nn.Parameter(torch.tensor([1.0, -2.0, 3.0])) for _ in range(2))
    notebook = torch.optim.SGD([penalised], lr=1e-3, momentum=0.9)
    ours = recipe.train.optimizer.build([decayed])
    for target in (0.5, -1.0, 2.0):
        for parameter, optimizer, penalty in ((penalised, notebook, 5e-5), (decayed, ours, 0.0)):
            loss = (parameter - target).pow(2).sum() + penalty * parameter.pow(2).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    torch.testing.assert_close(decayed, penalised, rtol=0, atol=1e-7)


def test_the_teacher_is_asked_in_train_mode(pictures: Dataset, engine: Engine) -> None:
    network = Model(name="alexnet_cifar", width=0.0625).build(10, pictures.statistics())
    index = torch.arange(64)
    views = make_views(pictures.fetch(index), index, Views(), 0, 0)
    teacher = InTrainMode().build(Assignment(network.eval(), engine, pictures, Views(), 0, Path(), Console(quiet=True)))
    with streams.seeded(0, "dropout", 0):
        first, second = (teacher.outputs(index, views, 0).logits for _ in range(2))
    with streams.seeded(0, "dropout", 0):
        again = teacher.outputs(index, views, 0).logits
    assert not torch.equal(first, second)
    assert torch.equal(again, first)
    assert not first.requires_grad
    assert not any(module.training for module in network.modules())  # judged as it should be


def test_the_student_has_no_dropout(pictures: Dataset) -> None:
    network = lab3().student.with_(width=0.0625).build(10, pictures.statistics()).train()
    images = torch.rand(4, 3, 32, 32)
    assert torch.equal(network(images), network(images))
    torch.testing.assert_close(network.scale.flatten(), torch.full((3,), 2.0))  # normalised by one half
    torch.testing.assert_close(network.shift.flatten(), torch.full((3,), -1.0))


def test_the_rest_of_it() -> None:
    recipe = lab3()
    assert isinstance(recipe.teacher, Training)
    for training in (recipe, recipe.teacher):
        assert training.views == Views(crop=0, flip=False, policy=AutoAugment(learned_on="imagenet"))
        assert (training.train.epochs, training.train.batch_size, training.train.ema, training.train.clip) == (
            *(10, 32, None, None),
        )
        assert training.train.schedule.share(10_000, 15_630, 1563) == 1
    assert recipe.teacher.train.optimizer == SGD(lr=1e-3, momentum=0.9, nesterov=False, weight_decay=0)
    assert recipe.student.name == "nin_cifar"
    assert recipe.student.width == 1
    assert recipe.protocol.holdout == 0


def test_it_runs_and_continues(tiny: Recipe, few: str) -> None:
    """The quirks go through a whole run, and through its recipe.json."""
    recipe = lab3()
    assert isinstance(recipe.teacher, Training)
    narrow = recipe.with_(
        data=tiny.data,
        student=recipe.student.with_(width=0.0625),
        train=recipe.train.with_(epochs=1),
        teacher=recipe.teacher.with_(
            student=recipe.teacher.student.with_(width=0.0625), train=recipe.teacher.train.with_(epochs=1)
        ),
        device=tiny.device,
        protocol=tiny.protocol.with_(seeds=(0,)),
    )
    first = start.run(narrow, Path("lab"))
    (first.folder / "results.json").unlink()
    assert start.run(narrow, Path("lab")).results == first.results
