"""Pictures asked about from the command line: files, folders, the input; table, JSON, CSV; broken ones are named."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from limbeck.cli import main
from limbeck.data import Reading
from limbeck.errors import LimbeckError
from limbeck.models.model import Model
from limbeck.models.weights import save_network
from limbeck.shipping import exporting, predicting

CLASSES = ("red", "green", "blue")


class _Brightest(torch.nn.Module):
    """Knows the colour that there is most of."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 20 * images.mean((2, 3))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = Model(name="resnet8", width=0.25).build(3, ([0.5] * 3, [0.25] * 3)).eval()
    save_network(tmp_path / "weights.safetensors", network, network.description, CLASSES, side=32)
    return tmp_path / "weights.safetensors"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with a red, a green and a blue picture, of other sizes and kinds, and a file that is no picture."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    Image.new("RGB", (50, 40), "red").save(folder / "a.png")
    Image.new("RGBA", (20, 64), "lime").save(folder / "b.webp")
    Image.new("RGB", (33, 33), "blue").save(folder / "more" / "c.JPG", "JPEG")
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
def brightest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        predicting,
        "classifier",
        lambda what, side=None, code=(): predicting.Classifier(_Brightest(), CLASSES, side or 32, what),
    )


def test_probabilities_are_the_softmax_of_what_the_network_says(weights: Path, pictures: Path) -> None:
    asked = predicting.classifier(weights)
    (found,) = predicting.predict(asked, [pictures / "a.png"])
    red = torch.zeros(1, 3, 32, 32)
    red[:, 0] = 1
    assert found.probabilities == pytest.approx(asked.network(red).double().softmax(1)[0].tolist(), abs=1e-6)
    assert sum(found.probabilities) == pytest.approx(1)


@pytest.mark.usefixtures("brightest")
def test_folders_stand_for_their_pictures(weights: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(weights), str(pictures), "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(Path(row["picture"]).name, row["answer"]) for row in rows] == [
        ("a.png", "red"),
        ("b.webp", "green"),
        ("c.JPG", "blue"),
    ]
    assert all(sum(float(row[name]) for name in CLASSES) == pytest.approx(1, abs=1e-5) for row in rows)


@pytest.mark.usefixtures("brightest")
def test_a_picture_on_the_input_and_json(
    weights: Path, pictures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Input:
        buffer = io.BytesIO((pictures / "b.webp").read_bytes())

    monkeypatch.setattr(sys, "stdin", Input())
    assert main(["predict", str(weights), "-", "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["picture"], row["answer"]) == ("the standard input", "green")
    assert list(row["probabilities"]) == list(CLASSES)


@pytest.mark.usefixtures("brightest")
def test_a_broken_picture_is_named_and_the_others_are_answered(
    weights: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = pictures / "cut.png"
    broken.write_bytes((pictures / "a.png").read_bytes()[:60])
    assert main(["predict", str(weights), str(pictures / "a.png"), str(broken)]) == 2
    said = capsys.readouterr()
    assert "red" in said.out
    assert "1 of 2 pictures cannot be read" in said.err
    assert "cut.png" in said.err
    assert main(["predict", str(weights), str(broken), "--format", "csv"]) == 2
    heading, row = capsys.readouterr().out.splitlines()
    assert row == f"{broken}{',' * heading.count(',')}"  # every row has every column


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predict"], "who is asked"),
        (["predict", "WEIGHTS"], "is asked about nothing"),
        (["predict", "WEIGHTS", "nothing.png"], "nothing.png does not exist"),
        (["predict", "WEIGHTS", "https://example.org/a.png"], "https://example.org/a.png is an address"),
        (["predict", "WEIGHTS", "EMPTY"], "holds no pictures"),
    ],
)
def test_what_is_missing_is_said(
    words: list[str], message: str, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    typed = {"WEIGHTS": str(weights), "EMPTY": str(tmp_path / "empty")}
    assert main([typed.get(word, word) for word in words]) == 2
    assert message in capsys.readouterr().err


def test_a_broken_onnx_file_is_named(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    helper = pytest.importorskip("onnx").helper
    pytest.importorskip("onnxruntime")
    graph = helper.make_graph([helper.make_node("Identity", ["images"], ["logits"])], "it", [], [])
    model = helper.make_model(graph)
    helper.set_model_props(model, {"labels": "[red, green"})
    whole, path = model.SerializeToString(), tmp_path / "broken.onnx"
    for content, why in (
        (whole[:-5], "cannot read .*broken.onnx: it is damaged, or no ONNX file"),
        (b"", "cannot read .*broken.onnx: it is damaged, or no ONNX file"),
        (whole, "cannot read .*broken.onnx: its labels are no list of names"),
    ):
        path.write_bytes(content)
        assert main(["predict", str(path), str(pictures)]) == 2
        assert re.match(f"error: .*{why}", capsys.readouterr().err)


def test_a_file_that_does_not_say_its_size_needs_one(weights: Path) -> None:
    network = Model(name="resnet8", width=0.25).build(3, ([0.5] * 3, [0.25] * 3))
    save_network(weights, network, network.description, CLASSES)
    with pytest.raises(LimbeckError, match="Type --size"):
        predicting.classifier(weights)
    assert predicting.classifier(weights, 24).side == 24


def test_an_exported_student_answers_as_its_weights_do(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    network = Model(name="resnet8", width=0.25).build(10, ([0.5] * 3, [0.25] * 3)).eval()
    path = tmp_path / "net" / "weights.safetensors"
    reading = Reading(fit="pad").model_dump_json()
    save_network(path, network, network.description, tuple("0123456789"), "digits", side=32, reading=reading)
    monkeypatch.setattr(exporting, "_SECONDS", 0.05)
    folder, _ = exporting.export(path)
    ours = predicting.predict(predicting.classifier(path), [pictures])
    theirs = predicting.predict(predicting.classifier(folder / "student.onnx"), [pictures])
    for one, other in zip(ours, theirs, strict=True):
        assert one.name == other.name
        assert np.allclose(one.probabilities, other.probabilities, atol=1e-4)
    assert predicting.classifier(folder / "student.onnx").fit == "pad"
    assert predicting.classifier(folder).path == folder / "student.onnx"
    with pytest.raises(LimbeckError, match="takes pictures of 32 pixels, not of 64"):
        predicting.classifier(folder / "student.onnx", 64)
