"""Someone else's network is judged: from the command line, beside a teacher, with everything that can be measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from limbeck import data
from limbeck.cli import main
from limbeck.console import Console
from limbeck.files import read_json
from limbeck.judging import evaluating, robustness
from limbeck.models.model import Model
from limbeck.models.sources import Source
from limbeck.models.weights import save_network
from limbeck.recipes import Recipe
from limbeck.training import Engine

FILE = '''
import torch
from torch import nn

class Means(nn.Module):
    """Logits from the mean brightness of each row of four pixels."""

    def __init__(self, classes, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.head = nn.Linear(8, classes)

    def forward(self, images):
        return self.head(images.mean((1, 3)).unflatten(1, (8, -1)).mean(2))

def network():
    return Means(10, 0)

def other():
    return Means(10, 1)

def seven():
    return Means(7, 0)

def softmax():
    return nn.Sequential(Means(10, 0), nn.Softmax(1))
'''


@pytest.fixture
def file(tiny: Recipe) -> Path:
    Path("own.py").write_text(FILE)
    return Path("own.py")


@pytest.fixture
def weights(tiny: Recipe) -> Path:
    """A weights file of limbeck's."""
    torch.manual_seed(2)
    path = Path("own/weights.safetensors")
    save_network(path, tiny.student.build(10, ([0.5] * 3, [0.3] * 3)), tiny.student, tuple("0123456789"), "few")
    return path


def answers_by_hand(seed: int) -> Tensor:
    """What the network of that seed says of the test pictures."""
    pictures = data.load("few", "test")
    torch.manual_seed(seed)
    head = nn.Linear(8, 10)
    rows = (pictures.images.double() / 255).mean((2, 3)).reshape(len(pictures), 8, 4).mean(2)
    return rows @ head.weight.double().T + head.bias.double()


def test_a_network_of_ones_own_beside_a_teacher(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "own.py:network", "--data", "few", "--teacher", "own.py:other", "--json", "x.json", "--quiet"]
    assert main([*words, "--cost", "--device.precision", "fp32"]) == 0
    said, figures = capsys.readouterr().out, read_json(Path("x.json"))
    ours, theirs, labels = answers_by_hand(0), answers_by_hand(1), data.load("few", "test").labels
    values = {(m["role"], m["metric"]): m["value"] for m in figures["measurements"]}
    assert values["network", "accuracy"] == pytest.approx((ours.argmax(1) == labels).double().mean().item())
    assert values["network", "nll"] == pytest.approx(nn.functional.cross_entropy(ours, labels).item(), rel=1e-5)
    assert values["network", "agreement"] == pytest.approx((ours.argmax(1) == theirs.argmax(1)).double().mean().item())
    assert ("teacher", "agreement") not in values
    lost = ((theirs.argmax(1) == labels) & (ours.argmax(1) != labels)).nonzero().flatten().tolist()
    entries = {entry["role"]: entry for entry in figures["details"]["entries"]}
    assert list(entries) == ["teacher", "network"]
    assert entries["network"]["regressions"]["pictures"] == lost
    assert [(n["role"], n["model"], n["parameters"]) for n in figures["networks"]] == [
        ("teacher", "own.py:other", 90),
        ("network", "own.py:network", 90),
    ]
    assert [row["role"] for row in figures["cost"]["networks"]] == ["teacher", "network"]
    assert "same mistakes, %" in said
    assert "cost, measured in turn" in said
    assert "ms at batch 1" in said


