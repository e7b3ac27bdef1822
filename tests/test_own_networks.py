"""Whole runs with networks that limbeck did not make: as student, as teacher, as both."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from limbeck import experiment, own, planning, start, sweeps
from limbeck.cli import main
from limbeck.console import Console
from limbeck.files import read_json, read_metadata, read_tensors
from limbeck.models.model import Model
from limbeck.models.normalised import plain
from limbeck.models.sources import Source
from limbeck.objectives import CrossEntropy, FitNet
from limbeck.recipes import Recipe, Training, find
from limbeck.recipes.recipe import from_json
from limbeck.shipping import exporting
from limbeck.spec import SpecError
from limbeck.sweeps.shelf import Shelf
from limbeck.training import Train

Fails = Callable[..., str]
FILE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes, channels=6):
        super().__init__()
        self.stem, self.act = nn.Conv2d(3, channels, 3, stride=4), nn.ReLU()
        self.head = nn.Linear(channels, classes)

    def forward(self, images):
        return self.head(self.act(self.stem(images)).mean((2, 3)))

def net(num_classes):
    return Net(num_classes)

def trained():
    torch.manual_seed(5)
    return Net(10, 12)

def seven():
    return Net(7)
"""
QUIET = Console(quiet=True)


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("--student.name", "own.py:nett"), "unknown function in own.py: 'nett'. Did you mean 'net'?"),
        (("--teacher", "own.py:nett"), "unknown function in own.py: 'nett'. Did you mean 'net'?"),
        (("--student.name", "timm/resnet81"), "there is no timm/resnet81"),
        (("--teacher", "torchvision/resnet81+own.py:trained"), "there is no torchvision/resnet81"),
        (("--teacher", "gone.pt2"), "gone.pt2 does not exist"),
        (("--student.weights", "gone.pth"), "weights file gone.pth does not exist"),
        (("--teacher", "gone.safetensors"), "weights file gone.safetensors does not exist"),
    ],
)
def test_a_network_that_is_not_there_is_found_out_before_pictures_are_read(
    file: Path, fails: Fails, splits_read: list[str], words: tuple[str, ...], cause: str
) -> None:
    assert cause in fails("run", "tiny", *words)
    assert not splits_read


@pytest.fixture
def file(tiny: Recipe) -> Path:
    """own.py, from where the test works."""
    own.read_anew()
    Path("own.py").write_text(FILE)
    return Path("own.py")


@pytest.fixture
def recipe(tiny: Recipe, file: Path) -> Recipe:
    """A student of one's own and a teacher that is a program; one seed, one epoch."""
    network = Source(name="own.py:trained").build(10)
    program = torch.export.export(
        plain(network), (torch.rand(2, 3, 32, 32),), dynamic_shapes=({0: torch.export.Dim("batch")},)
    )
    torch.export.save(program, "net.pt2")
    return tiny.with_(
        name="own",
        teacher=Source(name="net.pt2"),
        student=Model(name="own.py:net"),
        train=tiny.train.with_(epochs=1),
        protocol=tiny.protocol.with_(seeds=(0,)),
    )


