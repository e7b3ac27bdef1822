"""A folder of one's own pictures goes through a run as a data set of the catalogue does."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from limbeck import data, files, report, start
from limbeck.cli import main
from limbeck.console import Console
from limbeck.data import Dataset
from limbeck.errors import LimbeckError
from limbeck.judging import concluding, evaluating, robustness, trained
from limbeck.objectives import KD
from limbeck.recipes import Data, Recipe, Weights, find
from limbeck.report.page.facts import read_facts
from limbeck.shipping import exporting, predicting
from limbeck.shipping.card import model_card
from limbeck.shipping.student import told
from limbeck.training import Engine

QUIET = Console(quiet=True)


@pytest.fixture
def shapes(tiny: Recipe, pictures: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of digits, each with 30 pictures for training and 8 for the test."""
    monkeypatch.setenv("LIMBECK_DATA", str(tmp_path / "cache"))
    for number in range(76):
        split, kind = ("train" if number < 60 else "test"), ("round", "straight")[number % 2]
        path = Path("my shapes", split, kind, f"{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pictures.images[number].numpy()).resize((24, 30)).save(path)
    return Path("my shapes")


@pytest.fixture
def own(tiny: Recipe, shapes: Path) -> Recipe:
    train = tiny.train.with_(epochs=1, batch_size=16)
    return tiny.with_(
        data=Data(name="my shapes", size=16),
        teacher=tiny.teacher.with_(train=train),
        train=train,
        protocol=tiny.protocol.with_(seeds=(0,), holdout=0),
        student=tiny.student.with_(name="resnet8", width=0.25),
    ).with_(teacher=tiny.teacher.with_(train=train, student=tiny.student.with_(name="resnet14", width=0.25)))


def run(recipe: Recipe, out: str = "out", fresh: bool = False) -> dict:
    return start.run(recipe, out, fresh, QUIET).results


def weights(out: str, role: str = "seed0/distilled") -> bytes:
    return Path(out, role, "weights.safetensors").read_bytes()


class TestRun:
    def test_from_the_disk_as_from_memory(self, own: Recipe) -> None:
        """Every bit of every network and figure is the same; only the recipe says which it was."""
        said = [run(own), run(own.with_(data=own.data.with_(memory=0)), "streamed")]
        for role in ("teacher", "seed0/alone", "seed0/distilled"):
            first, second = (
                trained.load_network(Path(out, role, "weights.safetensors")) for out in ("out", "streamed")
            )
            pairs = zip(first.network.state_dict().values(), second.network.state_dict().values(), strict=True)
            assert all(torch.equal(*pair) for pair in pairs)
        assert said[0]["measurements"] == said[1]["measurements"]
        assert set(said[0]["summary"]) == {"my-shapes", "my-shapes/holdout"}
        (note,) = [note for note in said[0]["notes"] if note.startswith("my-shapes: ")]
        assert note.endswith("no val split: 6 of 60 labelled pictures (10 % of each class) are held out for selection.")
        started = json.loads(Path("out/environment.json").read_text())["starts"][0]
        assert started["pictures"] == [note.removeprefix("my-shapes: ")]

    def test_what_is_kept_is_judged_again(self, own: Recipe, engine: Engine, shapes: Path) -> None:
        results = run(own)
        again, details = concluding.reassess(Path("out"))
        assert again["measurements"] == results["measurements"]
        assert details["classes"]["my-shapes"] == ["round", "straight"]
        judged = evaluating.evaluate("out", engine=engine, console=QUIET)
        figures = {(m["role"], m["metric"], m["split"]): m["value"] for m in results["measurements"]}
        for m in judged["measurements"]:
            assert m["value"] == pytest.approx(figures[m["role"], m["metric"], "test"])
        alone = evaluating.evaluate("out/seed0/alone/weights.safetensors", engine=engine, console=QUIET)
        assert alone["summary"]["my-shapes"]["accuracy"]["network"]["mean"] == figures["alone", "accuracy", "test"]
        shutil.copytree(shapes / "test", "others")
        assert not [note for note in judged["notes"] if "changed" in note]
        shutil.copy(shapes / "test/round/60.png", shapes / "test/round/one more.png")
        again = evaluating.evaluate("out", engine=engine, console=QUIET)["notes"]
        assert "my-shapes was changed since out was started: this is of the pictures as they are now." in again
        for size, count in ((None, 16), (16, 16), (24, 16)):  # without splits, all of them are judged on
            found = evaluating.evaluate("out", ["others"], engine=engine, console=QUIET, side=size)
            assert {m["n"] for m in found["measurements"] if m["metric"] == "accuracy"} == {count}
            same = (
                found["summary"]["others"]["accuracy"]["teacher"]
                == judged["summary"]["my-shapes"]["accuracy"]["teacher"]
            )
            assert same or size == 24

    def test_figures_of_corrupted_pictures_are_kept_of_the_runs_own_alone(
        self, own: Recipe, engine: Engine, shapes: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run(own)
        shutil.copytree(shapes / "test", "elsewhere/my shapes")
        right = lambda network, copy, engine: torch.nn.functional.one_hot(copy.labels, 2).float()  # noqa: E731
        monkeypatch.setattr(robustness, "predict", right)
        monkeypatch.setattr(robustness, "corrupted_set", lambda pictures, kind, severity: pictures)

        def kept(*names: str, **how: int) -> dict[Path, bytes]:
            found = evaluating.evaluate("out", names, engine=engine, console=QUIET, corruptions=True, **how)
            assert any(m["metric"] == "corruption_accuracy" for m in found["measurements"])
            return {path: path.read_bytes() for path in Path("out").rglob("corruptions-*")}

        assert kept("elsewhere/my shapes") == kept(side=24) == {}
        assert len(whole := kept()) == 3
        shutil.copy(next(shapes.glob("test/round/*")), shapes / "test/round/one more.png")
        assert kept() == whole

    def test_its_page_and_its_export_have_the_pictures(self, own: Recipe, engine: Engine, shapes: Path) -> None:
        run(own)
        facts = read_facts(Path("out"))
        tests = data.load("my shapes", "test", QUIET, own.data)
        assert torch.equal(facts.pictures, tests.images)
        for what in ("out", "out/seed0/alone/weights.safetensors"):
            student = exporting.chosen(Path(what))
            assert student.reading.of("my shapes", student.learned[0]).size == 16
            assert exporting._views(student, engine, QUIET).shape == (54, 3, 16, 16)
            student.looked_at("ONNX")
        looks = [json.loads(line)["role"] for line in Path("out/evaluations.jsonl").read_text().splitlines()[-2:]]
        assert looks == ["distilled, ONNX", "alone, ONNX"]
        shutil.rmtree(shapes)
        assert read_facts(Path("out")).pictures.startswith("The pictures of my-shapes cannot be had: ")

    def test_what_is_exported_says_which_of_them_it_is(self, own: Recipe) -> None:
        """The card of a student speaks of that one, and has the mean of all; the hub knows no pictures of one's own."""
        run(own)
        student, results = exporting.chosen(Path("out")), files.read_json(Path("out/results.json"))
        assert student.run is not None
        results["summary"]["my-shapes"]["accuracy"]["distilled"] = {"mean": 0.91, "ci95": 0.02, "n": 3}
        results["not_measured"] = [{"what": "temperature scaling", "why": "No held-out picture: alone of seed 0."}]
        for faultless, limits in ((False, ""), (True, "Not measured: temperature scaling.")):
            scaled = {"role": "distilled", "seed": 0, "metric": "ece" if faultless else "ece_scaled"}
            files.write_json(student.run.results, {**results, "measurements": [scaled]})
            known = told(student)
            assert known["limits"] == limits
        assert known["what"].startswith(
            "This is the distilled student of seed 0, from a limbeck run of the recipe `tiny`. It is one of 3 that "
            "differ by their seeds, whose accuracy on the test set is 91.00 ± 2.00 % (mean and 95 % interval over"
        )
        form = {"name": "original", "file": None, "bytes": 1, "accuracy": 0.9, "same_answers": 1.0}
        form |= {"latency_ms": 1.0, "latency_95_ms": 1.0, "images_per_second": 1.0}
        exported = {"title": "resnet8", "dataset": "my-shapes", "n": 16, "picture": [16, 16], "device": "CPU"}
        exported |= {"batch": 2, "forms": [form], "student": {"role": "distilled", "seed": 0}}
        head = model_card(exported, ("round", "straight"), **known).split("---\n")[1]
        assert "datasets:" not in head
        assert "name: my-shapes\n      type: imagefolder\n" in head
        Console(file=(shown := io.StringIO())).show(report.export_table(exported))
        assert shown.getvalue().startswith("resnet8, the distilled student of seed 0, on my-shapes test (16), CPU")

    def test_changed_pictures_are_refused(self, own: Recipe, shapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        conclude = concluding.conclude
        monkeypatch.setattr(concluding, "conclude", lambda *rest: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(own)
        monkeypatch.setattr(concluding, "conclude", conclude)
        file = shapes / "test" / "round" / "60.png"
        content = file.read_bytes()
        shutil.copy(shapes / "train" / "round" / "0.png", file)
        with pytest.raises(LimbeckError) as caught:
            run(own)
        assert str(caught.value).startswith("the pictures of my-shapes were changed since out was started: files were")
        assert "type --fresh to start over" in str(caught.value)
        before = weights("out")
        file.write_bytes(content)
        run(own)
        assert weights("out") == before
        shutil.copy(shapes / "train" / "round" / "0.png", file)
        assert "1 picture is in two splits" in " ".join(run(own, fresh=True)["notes"])

    def test_a_dry_run_and_a_sweep(self, own: Recipe, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
        monkeypatch.setitem(find.__globals__["CATALOGUE"], "own", lambda: own)
        assert main(["run", "own", "--dry-run"]) == 0
        assert "what a run takes on this machine" in capsys.readouterr().out
        assert main(["sweep", "own", "--objective.temperature", "2,4", "--quiet"]) == 0
        assert "2 trials, judged on 6 held-out pictures" in capsys.readouterr().out


class TestUnlabelled:
    @pytest.fixture
    def bare(self, shapes: Path) -> Path:
        """The same folder, its training pictures without labels."""
        (shapes / "train" / "unlabelled").mkdir()
        for kind in ("round", "straight"):
            for file in list((shapes / "train" / kind).iterdir()):
                file.rename(shapes / "train" / "unlabelled" / file.name)
            (shapes / "train" / kind).rmdir()
        return shapes

    def test_distillation_needs_no_label(self, own: Recipe, shapes: Path) -> None:
        """A teacher of labelled pictures teaches a student by the same pictures without labels, as it would with."""
        taught = own.with_(objective=KD(temperature=4, weight=1, labels=0))
        run(taught)
        teacher = Weights(path=Path("out/teacher/weights.safetensors"))
        recipe = taught.with_(teacher=teacher, alone=None)
        TestUnlabelled.bare.__wrapped__(self, shapes)
        said = io.StringIO()
        results = start.run(recipe.with_(data=recipe.data.with_(size=18)), "bare", console=Console(file=said)).results
        assert "  my shapes: 60 training pictures, 60 of them without a label\n" in said.getvalue()
        assert "  resnet14 x0.25 sees pictures normalised by mean 0." in said.getvalue()
        assert f"  {teacher.path} learned on pictures of 16 x 16, and these are 18 x 18\n" in said.getvalue()
        assert {figure["role"] for figure in results["measurements"]} == {"teacher", "distilled"}
        assert set(results["summary"]) == {"my-shapes"}  # nothing is held out of pictures without a label
        rows = [json.loads(row) for row in Path("bare/seed0/distilled/metrics.jsonl").read_text().splitlines()]
        assert all("accuracy" not in row for row in rows)

    def test_who_needs_labels_is_refused(self, own: Recipe, bare: Path) -> None:
        with pytest.raises(
            LimbeckError, match=r"no training picture of my-shapes has a label, so that no teacher can be"
        ):
            run(own)

    def test_somebody_has_to_be_judged(self, own: Recipe, shapes: Path) -> None:
        """Found before anything is trained: without labels, nothing is kept for a test."""
        run(own)
        TestUnlabelled.bare.__wrapped__(self, shapes)
        shutil.rmtree(shapes / "test")
        (shapes / "train" / "unlabelled").rename(shapes / "unlabelled")
        (shapes / "train").rmdir()
        for kind in ("round", "straight"):
            (shapes / kind).mkdir()
        teacher = Weights(path=Path("out/teacher/weights.safetensors"))
        recipe = own.with_(teacher=teacher, alone=None, objective=KD(temperature=4, weight=1, labels=0))
        with pytest.raises(LimbeckError, match=r"my shapes: there are no pictures in its test split, so that nobody"):
            run(recipe, "bare")
        assert not Path("bare").exists()


class TestRecipe:
    def test_it_keeps_the_path_as_typed(self, own: Recipe) -> None:
        assert json.loads(own.model_dump_json())["data"]["name"] == "my shapes"
        assert own.digest() != own.with_(data=own.data.with_(size=24)).digest()

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("--data.name ./xyz", "--data.name ./xyz: there is no folder or CSV ./xyz. Check the path"),
            ("--data.size 64", "--data.size 64: size = 64 is for pictures of your own; those of few keep theirs"),
            ("--data.name more/test", "more/test has no folder for any class"),
            ("--data.name lone --data.test-share 0", "lone has no test split (it has train and val)"),
            ("--data.name few --data.tests lone", "test set lone has other classes (a, b) than the training set"),
        ],
    )
    def test_mistakes(self, fails: Callable[..., str], words: str, said: str) -> None:
        Path("more/test").mkdir(parents=True)
        for kind in "ab":
            Path("lone", kind).mkdir(parents=True)
        assert said in fails("run", "tiny", *words.split())


def test_what_the_command_line_says_of_a_folder(shapes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shapes / "train" / "round" / "0.png").write_bytes(b"")
    shutil.copy(shapes / "train" / "round" / "2.png", shapes / "test" / "round" / "60.png")
    assert main(["data", "list", "my shapes"]) == 0
    said = capsys.readouterr().out
    assert "round    │    26 │   3 │    8" in said
    assert "24 pixels wide, 30 pixels high." in said
    assert "1 broken file is left out (1 of train): train/round/0.png is empty." in said
    assert main(["data", "verify", "my shapes"]) == 2
    said = capsys.readouterr().out
    assert "train/round/0.png is empty" in said
    assert "test/round/60.png is train/round/2.png, in another split" in said
    shutil.rmtree(shapes / "test")
    (shapes / "train" / "round" / "0.png").unlink()
    assert main(["data", "verify", "my shapes"]) == 0
    assert "my shapes: every file is a picture, and none is in two splits" in capsys.readouterr().out
    for file in shapes.rglob("*.png"):
        file.write_bytes(b"")
    assert main(["data", "list", "my shapes"]) == 0
    assert "broken files are left out" in capsys.readouterr().out
    assert main(["data", "fetch", "my shapes"]) == 2
    assert "my shapes is a data set of your own: there is nothing to fetch" in capsys.readouterr().err


def test_predict_reads_a_picture_as_the_training_did(own: Recipe, shapes: Path) -> None:
    run(own.with_(data=own.data.with_(fit="pad", test_share=0.2)))
    (file,) = [path for path in (shapes / "test" / "round").iterdir() if path.name == "60.png"]
    found = predicting.classifier(Path("out/seed0/alone/weights.safetensors"))
    assert (found.side, found.fit) == (16, "pad")
    (said,) = predicting.predict(found, [file])
    logits = files.read_tensors(Path("out/seed0/alone/logits-my-shapes-test.safetensors"))["logits"]
    assert said.probabilities == pytest.approx(logits[0].double().softmax(0).tolist(), abs=1e-5)