def test_corrupted_pictures_too(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(robustness, "corrupted_set", lambda pictures, kind, severity: pictures)
    assert main(["evaluate", "own.py:network", "--data", "few", "--corruptions", "--json", "x.json", "--quiet"]) == 0
    figures, said = read_json(Path("x.json")), capsys.readouterr().out
    whole, asked = (
        next(m["value"] for m in figures["measurements"] if m["metric"] == metric)
        for metric in ("accuracy", "corruption_accuracy")
    )
    assert asked == pytest.approx(whole)
    assert "few test (40): accuracy in % on corrupted pictures" in said
    assert set(figures["details"]["entries"][0]["corruptions"]["families"]) == {"noise", "blur", "weather", "digital"}
    assert sorted(path.name for path in Path().iterdir()) == ["own.py", "x.json"]  # nothing is kept of it


def test_what_networks_may_be_compared(file: Path, weights: Path, engine: Engine) -> None:
    quiet = Console(quiet=True)
    found = evaluating.evaluate(weights, engine=engine, console=quiet, teacher="own.py:network")
    assert [network["role"] for network in found["networks"]] == ["teacher", "network"]
    assert any(m["metric"] == "agreement" for m in found["measurements"])
    turned = evaluating.evaluate("own.py:network", ["few"], engine=engine, console=quiet, teacher=weights)
    assert [network["model"] for network in turned["networks"]] == ["nin_cifar x0.0625", "own.py:network"]
    kl = [next(m["value"] for m in each["measurements"] if m["metric"] == "kl") for each in (found, turned)]
    assert kl[0] != kl[1] > 0


def test_normalisation_reaches_the_network(file: Path, engine: Engine) -> None:
    source = Source(name="own.py:network", mean=(1.0,) * 3, std=(1.0,) * 3)
    plain, normalised = (
        evaluating.evaluate(what, ["few"], engine=engine, console=Console(quiet=True))["measurements"]
        for what in ("own.py:network", source)
    )
    assert plain != normalised
    torch.manual_seed(0)
    head = nn.Linear(8, 10)
    shifted = answers_by_hand(0) - head.weight.double().sum(1)
    right = (shifted.argmax(1) == data.load("few", "test").labels).double().mean().item()
    assert normalised[0]["value"] == pytest.approx(right)


def test_probabilities_are_remarked_upon(file: Path, engine: Engine) -> None:
    found = evaluating.evaluate("own.py:softmax", ["few"], engine=engine, console=Console(quiet=True))
    assert [note for note in found["notes"] if note.startswith("own.py:softmax answers with probabilities where ")]


def test_refusals(file: Path, weights: Path, fails: Callable[..., str]) -> None:
    assert fails("evaluate", "own.py:network") == (
        "error: On which pictures is own.py:network judged? Type --data with the name of a data set; `limbeck data "
        "list` shows them.\n"
    )
    said = fails("evaluate", "own.py:seven", "--data", "few", "--quiet")
    assert said == "error: own.py:seven answers with 7 classes, but few has 10. Choose another data set or network.\n"
    said = fails("evaluate", "torchvision/squeezenet1_1", "--data", "few", "--quiet")
    assert said.startswith(
        "error: torchvision/squeezenet1_1 has random weights: it has nothing to say yet. Give a file"
    )
    said = fails("evaluate", "own.py:network", "--data", "few", "./few", "--quiet")
    assert said.startswith("error: two data sets would both be called few: few and ./few. Rename a folder, or judge")
    other = Model(name="nin_cifar", width=0.0625)
    save_network(Path("abc.safetensors"), other.build(10, ([0.5] * 3, [0.3] * 3)), other, tuple("abcdefghij"), "few")
    said = fails("evaluate", "own.py:network", "--data", "few", "--teacher", "abc.safetensors", "--quiet")
    assert "the network in abc.safetensors knows the 10 classes a, b, c, ..., but few has" in said


def test_teachers_of_runs(file: Path, tiny: Recipe, fails: Callable[..., str]) -> None:
    assert main(["run", "tiny", "--protocol.seeds", "0", "--train.epochs", "1", "--out", "out", "--quiet"]) == 0
    said = fails("evaluate", "out", "--teacher", "own.py:network", "--quiet")
    assert said == "error: out has a teacher of its own. Leave --teacher away.\n"
    assert main(["evaluate", "own.py:network", "--data", "few", "--teacher", "out", "--json", "x.json", "--quiet"]) == 0
    found = read_json(Path("x.json"))
    assert [network["model"] for network in found["networks"]] == ["alexnet_cifar x0.0625", "own.py:network"]
    scaled = [m["role"] for m in found["measurements"] if m["metric"] == "nll_scaled"]
    assert scaled == ["teacher"]  # whose answers on held-out pictures are kept in its run
    assert main(["run", "tiny", "--objective", "cross_entropy", "--train.epochs", "1", "--out", "b", "--quiet"]) == 0
    said = fails("evaluate", "own.py:network", "--data", "few", "--teacher", "b", "--quiet")
    assert said == "error: --teacher b: this run has no teacher. Give the weights file of one of its networks.\n"