def test_a_run_and_what_it_leaves(recipe: Recipe, fails: Fails, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: dict[str, dict[str, torch.Tensor]] = {}
    trained = experiment.Experiment.fresh

    def remembering(self: experiment.Experiment, model: Model) -> torch.nn.Module:
        network = trained(self, model)
        begun[f"{len(begun)}"] = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        return network

    monkeypatch.setattr(experiment.Experiment, "fresh", remembering)
    result = start.run(recipe, console=QUIET)
    *_, alone, distilled = begun.values()
    assert all(torch.equal(alone[name], distilled[name]) for name in alone)
    models = {row["role"]: row["model"] for row in result.results["networks"]}
    assert models == {"teacher": "net.pt2", "alone": "own.py:net", "distilled": "own.py:net"}
    teacher = read_tensors(result.folder / "teacher/weights.safetensors")
    torch.manual_seed(5)
    assert torch.equal(teacher["network.module.stem.weight"], torch.nn.Conv2d(3, 12, 3, stride=4).weight)
    code = json.loads(read_metadata(result.folder / "seed0/alone/weights.safetensors")["code"])
    assert code == {"own.py": own.stamp(Path("own.py"))}
    assert from_json((result.folder / "recipe.json").read_text(), "it") == recipe
    assert "is made by net.pt2: its code would be run" in fails("evaluate", str(result.folder))
    words = ["evaluate", str(result.folder), "--code", "own.py", "net.pt2", "--quiet", "--json", "x.json"]
    assert main([*words, "--device.precision", "fp32"]) == 0
    again = {(m["role"], m["metric"]): m["value"] for m in read_json(Path("x.json"))["measurements"]}
    first = {(m["role"], m["metric"]): m["value"] for m in result.results["measurements"] if m["split"] == "test"}
    assert again["distilled", "accuracy"] == first["distilled", "accuracy"]
    assert again["teacher", "nll"] == pytest.approx(first["teacher", "nll"], rel=1e-5)
    student = str(result.folder / "seed0/distilled/weights.safetensors")
    assert "--teacher.code own.py" in fails("run", "tiny", "--teacher", student, "--out", "second")
    words = ["run", "tiny", "--teacher", student, "--teacher.code", "own.py", "--train.epochs", "1", "--quiet"]
    assert main([*words, "--protocol.seeds", "0", "--out", "second"]) == 0


def test_a_run_that_ends_with_an_export_answers_without_its_code(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(exporting, "_SECONDS", 0.05)
    Path("recipe.json").write_text(recipe.model_dump_json())
    assert main(["run", "recipe.json", "--out", "out", "--export", "--quiet"]) == 0
    assert "student-int8.onnx" in capsys.readouterr().out
    Image.new("RGB", (20, 20)).save("black.png")
    assert main(["predict", "out", "black.png", "--format", "csv"]) == 0
    assert "black.png" in capsys.readouterr().out


def test_an_edit_of_the_file_makes_another_run(recipe: Recipe) -> None:
    before = recipe.digest()
    assert recipe.digest() == before
    Path("own.py").write_text(FILE + "\n# edited\n")
    assert recipe.digest() == before  # while it runs it stays what it was
    own.read_anew()
    assert recipe.digest() != before
    Path("own.py").unlink()
    assert recipe.digest() != before


def test_it_says_what_it_does_to_networks(
    tiny: Recipe, file: Path, capsys: pytest.CaptureFixture[str], fails: Fails
) -> None:
    pytest.importorskip("timm")
    torch.manual_seed(0)
    state = plain(Model(name="timm/test_resnet").build(1000, ((0,) * 3, (1,) * 3))).state_dict()
    torch.save(state, "w.pth")
    words = ["run", "tiny", "--teacher", "own.py:trained", "--student.name", "timm/test_resnet", "--train.epochs", "1"]
    words += ["--protocol.seeds", "0", "--student.weights", "w.pth", "--objective", "fitnet", "--out", "x"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "  own.py:trained sees pictures as they are, in [0, 1]\n" in said
    assert "  timm/test_resnet sees pictures normalised by mean 0.5" in said
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning._Planner, "work", lambda planner: None)
        assert main([*words[:-2], "--dry-run"]) == 0
    assert "  own.py:trained sees pictures as they are, in [0, 1]\n" in capsys.readouterr().out
    note = "timm/test_resnet: its head of 1000 classes was replaced by a fresh one of 10."
    assert said.count(note) == 2  # before the training, and with the results
    assert note in read_json(Path("x/results.json"))["notes"]
    words[words.index("--teacher") + 1] = "timm/test_resnet"
    said = fails(*words[:-1], "y", "--teacher.weights", "w.pth")
    assert said.startswith(
        "error: --teacher timm/test_resnet: w.pth does not fit timm/test_resnet with 10 classes: fc.weight is (1000, "
    )


def test_what_cannot_be(recipe: Recipe, tiny: Recipe, fails: Fails) -> None:
    with pytest.raises(SpecError, match=r"student\.name = 'net\.pt2' is a program, which cannot be trained; it can be"):
        tiny.with_(student=Model(name="net.pt2"))
    said = fails("run", "tiny", "--teacher", "own.py:seven")
    assert said == (
        "error: --teacher own.py:seven: own.py:seven answers with 7 classes, but few has 10. Choose another data set "
        "or network.\n"
    )
    said = fails("run", "tiny", "--teacher", "net.pt2", "--objective", "fitnet")
    assert said == (
        "error: net.pt2 is a program that nobody can look into, and this objective needs features. Choose one on "
        "logits (--objective kd), or give the network itself, as path/to/file.py:FUNCTION.\n"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(plain(Source(name="own.py:trained").build(10))), "net.pt")
    said = fails(
        "run", "tiny", "--teacher", "net.pt+own.py:trained", "--objective.weight", "1", "--objective", "fitnet"
    )
    assert "features" in said
    assert "onw.py does not exist. Did you mean own.py? Give path" in fails("run", "tiny", "--teacher", "onw.py:net")
    said = fails("run", "tiny", "--teacher", "own.py:trained+own.py:trainee")
    assert said.startswith("error: --teacher own.py:trainee: unknown function in own.py: 'trainee'. Did you mean 'trai")
    Path("w.safetensors").touch()
    said = fails("run", "tiny", "--teacher", "w.safetensors", "--teacher.code", "ow.py")
    assert said == "error: --teacher w.safetensors: file ow.py does not exist. Did you mean own.py?\n"
    said = fails("run", "tiny", "--student.name", "torchvision/alexnet")
    assert said.startswith(
        "error: --student.name torchvision/alexnet: torchvision/alexnet was asked about pictures of 32 x 32, floats"
    )
    assert "type that (--size 224; of a run, --student.size or --teacher.size)" in said


def test_taps_by_path_and_several_teachers(recipe: Recipe) -> None:
    both = recipe.with_(teacher=[Source(name="net.pt2"), Source(name="own.py:trained")])
    built = start.run(both, "both", console=QUIET).results
    assert built["networks"][0]["model"] == "net.pt2 and own.py:trained"
    tapped = recipe.with_(
        teacher=Source(name="own.py:trained"), objective=FitNet(student_taps=("stem",), teacher_taps=("act",))
    )
    assert start.run(tapped, "tapped", console=QUIET).results["status"] == "complete"


def test_a_teacher_of_ones_own_that_is_trained_here(recipe: Recipe) -> None:
    teacher = Training(student=Model(name="own.py:net"), train=Train(epochs=1, batch_size=32), objective=CrossEntropy())
    wider = recipe.with_(teacher=teacher, student=find("tiny").student)
    result = start.run(wider, "wider", console=QUIET).results
    assert [row["model"] for row in result["networks"]][:2] == ["own.py:net", "nin_cifar x0.0625"]


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_weights_to_start_from_that_were_altered_between_two_starts_are_refused(
    tiny: Recipe, fails: Fails, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """For everybody of the chain, and before anything is trained; a sweep's trainings are of what the file holds."""
    model = tiny.student
    state = plain(model.build(10, ((0,) * 3, (1,) * 3))).state_dict()
    torch.save(state, "w.pth")
    words = [command, "tiny", "--teacher.student.name", "nin_cifar", "--teacher.student.weights", "w.pth", "--out", "x"]
    words += ["--objective", "kd,dkd" if command == "sweep" else "kd"]

    def stopped(job: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(experiment, "fit", stopped)
        assert main([*words, "--quiet"]) == 130
    torch.save({name: 2 * value for name, value in state.items()}, "w.pth")
    monkeypatch.setattr(experiment, "fit", stopped)
    assert fails(*words).endswith(
        "error: w.pth was altered since this run first had it: it has another SHA-256 than in x/SHA256SUMS. Put it "
        "back as it was; or type --fresh to start over, or --out with the name of a new folder.\n"
    )


def test_a_sweep_knows_what_weights_to_start_from_hold(tiny: Recipe) -> None:
    def trainings(recipe: Recipe) -> dict[str, str]:
        own.read_anew()
        return Shelf(Path("x"), recipe).trainings()

    started = tiny.with_(student=tiny.student.with_(weights=Path("w.pth")))
    Path("w.pth").write_bytes(b"one")
    before = trainings(started), trainings(tiny)
    Path("w.pth").write_bytes(b"other")
    assert before[1] == trainings(tiny)
    after = trainings(started)
    assert [role for role in after if after[role] != before[0][role]] == ["alone", "distilled"]


def test_a_sweep_trains_it_once(recipe: Recipe) -> None:
    swept = sweeps.sweep(recipe, {"objective.temperature": [2, 4]}, out="swept", console=QUIET)
    assert len(swept.results["ranking"]) == 2
    assert len(list(Path("swept/trainings").glob("*/seed0/weights.safetensors"))) == 4  # teacher, alone, two students
