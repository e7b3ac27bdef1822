"""Answers are kept under a key of all that they depend on, and of nothing else."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from limbeck import own, streams
from limbeck.console import Console
from limbeck.data import Dataset
from limbeck.data.views import RandAugment, Views
from limbeck.models.ensemble import Ensemble
from limbeck.models.model import Model
from limbeck.models.sources import Source
from limbeck.models.weights import load_network, save_network
from limbeck.teachers import Assignment
from limbeck.training import Device, Engine, choose

CODE = "import torch\n\ndef net():\n    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 10))\n"


class Mine(Views):
    """Views of one's own."""


def network(pictures: Dataset, **fields: Any) -> nn.Module:
    with streams.seeded(0, "weights"):
        return Model(name="alexnet_cifar", width=0.0625, **fields).build(10, pictures.statistics())


@pytest.fixture
def asked(pictures: Dataset, engine: Engine, tmp_path: Path) -> Assignment:
    return Assignment(network(pictures), engine, pictures, Views(crop=2), 0, tmp_path, Console(file=io.StringIO()))


def _one_weight_more(asked: Assignment) -> Assignment:
    other = copy.deepcopy(asked.network)
    with torch.no_grad():
        next(other.parameters()).view(-1)[-1] += 1e-6
    return replace(asked, network=other)


def _other_order(asked: Assignment) -> Assignment:
    return replace(asked, pictures=asked.pictures.subset(torch.arange(120).flip(0)))


def _bf16(asked: Assignment) -> Assignment:
    return replace(asked, engine=choose(Device(name="cpu", precision="bf16", compile="off", threads=1)))


def _on_a_gpu(asked: Assignment) -> Assignment:
    return replace(asked, engine=replace(asked.engine, device=torch.device("cuda:0")))


@pytest.mark.parametrize(
    "change",
    [
        _one_weight_more,
        _other_order,
        _bf16,
        _on_a_gpu,
        lambda asked: replace(asked, network=network(asked.pictures, size=40)),  # the same tensors
        lambda asked: replace(asked, network=Ensemble([asked.network, asked.network])),
        lambda asked: replace(asked, pictures=asked.pictures.subset(torch.arange(119))),
        lambda asked: replace(asked, views=Views(crop=3)),
        lambda asked: replace(asked, views=Views(crop=2, padding="reflect")),
        lambda asked: replace(asked, views=Views(crop=2, policy=RandAugment())),
        lambda asked: replace(asked, view_seed=1),
    ],
)
def test_whatever_the_answers_depend_on_makes_another_key(
    asked: Assignment, change: Callable[[Assignment], Assignment]
) -> None:
    assert change(asked).key() != asked.key()


def test_where_things_lie_and_what_they_are_called_makes_none(asked: Assignment, tmp_path: Path) -> None:
    path, pictures = tmp_path / "elsewhere.safetensors", asked.pictures
    model = Model(name="alexnet_cifar", width=0.0625)
    save_network(path, asked.network, model, pictures.classes)
    others = [
        replace(asked, network=load_network(path).network),
        replace(asked, network=copy.deepcopy(asked.network).train(), taps=("features",)),
        replace(asked, pictures=Dataset("others", pictures.classes, pictures.images.clone(), pictures.labels)),
        replace(asked, folder=tmp_path / "elsewhere", console=Console(quiet=True)),
    ]
    assert [other.key() for other in others] == [asked.key()] * 4
    assert asked.title() == "alexnet_cifar x0.0625 on few"


def test_a_network_of_ones_own_is_its_text_and_its_tensors(
    asked: Assignment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there").mkdir()

    def key(file: str, text: str = CODE) -> dict[str, Any]:
        own.read_anew()
        Path(file).write_text(text)
        made = Source(name=f"{file}:net").build(10)
        weights = torch.linspace(-1, 1, 10 * 3072).view(10, 3072)
        made.load_state_dict({**made.state_dict(), "network.1.weight": weights, "network.1.bias": torch.zeros(10)})
        first = replace(asked, network=made).key()
        save_network(Path("net.safetensors"), made, made.description, asked.pictures.classes)
        again = load_network(Path("net.safetensors"), [Path(file)]).network
        assert replace(asked, network=again).key() == first
        return first

    first = key("own.py")
    assert first == key("there/other.py") == key("./own.py")
    assert key("own.py", CODE + "# edited\n") != first


def test_a_network_that_limbeck_did_not_make_is_its_form_its_tensors_and_its_classes_text(asked: Assignment) -> None:
    def key(*layers: nn.Module) -> dict[str, Any]:
        return replace(asked, network=nn.Sequential(nn.Flatten(), *layers)).key()

    assert key(nn.ReLU()) == key(nn.ReLU()) != key(nn.GELU())
    assert key(nn.Dropout(0.1)) != key(nn.Dropout(0.2))


def test_the_text_of_ones_own_views_counts(asked: Assignment, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = replace(asked, views=Mine(crop=2))
    before = mine.key()
    assert before == mine.key()
    monkeypatch.setattr(own, "source", lambda kind: "edited")
    assert mine.key() != before
