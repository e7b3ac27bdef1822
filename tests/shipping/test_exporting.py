"""A student in every form: each answers as it should, from disk, and what does not is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from limbeck import files
from limbeck.cli import main
from limbeck.data.views import Views
from limbeck.errors import LimbeckError
from limbeck.folders import refuse_foreign
from limbeck.models.model import Model
from limbeck.models.weights import load_network, save_network
from limbeck.shipping import exporting
from limbeck.shipping.graph import Session, read_labels, write_onnx
from limbeck.shipping.quantised import write_static
from limbeck.shipping.student import Student, chosen

onnxruntime = pytest.importorskip("onnxruntime")
FORMS = {"student.py", "student.safetensors", "student.pt2", "student.onnx"}
FORMS |= {"student-int8.onnx", "student-int8-dynamic.onnx", "README.md", "export.json"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network for digits, not trained: its answers are as good to compare as any."""
    torch.manual_seed(0)
    network = Model(name="resnet8", width=0.5).build(10, ([0.2] * 3, [0.3] * 3))
    network.train()
    network(torch.rand(32, 3, 32, 32))
    path = tmp_path_factory.mktemp("net") / "weights.safetensors"
    save_network(path, network.eval(), network.description, tuple("0123456789"), "digits")
    return path


@pytest.fixture(scope="module")
def exported(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> exporting.Exported:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "_SECONDS", 0.1)
        return exporting.export(weights, tmp_path_factory.mktemp("out"))


def test_every_form_is_there_and_answers_as_the_original_does(exported: exporting.Exported, weights: Path) -> None:
    folder, results = exported
    assert {path.name for path in folder.iterdir()} == FORMS
    rows = {form["file"]: form for form in results["forms"]}
    assert next(iter(rows)) is None
    for name in ("student.safetensors", "student.pt2", "student.onnx"):
        assert rows[name]["same_answers"] == 1
        assert rows[name]["difference"] < 1e-3
        assert rows[name]["accuracy"] == rows[None]["accuracy"]
    for name in ("student-int8.onnx", "student-int8-dynamic.onnx"):
        assert rows[name]["same_answers"] > 0.9
        assert rows[name]["bytes"] < 0.6 * rows["student.onnx"]["bytes"]
    assert all(form["latency_ms"] > 0 and form["images_per_second"] > 0 for form in rows.values())
    assert json.loads((folder / "export.json").read_text()) == results
    assert results["student"]["weights"] == files.digest(weights)


def test_onnx_takes_any_number_of_pictures_and_names_its_classes(exported: exporting.Exported, weights: Path) -> None:
    network = load_network(weights).network
    for name in ("student.onnx", "student-int8.onnx"):
        assert read_labels(exported.folder / name) == (tuple("0123456789"), "crop")
    for count in (1, 3):
        pictures = torch.rand(count, 3, 32, 32)
        with torch.no_grad():
            assert torch.allclose(Session(exported.folder / "student.onnx")(pictures), network(pictures), atol=1e-3)


class _Stretched(torch.nn.Module):
    """Which third of a picture is the brightest; a pixel that is white makes all three values far larger."""

    def __init__(self) -> None:
        super().__init__()
        self.last = torch.nn.Linear(3, 3)
        self.last.load_state_dict({"weight": torch.eye(3), "bias": torch.zeros(3)})

    def forward(self, images: Tensor) -> Tensor:
        thirds = torch.nn.functional.adaptive_avg_pool2d(images, (1, 3)).mean(1).flatten(1)
        return self.last(thirds + 1e5 * torch.relu(images - 0.95).mean((1, 2, 3))[:, None])


def test_a_few_extreme_values_do_not_take_all_the_steps_of_eight_bits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    views = 0.9 * torch.rand(1024, 3, 12, 12)
    views[8, 0, 0, 0] = 1.0
    write_onnx(tmp_path / "whole.onnx", _Stretched().eval(), views[:2], tuple("abc"))
    write_static(tmp_path / "eight.onnx", tmp_path / "whole.onnx", views)
    whole, eight = (Session(tmp_path / name)(views[1::2]).argmax(1) for name in ("whole.onnx", "eight.onnx"))
    assert (whole == eight).double().mean() > 0.9


def test_nothing_of_this_machine_is_in_the_files(exported: exporting.Exported) -> None:
    here = str(Path(__file__).parents[1]).encode()
    assert [path.name for path in exported.folder.iterdir() if here in path.read_bytes()] == []


def test_the_card_is_in_the_hubs_format(exported: exporting.Exported) -> None:
    card = (exported.folder / "README.md").read_text()
    head = card.split("---\n")[1]
    assert "library_name: pytorch\n" in head
    assert "type: image-classification" in head
    assert "datasets:\n- digits\nmetrics:" in head
    assert f"value: {exported.results['forms'][0]['accuracy']:.4f}" in head
    assert "| ONNX, int8 static | student-int8.onnx |" in card


