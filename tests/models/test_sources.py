"""Networks by the names that people type: what each form gives, and what is refused."""

from __future__ import annotations

import builtins
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.models import state
from limbeck.models.model import Model
from limbeck.models.normalised import Normalised, plain
from limbeck.models.sources import Source, is_source, refuse_what_does_not_answer
from limbeck.spec import SpecError

FILE = """
import torch
from torch import nn
from beside import CHANNELS

class Small(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.head = nn.Linear(CHANNELS, classes)

    def forward(self, images):
        return self.head(images.mean((2, 3)))

def network():
    torch.manual_seed(3)
    return Small()

def deep(depth):
    return Small()

def state():
    return Small().state_dict()

def broken():
    raise FileNotFoundError("weights.bin")

ten = 10
"""
STATISTICS = (0.5, 0.4, 0.3), (0.2, 0.1, 0.4)
PICTURES = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """own.py, from where the test works, and what it imports beside it."""
    monkeypatch.chdir(tmp_path)
    Path("beside.py").write_text("CHANNELS = 3\n")
    Path("own.py").write_text(FILE)
    return Path("own.py")


@pytest.fixture
def small(file: Path) -> nn.Module:
    return Source(name=f"{file}:network").build(10)


def refusal(what: Callable[[], Any]) -> str:
    with pytest.raises(LimbeckError) as caught:
        what()
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "does"),
    [
        *(("a/b.py:net", True), ("b.pt2", True), ("b.pt", True), ("b.ts", True), ("timm/x", True)),
        *(
            ("torchvision/x", True),
            ("b.py", False),
            ("weights.safetensors", False),
            ("runs/x", False),
            ("b.pth", False),
        ),
    ],
)
def test_forms(name: str, does: bool) -> None:
    assert is_source(name) is does


def test_a_function_of_a_file(small: nn.Module) -> None:
    torch.manual_seed(3)
    head = nn.Linear(3, 10)
    assert not small.training
    torch.testing.assert_close(small(PICTURES), head(PICTURES.mean((2, 3))))


