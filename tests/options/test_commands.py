"""The words of a command that are no options: a recipe's name, a run's folder, a weights file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from plain import PLAIN

from limbeck import models
from limbeck.errors import LimbeckError
from limbeck.models.sources import Source
from limbeck.objectives import CrossEntropy
from limbeck.options import (
    EvaluateOptions,
    RunOptions,
    describe,
    parse_evaluate,
    parse_export,
    parse_predict,
    parse_run,
    sketch,
)
from limbeck.recipes import Weights


class TestTheRecipesName:
    @pytest.mark.parametrize(
        ("words", "name", "epochs"),
        [
            ("", "digits", 18),
            ("cifar10_cpu", "cifar10_cpu", 8),
            ("--quiet cifar10_cpu", "cifar10_cpu", 8),
            ("--train.epochs 3 cifar10_cpu", "cifar10_cpu", 3),
            ("--train.epochs=3 --views.no-flip cifar10_cpu --fresh", "cifar10_cpu", 3),
            ("--protocol.seeds 0 1 2", "digits", 18),
            ("--protocol.seeds 0 1 2 --fresh cifar10_cpu", "cifar10_cpu", 8),
            ("--data.name cifar10", "digits", 18),
        ],
    )
    def test_it_may_stand_anywhere(self, words: str, name: str, epochs: int) -> None:
        recipe, _ = parse_run(words.split(), "")
        assert (recipe.name, recipe.train.epochs) == (name, epochs)

    @pytest.mark.parametrize("words", ["--help cifar10_cpu", "-h cifar10_cpu", "cifar10_cpu --help"])
    def test_help_is_about_it(self, words: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            parse_run(words.split(), "")
        assert "shown with what the recipe cifar10_cpu has." in capsys.readouterr().out

    def test_an_unknown_option_before_it_is_what_is_refused(self) -> None:
        with pytest.raises(LimbeckError, match=r"^--objective\.beth: there is no such option"):
            parse_run(["--objective.beth", "3", "cifar10"], "")

    def test_a_runs_folder_is_continued(self, run_folder: Path) -> None:
        assert parse_run(["runs/x", "--quiet"], "") == (PLAIN, RunOptions(out=Path("runs/x"), quiet=True))
        assert parse_run(["runs/x", "--out", "y"], "") == (PLAIN, RunOptions(out=Path("y")))

    def test_a_runs_folder_and_another_recipe_is_another_run(self, run_folder: Path) -> None:
        recipe, options = parse_run(["runs/x", "--train.epochs", "3"], "")
        assert recipe == PLAIN.with_(train=PLAIN.train.with_(epochs=3))
        assert options.out is None

    def test_a_folder_that_is_no_runs(self, run_folder: Path) -> None:
        with pytest.raises(LimbeckError, match=r"^runs is a folder, but not of a run: it has no recipe\.json\. Give"):
            parse_run(["runs"], "")

    def test_a_recipe_is_described_as_run_takes_it(self, run_folder: Path) -> None:
        assert describe("runs/x") == (
            "runs/x\n"
            "  recipe plain, on digits, judged on digits\n"
            "  teacher: alexnet_cifar x0.5, 20 epochs\n"
            "  student: nin_cifar, 15 epochs, alone by cross_entropy and distilled by kd, seeds 0 1 2\n\n"
            "  Command: limbeck run runs/x\n"
        )
        weights = Weights(path=Path("w.safetensors"))
        assert "teacher: w.safetensors" in sketch(PLAIN.with_(teacher=weights))
        assert "teacher" not in sketch(PLAIN.with_(teacher=None, objective=CrossEntropy()))


@pytest.mark.parametrize(
    ("asks", "words"),
    [
        (parse_run, "--student.name net.py"),
        (parse_run, "--teacher net.py"),
        (parse_evaluate, "net.py"),
        (lambda words, _: models.tables(words), "net.py"),
    ],
)
def test_a_file_whose_function_was_forgotten(
    asks: Callable[[list[str], str], object], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text("raise SystemExit\ndef _hidden(): ...\ndef small(): ...\ndef big(): ...\n")
    with pytest.raises(LimbeckError, match=r" net\.py:small, net\.py:big$"):
        asks(words.split(), "")


@pytest.mark.parametrize("asks", [parse_predict, parse_export, parse_evaluate])
def test_what_a_command_offers_is_what_it_takes(asks: Callable[[list[str], str], object], run_folder: Path) -> None:
    def said(*words: str) -> str:
        with pytest.raises(LimbeckError) as caught:
            asks([words[0], *(["a.png"] if asks is parse_predict else []), *words[1:]], "")
        return str(caught.value)

    offered = said("nosuch.onnx")
    assert ("student.onnx of `limbeck export`" in offered) == (asks is parse_predict)
    assert ("timm/NAME" in offered) == (asks is parse_evaluate)
    if asks is not parse_evaluate:
        others = said("net.pt2"), said("timm/test_resnet"), said("net.py:small")
        assert all("what its classes are called, nor what it was trained on. Give the folder" in one for one in others)
    assert said("runs/x", "--code", "nett.py").startswith("--code nett.py: file nett.py does not exist. Files of your")
    assert said("runs/x", "--code", "--quiet" if asks is not parse_predict else "--top").startswith("--code needs a v")


class TestWhatIsEvaluated:
    @pytest.fixture
    def weights(self, run_folder: Path) -> str:
        return str(run_folder / "teacher" / "weights.safetensors")

    def refusal(self, *words: str) -> str:
        with pytest.raises(LimbeckError) as caught:
            parse_evaluate(words, "")
        return str(caught.value)

    def test_the_options(self, weights: str) -> None:
        words = ["--split", "train", weights, "--data", "digits", "few", "--json", "new/figures.json"]
        path, asked = parse_evaluate(words, "")
        assert path == Path(weights)
        assert (asked.split, asked.data, asked.json_) == ("train", ("digits", "few"), Path("new/figures.json"))
        assert parse_evaluate(["runs/x"], "")[1] == EvaluateOptions()

    def test_nothing_or_too_much(self, weights: str) -> None:
        assert self.refusal("--data", weights).startswith("which run's folder, or which weights file? Type it first: ")
        assert self.refusal("a", "b").startswith("which one of a, b? Type it first: limbeck evaluate runs/RUN")

    def test_what_does_not_exist(self, run_folder: Path) -> None:
        run_folder.with_name("digits-1a2b3c4d").mkdir()
        (run_folder.with_name("digits-1a2b3c4d") / "recipe.json").touch()
        said = "does not exist. Give the folder of a run, a weights file (FOLDER/weights.safetensors), or a network's n"
        assert self.refusal("digits-1a2b").startswith(f"digits-1a2b {said}")
        for name in ("digits-1a2b", "nowhere"):
            assert self.refusal(name).endswith("timm/NAME). There is runs/digits-1a2b3c4d.")
        shutil.rmtree("runs")
        assert self.refusal("nowhere").endswith("`limbeck run` makes a run, in the folder runs.")

    def test_what_is_not_trained(self, run_folder: Path) -> None:
        Path("own.py").touch()
        Path("model.pth").touch()
        assert self.refusal("runs/x/recipe.json").startswith("runs/x/recipe.json is a recipe, not something trained.")
        said = self.refusal("own.py")
        assert said.startswith("own.py is a recipe, not something trained. Type `limbeck run own.py`")
        assert said.endswith("Of a file with a network of your own, give own.py:FUNCTION")
        said = self.refusal("model.pth")
        assert said.startswith("model.pth is no weights file: those end in .safetensors. Give the folder of a run, ")
        assert said.endswith("(TorchScript), torchvision/NAME or timm/NAME).")

    def test_a_network_by_its_name(self, weights: str) -> None:
        words = ["own.py:network", "--weights", "state.pt", "--mean", ".5", ".5", ".5", "--std", "1", "1", "1"]
        source, asked = parse_evaluate([*words, "--teacher", weights], "")
        assert source == Source(name="own.py:network", weights=Path("state.pt"), mean=(0.5,) * 3, std=(1.0,) * 3)
        assert asked.teacher == weights
        assert (
            self.refusal("timm/resnet18", "--mean", "0", "0", "0")
            == "timm/resnet18: mean and std belong together; give both, each one number a channel (3 of colours), or "
            "none."
        )
        assert (
            self.refusal("model.pt2", "--weights", "x.pt")
            == "model.pt2: such a file has its weights in it; leave weights away."
        )
        said = self.refusal(weights, "--std", "1", "1", "1")
        assert said.startswith(f"--std is for a network's name, and {weights} is none: it brings its own. Names are ")
        assert self.refusal("own.py:network", "--teacher", "nowhere").startswith("nowhere does not exist. Give the ")

    def test_figures_that_could_not_be_written(self, weights: str) -> None:
        assert self.refusal(weights, "--json", "runs") == "--json runs: this is a folder. Type --json runs/figures.json"
        Path("file").touch()
        assert self.refusal(weights, "--json", "file/x.json").startswith("cannot write file")
        assert not list(Path().rglob("*.part"))
