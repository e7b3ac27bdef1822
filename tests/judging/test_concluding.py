"""What is trained already is judged again: a run's networks, or those of a weights file."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from limbeck import data, start
from limbeck.cli import main
from limbeck.console import Console
from limbeck.data import Dataset
from limbeck.errors import LimbeckError
from limbeck.evaluation.assessment import SCALING
from limbeck.evaluation.results import ONE_TEACHER
from limbeck.files import read_json, read_tensors, write_tensors
from limbeck.judging import concluding, evaluating
from limbeck.models.weights import load_network, save_network
from limbeck.recipes import Recipe, Weights
from limbeck.runs import RunFolder
from limbeck.shipping import predicting
from limbeck.training import Engine

QUIET = Console(quiet=True, file=io.StringIO())
WEIGHTS = Path("out/seed0/distilled/weights.safetensors")


@pytest.fixture
def finished(tiny: Recipe) -> Path:
    """The folder of a finished run."""
    return start.run(tiny, Path("out"), console=QUIET).folder


def test_a_run_is_judged_as_it_was_at_its_end_and_each_look_is_logged(finished: Path, engine: Engine) -> None:
    results = read_json(finished / "results.json")
    before = (finished / "evaluations.jsonl").read_text().splitlines()
    again = evaluating.evaluate(finished, engine=engine, console=QUIET)
    assert again["measurements"] == [m for m in results["measurements"] if m["split"] == "test"]
    assert again["summary"] == {"few": results["summary"]["few"]}
    assert again["networks"] == results["networks"]
    looks = [json.loads(line) for line in (finished / "evaluations.jsonl").read_text().splitlines()[len(before) :]]
    assert [(look["role"], look["seed"]) for look in looks] == [(m["role"], m["seed"]) for m in results["networks"]]


def test_a_run_that_has_not_ended_is_judged_as_far_as_it_is(finished: Path, engine: Engine) -> None:
    (finished / "results.json").unlink()
    (finished / "seed1" / "distilled" / "weights.safetensors").unlink()
    again = evaluating.evaluate(finished, engine=engine, console=QUIET)
    assert again["summary"]["few"]["accuracy"]["gain"]["n"] == 1
    for path in finished.rglob("weights.safetensors"):
        path.unlink()
    with pytest.raises(
        LimbeckError, match=r"^out has no finished network\. Type `limbeck run out/recipe.json --out out` first\.$"
    ):
        evaluating.evaluate(finished, engine=engine, console=QUIET)


def test_another_data_set_and_split(finished: Path, engine: Engine) -> None:
    again = evaluating.evaluate(finished, ["digits"], "train", engine=engine, console=QUIET)
    assert list(again["summary"]) == ["digits/train"]
    assert {m["n"] for m in again["measurements"] if m["metric"] != "agreement_on_mistakes"} == {1437}


def test_a_run_that_cannot_be_written_to_is_used_and_left_as_it_is(
    finished: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SHA256SUMS", "lock"):  # what readers would write anew
        (finished / name).unlink()
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    monkeypatch.setattr(RunFolder, "writable", False)
    predicting.classifier(finished)
    again = evaluating.evaluate(finished, engine=engine, console=QUIET, cost=True)
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before
    assert "out cannot be written to: this look at a test set is not logged." in again["notes"]


def test_a_weights_file(finished: Path, engine: Engine) -> None:
    log = finished / "evaluations.jsonl"
    before = log.read_text()
    again = evaluating.evaluate(WEIGHTS, engine=engine, console=QUIET)
    look = json.loads(log.read_text().removeprefix(before))
    assert (look["role"], look["seed"], look["dataset"]) == ("distilled", 0, "few")
    of_the_run = read_json(finished / "results.json")["measurements"]
    expected = {
        m["metric"]: m["value"] for m in of_the_run if (m["role"], m["seed"], m["split"]) == ("distilled", 0, "test")
    }
    for metric in ("agreement", "kl", "agreement_on_mistakes"):
        del expected[metric]  # there is no teacher
    assert {m["metric"]: m["value"] for m in again["measurements"]} == expected
    assert "nll_scaled" in expected  # the answers on the held-out split lie beside the weights
    assert [(n["role"], n["model"]) for n in again["networks"]] == [("network", "nin_cifar x0.0625")]


def test_a_weights_file_on_its_own_is_not_scaled(finished: Path, engine: Engine) -> None:
    shutil.copy(WEIGHTS, "alone.safetensors")
    before = (finished / "evaluations.jsonl").read_text()
    again = evaluating.evaluate(Path("alone.safetensors"), engine=engine, console=QUIET)
    assert (finished / "evaluations.jsonl").read_text() == before
    assert again["not_measured"] == [
        {"what": SCALING, "why": "There are no answers on a held-out split to fit it on: network."}
    ]
    assert not any("scaled" in m["metric"] for m in again["measurements"])


def test_details_are_those_of_the_run(finished: Path, engine: Engine) -> None:
    details = read_json(finished / "details.json")
    again = evaluating.evaluate(finished, engine=engine, console=QUIET)["details"]
    assert again["entries"] == [entry for entry in details["entries"] if entry["split"] == "test"]
    assert again["classes"] == {"few": list("0123456789")}


def test_everything_can_be_worked_out_again_from_the_answers_alone(
    finished: Path, engine: Engine, splits_read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    results, details = (read_json(finished / name) for name in ("results.json", "details.json"))
    monkeypatch.setattr(concluding, "predict", None)
    before = len(splits_read)
    again = concluding.reassess(finished)
    assert {**results, **again.results} == results
    assert again.results.keys() == {"measurements", "summary", "cost", "shift", "not_measured"}
    assert again.results["cost"] is not None
    assert {"recipe": details["recipe"], **again.details} == details
    for path in finished.rglob("weights.safetensors"):
        path.unlink()
    assert concluding.reassess(finished) == again
    assert len(splits_read) == before
    for path in finished.rglob("logits-*.safetensors"):
        path.unlink()
    with pytest.raises(LimbeckError, match=r"^out has no answers of its networks\. Remove its results\.json, if "):
        concluding.reassess(finished)


def test_answers_of_other_weights_are_not_worked_with(finished: Path) -> None:
    answers = finished / "seed0" / "alone" / "logits-few-test.safetensors"
    write_tensors(answers, read_tensors(answers), {"weights": "another network's"})
    again = concluding.reassess(finished).results["measurements"]
    assert {m["seed"] for m in again if (m["role"], m["split"]) == ("alone", "test")} == {1}


def test_the_command(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(WEIGHTS), "--json", "figures.json", "--quiet"]) == 0
    said = capsys.readouterr().out
    figures = read_json(Path("figures.json"))
    assert "(40)" in said
    assert f"{100 * figures['summary']['few']['accuracy']['network']['mean']:.2f}" in said
    assert f"{figures['summary']['few']['nll']['network']['mean']:.3f}" in said
    assert [entry["role"] for entry in figures["details"]["entries"]] == ["network"]
    assert main(["evaluate", "out", "--data", "few", "digits", "--split", "train", "--quiet"]) == 0
    said = capsys.readouterr().out
    assert "(1,437)" in said
    assert "gain" in said
    assert said.count("other metrics") == 2
    assert "same mistakes" in said


def test_mistakes(finished: Path, fails: Callable[..., str]) -> None:
    assert fails("evaluate", "nowhere").startswith("error: nowhere does not exist. Give the folder of a run, a wei")
    Path("empty").mkdir()
    assert "empty is not the folder of a run: it has no recipe.json" in fails("evaluate", "empty")
    assert "has no recipe.json. It lies in that of out. Give another" in fails("evaluate", "out/teacher")
    assert "unknown data set 'fw'. Did you mean 'few'?" in fails("evaluate", "out", "--data", "fw")
    saved = load_network(WEIGHTS)
    save_network(Path("nameless.safetensors"), saved.network, saved.model, saved.classes)
    assert "does not say what it was trained on. Type --data" in fails("evaluate", "nameless.safetensors")
    save_network(Path("other.safetensors"), saved.network, saved.model, tuple("abcdefghij"), "few")
    said = fails("evaluate", "other.safetensors")
    assert "knows the 10 classes a, b, c, ..., but few has the 10 classes 0, 1, 2, ...." in said


def test_a_set_that_cannot_be_had_is_not_measured(
    finished: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(folder: Path, split: str) -> Dataset:
        raise data.DataUnavailable("far cannot be had. Tried: the network")

    far = data.Entry("far", "pictures elsewhere", data.CATALOGUE["few"].classes, {"test": 1}, 0, offline)
    monkeypatch.setitem(data.CATALOGUE, "far", far)
    again = evaluating.evaluate(finished, ["few", "far"], engine=engine, console=QUIET)
    assert again["not_measured"] == [{"what": "far", "why": "far cannot be had. Tried: the network"}]
    assert list(again["summary"]) == ["few"]
    with pytest.raises(LimbeckError, match=r"^far cannot be had"):
        evaluating.evaluate(finished, ["far"], engine=engine, console=QUIET)


def test_a_run_whose_objective_is_defined_elsewhere(finished: Path, engine: Engine) -> None:
    path = finished / "recipe.json"
    before = path.read_text()
    path.write_text(before.replace('"name": "kd"', '"name": "defined_in_a_file_that_is_gone"'))
    changed = path.read_text()
    assert changed != before
    assert evaluating.evaluate(finished, engine=engine, console=QUIET)["summary"]["few"]["accuracy"]["gain"]["n"] == 2
    assert path.read_text() == changed


def test_an_altered_network_is_refused(finished: Path, engine: Engine) -> None:
    weights = finished / "teacher" / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(LimbeckError, match="was altered since this run first had it"):
        evaluating.evaluate(finished, engine=engine, console=QUIET)


def test_answers_of_other_weights_are_not_believed(tiny: Recipe, finished: Path) -> None:
    """A network that was removed and made again is judged again, even where it is not the same to the last bit."""
    path, logits = finished / "seed0" / "alone" / "weights.safetensors", finished / "seed0" / "alone"
    stale = logits / "logits-few-test.safetensors"
    tensors = read_tensors(stale)
    write_tensors(stale, {**tensors, "logits": -tensors["logits"]}, {"weights": "another network's"})
    results = read_json(finished / "results.json")
    (finished / "results.json").unlink()
    assert path.exists()
    assert start.run(tiny, Path("out"), console=QUIET).results == results


def test_the_teacher_of_a_run_may_lie_elsewhere(tiny: Recipe, finished: Path, engine: Engine) -> None:
    teacher = finished / "teacher" / "weights.safetensors"
    recipe = tiny.with_(teacher=Weights(path=teacher), protocol=tiny.protocol.with_(seeds=(0,)))
    start.run(recipe, Path("second"), console=QUIET)
    again = evaluating.evaluate(Path("second"), engine=engine, console=QUIET)
    assert [network["role"] for network in again["networks"]] == ["teacher", "alone", "distilled"]
    assert again["notes"][0] == ONE_TEACHER
    teacher.unlink()
    with pytest.raises(LimbeckError, match=r"^weights file .*weights\.safetensors does not exist"):
        evaluating.evaluate(Path("second"), engine=engine, console=QUIET)


@pytest.mark.parametrize(("right", "remarked"), [(13, True), (30, False)])
def test_a_network_that_guesses_is_remarked_upon(
    finished: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch, right: int, remarked: bool
) -> None:
    """Of 100 pictures of 10 classes, guessing gets 10 right, 19 at the most."""
    pictures = Dataset("few", tuple("0123456789"), torch.zeros(100, 4, 4, 3, dtype=torch.uint8), torch.arange(100) % 10)
    answers = torch.nn.functional.one_hot((pictures.labels + (torch.arange(100) >= right)) % 10, 10).float()
    monkeypatch.setattr(evaluating, "predict", lambda *_: answers)
    monkeypatch.setattr(data, "load", lambda *_: pictures)
    found = evaluating.evaluate(WEIGHTS, ["few"], engine=engine, console=QUIET)
    wanted = "On few this cannot be told from guessing: network."
    assert found["notes"] == ([wanted] if remarked else [])