def test_pictures_are_normalised_where_it_is_asked_for(file: Path, small: nn.Module) -> None:
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 2.0)
    network = Source(name="own.py:network", mean=mean, std=std).build(10)
    by_hand = (PICTURES - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    torch.testing.assert_close(network(PICTURES), small(by_hand))
    assert (network(PICTURES) - small(PICTURES)).abs().max() > 0.1


def test_an_exported_program_and_torchscript_say_what_the_network_says(small: nn.Module) -> None:
    batch = torch.export.Dim("batch")
    torch.export.save(torch.export.export(small, (PICTURES,), dynamic_shapes=({0: batch},)), "net.pt2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(small, PICTURES), "net.pt")
    for name in ("net.pt2", "net.pt"):
        network = Source(name=name).build(10)
        network.train()
        network.eval()
        assert not network.training
        torch.testing.assert_close(network(PICTURES[:2]), small(PICTURES[:2]))
        assert sum(weight.numel() for weight in network.parameters()) == 40


@pytest.mark.parametrize("how", ["plain", "wrapped", "safetensors"])
def test_weights(file: Path, small: nn.Module, how: str) -> None:
    state = {name: tensor + 1 for name, tensor in plain(small).state_dict().items()}
    path = Path("state.safetensors" if how == "safetensors" else "state.pth")
    if how == "safetensors":
        save_file(state, path)
    else:
        wrapped = {"epoch": 3, "state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}
        torch.save(wrapped if how == "wrapped" else state, path)
    network = Source(name="own.py:network", weights=path).build(10)
    for name, tensor in plain(network).state_dict().items():
        assert torch.equal(tensor, state[name])


def test_weights_by_nearly_their_name(tmp_path: Path) -> None:
    (tmp_path / "teacher.pth").touch()
    with pytest.raises(
        LimbeckError, match=rf"does not exist\. Did you mean {tmp_path / 'teacher.pth'}\? Check the path"
    ):
        state.refuse_absent(tmp_path / "teacher.pht")


def test_weights_that_are_none_or_of_another_network(file: Path, small: nn.Module) -> None:
    state = plain(small).state_dict()
    for name, content in {
        "lacks": {"head.bias": state["head.bias"]},
        "more": {**state, "tail.bias": state["head.bias"]},
        "other": {**state, "head.weight": torch.zeros(1000, 3)},
        "list": [1, 2],
        "code": {"head.bias": Path("own.py")},
    }.items():
        torch.save(content, f"{name}.pth")

    def said(path: str) -> str:
        return refusal(lambda: Source(name="own.py:network", weights=Path(path)).build(10))

    assert said("lacks.pth") == "lacks.pth does not fit own.py:network: it lacks head.weight (1 of 2)."
    assert "it has, which the network has not, tail.bias (1 of 2)." in said("more.pth")
    assert said("other.pth").endswith("with 10 classes: head.weight is (1000, 3) there, and (10, 3) in the network.")
    assert said("list.pth") == "weights file list.pth holds no state dictionary, but list."
    whole = "weights file code.pth holds a whole network, or more than tensors, and is not read: that could run code."
    assert said("code.pth").startswith(
        f"{whole} Where the network is, type in Python torch.save(network.state_dict(), "
    )
    Path("bad.pth").write_bytes(b"no weights")
    assert said("bad.pth").startswith("weights file bad.pth is damaged, or no such file, and is not read: that could ")
    assert said("gone.pth") == "weights file gone.pth does not exist. Check the path."


def test_a_library_makes_as_many_classes_as_there_are(tmp_path: Path) -> None:
    torch.save(Model(name="torchvision/squeezenet1_1").build(7, STATISTICS).network.state_dict(), tmp_path / "w.pth")
    network = Source(name="torchvision/squeezenet1_1", weights=tmp_path / "w.pth").build(7)
    assert network(torch.rand(2, 3, 64, 64)).shape == (2, 7)
    said = refusal(lambda: Source(name="torchvision/squeezenet1_1").build(7))
    assert said.startswith("torchvision/squeezenet1_1 has random weights: it has nothing to say yet. Give a file with")
    said = refusal(lambda: Source(name="torchvision/squeezenet1_2").build(7))
    assert said.startswith("there is no torchvision/squeezenet1_2. Did you mean torchvision/squeezenet1_")


def test_timm_normalises_as_it_says(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    torch.save(timm.create_model("test_resnet", num_classes=4).state_dict(), tmp_path / "w.pth")
    network = Source(name="timm/test_resnet", weights=tmp_path / "w.pth").build(4)
    assert isinstance(network, Normalised)
    mean = torch.tensor(timm.create_model("test_resnet").default_cfg["mean"])
    torch.testing.assert_close(-(network.shift / network.scale).flatten(), mean)
    assert network(torch.rand(2, 3, 64, 64)).shape == (2, 4)
    said = refusal(lambda: Source(name="timm/resnet_18").build(4))
    assert (
        said == "there is no timm/resnet_18. Did you mean timm/resnet18? timm.list_models() gives the names, in Python."
    )


def test_without_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    import_ = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "timm":
            raise ImportError("No module named 'timm'")
        return import_(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    said = refusal(lambda: Source(name="timm/resnet18").build(10))
    assert said == "timm/resnet18 needs timm (No module named 'timm'). Type `pip install timm`."


def test_what_gives_no_network(file: Path) -> None:
    def said(name: str) -> str:
        return refusal(lambda: Source(name=name).build(10))

    assert said("own.py:deep") == (
        "own.py:deep needs depth, but it is called without arguments (or with num_classes). Write a function that "
        "takes none and returns the network."
    )
    assert said("own.py:state").startswith("own.py:state returned OrderedDict, not a torch.nn.Module. Load it into")
    assert said("own.py:broken") == "own.py:broken, line 25, cannot be run: FileNotFoundError: weights.bin"
    assert said("own.py:ten").endswith("Known: Small, broken, deep, network, state.")
    assert said("own.py:netwrk").startswith("unknown function in own.py: 'netwrk'. Did you mean 'network'?")
    assert said("owm.py:network").startswith("file owm.py does not exist. Did you mean own.py? Give path/to/file.py:")
    assert said("gone.pt2").startswith("gone.pt2 does not exist. Give path/to/file.py:FUNCTION, ")
    Path("net.pt2").write_bytes(b"no archive")
    assert said("net.pt2").startswith("net.pt2 is no exported program (torch.export.save): ")
    torch.save({"a": torch.zeros(1)}, "state.pt")
    assert said("state.pt").startswith("state.pt is no TorchScript (RuntimeError: ")
    assert said("state.pt").endswith("for example path/to/file.py:FUNCTION, and type --weights state.pt")
    with pytest.raises(SpecError, match=r"this names no network; give path/to/file\.py:FUNCTION, "):
        Source(name="resnet18")


class TestAnswers:
    """A network is asked before it is judged."""

    @staticmethod
    def tried(network: Callable[[Tensor], Any]) -> str | None:
        return refuse_what_does_not_answer("net", network, PICTURES, ("few", 10))

    def test_logits_pass(self) -> None:
        assert self.tried(lambda images: torch.randn(len(images), 10)) is None

    def test_probabilities_are_noted(self) -> None:
        note = self.tried(lambda images: torch.randn(len(images), 10).softmax(1))
        assert note is not None
        assert note.startswith("net answers with probabilities where logits are expected: its NLL, ECE, Brier score")

    @pytest.mark.parametrize(
        ("answer", "why"),
        [
            (lambda n: torch.zeros(n, 7), "net answers with 7 classes, but few has 10. Choose another data set or "),
            (lambda n: torch.zeros(n, 10, 1), r"5 at once, and answered with \(5, 10, 1\)|answered with \(1, 10, 1\)"),
            (lambda n: torch.zeros(1, 10), r"5 at once, and answered with \(1, 10\): it must be \(B, classes\)"),
            (lambda n: (torch.zeros(n, 10),), "answered with tuple, not with a tensor of logits"),
            (lambda n: torch.full((n, 10), torch.nan), "answered with numbers that are not finite. Are its weights"),
            (lambda n: torch.zeros(1, 10).view(n, 10), "5 at once, and failed: RuntimeError: .* dynamic batch dim"),
            (lambda n: torch.zeros(2)[5], r"of 8 x 8, floats \(B, 3, H, W\) in \[0, 1\], one, and failed: IndexError"),
        ],
    )
    def test_anything_else_is_refused(self, answer: Callable[[int], Any], why: str) -> None:
        with pytest.raises(LimbeckError, match=why):
            self.tried(lambda images: answer(len(images)))