def test_a_float_form_that_answers_otherwise_is_refused_and_nothing_is_left(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(session: Session, images: Tensor) -> Tensor:
        return torch.zeros(len(images), 10)

    monkeypatch.setattr(Session, "forward", wrong)
    with pytest.raises(LimbeckError, match=r"student\.onnx does not answer as the network does"):
        exporting.export(weights, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path / "nothing")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert main(["export"]) == 2
    assert "limbeck export runs/RUN" in capsys.readouterr().err


def test_the_student_of_a_run_is_the_first_seeds_distilled_one(tmp_path: Path, weights: Path) -> None:
    protocol = {"seeds": [3, 4], "holdout": 7, "view_seed": 5}
    recipe = {"data": {"name": "digits", "tests": []}, "protocol": protocol, "teacher": None}
    files.write_json(tmp_path / "recipe.json", {**recipe, "views": {"crop": 2}})
    for place in ("teacher", "seed3/alone", "seed4/distilled"):
        target = tmp_path / place / "weights.safetensors"
        files.write_bytes(target, weights.read_bytes())
    student = chosen(tmp_path)
    assert (student.role, student.seed, student.test, student.home) == ("distilled", 4, "digits", tmp_path / "export")
    assert student.learned == ("digits", 7, Views(crop=2), 5)
    assert chosen(tmp_path, "alone", None).seed == 3
    assert chosen(tmp_path, "teacher", 4).role == "teacher"
    with pytest.raises(LimbeckError, match=r"no finished student of seed 99\."):
        chosen(tmp_path, None, 99)
    with pytest.raises(LimbeckError, match=r"no finished distilled of seed 3\. It has: alone \(seed 3\), d"):
        chosen(tmp_path, "distilled", 3)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, weights: Path) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(LimbeckError, match="pip install onnx onnxruntime onnxscript"):
        exporting.export(weights)


def test_a_folder_of_somebody_elses_is_left_alone(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(LimbeckError, match=r"it has README\.md but no export\.json"):
        exporting.export(weights, tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"


class _Cut(BaseException):
    """The process is gone."""


def test_an_export_that_is_cut_short_is_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is: what is there is never half of one and half of another, as far as export.json speaks of it."""
    folder, left = tmp_path / "folder", [0]
    place = folder / ".unfinished-made"

    def counted(step: Callable[..., Any]) -> Callable[..., Any]:
        def one(*arguments: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise _Cut
            return step(*arguments, **named)

        return one

    for name in ("unlink", "replace"):
        monkeypatch.setattr(Path, name, counted(getattr(Path, name)))
    for cut in range(2 * len(FORMS)):
        for where in (folder, place):
            where.mkdir(exist_ok=True, parents=True)
            for name in FORMS:
                (where / name).write_text(where.name)
        left[0] = cut
        with pytest.raises(_Cut):
            exporting._put(place, folder)
        there = {path.name: path.read_text() for path in folder.iterdir() if path != place}
        if "export.json" in there:
            assert there == dict.fromkeys(FORMS, there["export.json"])
        refuse_foreign(folder, "student that was exported", "export.json", exporting._FILES)


def test_what_cannot_be_told_of_a_student_is_found_before_anything_is_touched(
    exported: exporting.Exported, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(student: Student) -> dict[str, str]:
        raise LimbeckError("cannot read results.json")

    before = {path: path.read_bytes() for path in exported.folder.iterdir()}
    monkeypatch.setattr(exporting, "told", damaged)
    with pytest.raises(LimbeckError, match=r"cannot read results\.json"):
        exporting.export(weights, exported.folder)
    assert {path: path.read_bytes() for path in exported.folder.iterdir()} == before


def test_what_was_exported_before_does_not_stay(
    exported: exporting.Exported, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: object) -> None:
        raise LimbeckError("it cannot be written down")

    monkeypatch.setattr(exporting, "_SECONDS", 0.05)
    monkeypatch.setattr(exporting, "plain", refused)
    for name in ("README.md", "export.json", "student.pt2"):  # as a process left it that was killed
        (exported.folder / name).unlink()
    (exported.folder / ".unfinished-left").mkdir()
    folder, results = exporting.export(weights, exported.folder)
    assert {path.name for path in folder.iterdir()} == FORMS - {"student.py", "student.safetensors"}
    assert "There is no student.py: it cannot be written down." in results["notes"]
    assert "student.py" not in (folder / "README.md").read_text()


def test_a_file_of_ones_own_is_not_taken_for_an_export(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "student.onnx").write_text("mine")
    with pytest.raises(LimbeckError, match=r"it has student\.onnx but no export\.json"):
        exporting.export(weights, tmp_path)
    assert (tmp_path / "student.onnx").read_text() == "mine"
