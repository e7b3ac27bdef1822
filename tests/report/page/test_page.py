"""What a run's page says and holds, without a browser."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from made_up import run
from PIL import Image

from limbeck import files, start
from limbeck.cli import main
from limbeck.console import Console
from limbeck.data import Dataset
from limbeck.errors import LimbeckError
from limbeck.files import read_tensors
from limbeck.recipes import Recipe
from limbeck.report.page import figures, write_page
from limbeck.report.page.drawing import Figure
from limbeck.report.page.examples import TEMPERATURES, gallery, softened
from limbeck.report.page.facts import read_facts
from limbeck.report.page.repeating import protocol

NAMES = {"seeds", "curves", "cost", "reliability", "classes", "confusion", "corruptions", "softened"}
SECTIONS = [
    "verdict",
    "replace",
    "learning",
    "cost",
    "calibration",
    "classes",
    "shift",
    "lost",
    "softened",
    "repeat",
    "notes",
]


class Text(HTMLParser):
    """What a reader sees of a page, and its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._quiet = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._quiet = tag if tag in ("style", "script") else self._quiet

    def handle_endtag(self, tag: str) -> None:
        self._quiet = "" if tag == self._quiet else self._quiet

    def handle_data(self, data: str) -> None:
        if not self._quiet:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def read(path: Path) -> Text:
    return Text((path / "report.html").read_text(encoding="utf-8"))


def test_it_says_what_results_json_says(whole_run: Path) -> None:
    page, results = read(whole_run), json.loads((whole_run / "results.json").read_text())
    accuracy = results["summary"]["digits"]["accuracy"]
    gain = accuracy["gain"]
    assert f"The teacher was worth +{100 * gain['mean']:.2f} ± {100 * gain['ci95']:.2f} points of accuracy" in page.text
    for role in ("alone", "distilled"):
        assert f"{100 * accuracy[role]['mean']:.2f} ± {100 * accuracy[role]['ci95']:.2f}" in page.text
    kept = accuracy["distilled"]["mean"] / accuracy["teacher"]["mean"]
    assert (
        f"keeps {100 * kept:.1f} % of the teacher's accuracy with 14 times fewer weights, and answers 2.0 times faster"
        in page.text
    )
    assert "2.0 × faster" in page.text
    entries = json.loads((whole_run / "details.json").read_text())["entries"]
    lost = [len(e["regressions"]["pictures"]) for e in entries if e["role"] == "distilled" and e["split"] == "test"]
    assert f"{sum(lost) / 3:.1f}".removesuffix(".0") + " pictures lost" in page.text
    assert "limbeck run digits --train.epochs 5" in page.text
    assert "somewhere" not in page.text
    assert [attributes["id"] for tag, attributes in page.tags if tag in ("section", "header")] == SECTIONS


def test_it_needs_nothing_but_itself_and_is_small(whole_run: Path) -> None:
    page = (whole_run / "report.html").read_text()
    assert len(page.encode()) < 3e6
    for tag, attributes in Text(page).tags:
        for name in ("src", "href", "xlink:href", "action", "srcset", "poster"):
            address = attributes.get(name) or "#"
            assert address.startswith(("#", "data:")), (tag, address)
    assert not re.search(r"@import|url\((?!#)", page)
    assert "Content-Security-Policy" in page


def test_every_figure_has_a_text_with_figures_and_files_with_its_data(whole_run: Path) -> None:
    files = {path.name for path in (whole_run / "report").iterdir()}
    assert files == {f"{name}.{ending}" for name in NAMES for ending in ("png", "svg", "csv")}
    facts = read_facts(whole_run)
    rows = list(csv.DictReader(io.StringIO((whole_run / "report/classes.csv").read_text())))
    entries = [entry["class_accuracy"] for entry in facts.entries("distilled")]
    assert len(rows) == 2 * 10
    for row in rows:
        mean = sum(entry[int(row["class"])] for entry in entries) / 3
        assert float(row["accuracy_to"]) == pytest.approx(mean, abs=1e-6)
    rows = list(csv.DictReader(io.StringIO((whole_run / "report/curves.csv").read_text())))
    assert len(rows) == 7 * 5
    loss = facts.curves["teacher", None][0][4]["holdout_nll"]
    assert f">teacher {loss:.3f}<" in (whole_run / "report/curves.svg").read_text()
    assert float(rows[4]["holdout_accuracy"]) == facts.curves["teacher", None][0][4]["holdout_accuracy"]
    described = [a for tag, a in read(whole_run).tags if tag == "div" and a.get("role") == "img"]
    assert len(described) == len(NAMES) - 1  # softened answers are text themselves
    for attributes in described:
        assert re.search(r"\d", str(attributes["aria-label"])), attributes
    for path in (whole_run / "report").glob("*.png"):
        with Image.open(path) as picture:
            assert len(picture.getcolors(1 << 24) or ()) > 8, path


def test_what_is_drawn_is_what_is_in_the_csv(whole_run: Path) -> None:
    """The first panel's marks, from above, stand at the accuracies of the CSV's rows."""
    facts = read_facts(whole_run)
    found = figures.class_changes(facts)
    assert isinstance(found, Figure)
    from matplotlib.figure import Figure as Canvas

    axes = Canvas().add_subplot()
    found.panels[0].draw(axes)
    marks = [line.get_xydata()[0] for line in axes.get_lines() if line.get_marker() == "o" and line.get_clip_on()]
    drawn = [x for x, y in sorted(marks, key=lambda mark: mark[1])]
    rows = list(csv.reader(io.StringIO(found.csv().decode())))[1:11]
    assert {row[0] for row in rows} == {"teacher"}
    assert drawn == pytest.approx([float(row[4]) for row in rows], abs=1e-6)


def test_equal_runs_make_equal_bytes(whole_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "whole"
    shutil.copytree(whole_run, copy)
    before = {path.relative_to(copy): path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    write_page(copy)
    assert {path.relative_to(copy): path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_names_of_all_kinds_stay_text(poor_run: Path) -> None:
    page = read(poor_run)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not {"i", "b", "u"} & {tag for tag, a in page.tags if not (tag == "i" and a.get("style"))}
    assert "alert(1)" in page.text
    assert not any(attributes.get("src") == "x" for _, attributes in page.tags)
    svg = (poor_run / "report/classes.svg").read_text()
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
    assert "#1b1f24<" in svg
    assert "/style&gt; #1b1f24<" in (poor_run / "report.html").read_text()


def test_what_is_missing_is_said(poor_run: Path) -> None:
    text = read(poor_run).text
    for said in (
        "The objective was worth",
        "One seed: another may say otherwise.",
        "There is no teacher in this run to be replaced.",
        "No split was held out: this is the accuracy on the augmented training pictures.",
        "this run did not measure the cost of its networks",
        "They are asked for: with --protocol.corruptions",
        "There is no teacher to compare a student with.",
        "temperature scaling There are no answers on a held-out split to fit it on",
    ):
        assert said in text, said
    assert not list((poor_run / "report").glob("corruptions.*"))


def test_only_one_student_a_teacher_without_a_training_and_many_classes(tmp_path: Path) -> None:
    labels = torch.arange(300) % 100
    classes = [f"class {number}" for number in range(100)]
    path = run(
        *(tmp_path / "many", labels, classes),
        dataset="cifar100",
        roles=("teacher", "distilled"),
        seeds=(0,),
        recipe={
            "teacher": {"name": "weights", "path": "/far/teacher.safetensors"},
            "data": {"name": "cifar100", "tests": []},
        },
    )
    (path / "teacher/metrics.jsonl").unlink()
    write_page(path)
    text = read(path).text
    assert "What the teacher was worth was not measured. In this run no student was trained alone" in text
    assert "The pictures of cifar100 are not on this machine" in text
    assert "weights file teacher.safetensors" in text
    assert "The 16 confusions that happen most often" in text
    assert "Of 100 classes the 10 most lost and the 10 most gained" in text
    assert len((path / "report.html").read_bytes()) < 3e6


def test_what_it_says_of_the_protocol_is_what_was_measured(tmp_path: Path, digits_test: Dataset) -> None:
    """Pictures of one's own that have a val split hold out none of their training pictures."""
    recipe = {"data": {"name": "my shapes", "tests": []}, "protocol": {"seeds": [0, 1], "holdout": 0, "view_seed": 0}}
    few = digits_test.labels[:60]
    path = run(tmp_path, few, digits_test.classes, dataset="my-shapes", seeds=(0, 1), holdout=37, recipe=recipe)

    def look(role: str, seed: int | None, dataset: str = "my-shapes") -> None:
        what = {"role": role, "seed": seed, "dataset": dataset, "split": "test"}
        files.add_line(path / "evaluations.jsonl", json.dumps(what))

    for who in (("teacher", None), ("distilled", 0), ("distilled", 1)):
        look(*who)
    look("distilled", 0, "others")
    begin = "37 pictures were held out for every choice; the test set was looked at "
    end = " and the weights that are kept are the last ones, never the best ones."
    assert protocol(read_facts(path))[0] == f"{begin}once, at the end,{end}"
    for form in ("original", "ONNX", "ONNX, int8 static"):
        look(f"distilled, {form}", 0)
    exports = "4 times (evaluations.jsonl), 3 of them by exports of the finished network,"
    assert protocol(read_facts(path))[0] == f"{begin}{exports}{end}"


@pytest.mark.parametrize("kept", [True, False])
def test_an_older_run_is_worked_out_from_its_answers(whole_run: Path, tmp_path: Path, kept: bool) -> None:
    old = tmp_path / "old"
    shutil.copytree(whole_run, old)
    (old / "details.json").unlink()
    (old / "environment.json").unlink()
    results = json.loads((old / "results.json").read_text())
    for key in ("cost", "shift"):
        del results[key]
    results["summary"] = {name: {"accuracy": each["accuracy"]} for name, each in results["summary"].items()}
    (old / "results.json").write_text(json.dumps(results))
    if not kept:
        for path in old.rglob("logits-*"):
            path.unlink()
    write_page(old)
    text = read(old).text
    said = "worked out from the answers that were kept (seeds 0, 1, 2)" if kept else "kept neither details.json nor"
    assert said in text
    assert ("Expected calibration error" in text) == kept
    assert (old / "report/classes.csv").exists() == kept


def test_the_gallery_shows_the_most_confident_mistakes_first(whole_run: Path, digits_test: Dataset) -> None:
    found = gallery(read_facts(whole_run))
    assert not isinstance(found, str)
    answers = {
        who: read_tensors(whole_run / who / "logits-digits-test.safetensors")["logits"].double().softmax(1)
        for who in ("teacher", "seed0/distilled")
    }
    labels, theirs, ours = digits_test.labels, answers["teacher"], answers["seed0/distilled"]
    lost = ((theirs.argmax(1) == labels) & (ours.argmax(1) != labels)).nonzero().flatten().tolist()
    assert found.lost == len(lost) > 24
    expected = sorted(lost, key=lambda place: -float(ours[place].max()))[:24]
    assert [each.place for each in found.regressions] == expected
    first = found.regressions[0]
    assert first.student[0].probability == pytest.approx(float(ours[first.place].max()))
    assert (first.teacher[0].name, first.teacher[0].right) == (first.label, True)
    assert first.label in [answer.name for answer in first.student]
    assert 1 <= first.wrong <= 3


def test_softened_answers_are_the_logits_over_the_temperature(whole_run: Path) -> None:
    found = softened(read_facts(whole_run))
    assert not isinstance(found, str)
    logits = read_tensors(whole_run / "teacher/logits-digits-test.safetensors")["logits"].double()
    assert len({each.label for each in found[:3]}) == 3
    for temperature in TEMPERATURES:
        expected = (logits[found[0].place] / temperature).softmax(0)
        assert found[0].at(temperature) == pytest.approx(expected.tolist(), abs=1e-4)


@pytest.mark.page
def test_a_run_makes_its_page_and_is_finished_where_that_fails(
    tiny: Recipe, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["run", "tiny", "--out", "out", "--quiet", "--protocol.seeds", "0"]) == 0
    assert "The page: out/report.html" in capsys.readouterr().out
    assert "The teacher was worth" in read(Path("out")).text

    def broken(path: Path) -> Path:
        raise ZeroDivisionError("a slip")

    monkeypatch.setattr("limbeck.report.page.write_page", broken)
    result = start.run(tiny.with_(protocol={"seeds": (1,), "holdout": 32}), Path("other"), console=Console())
    assert (result.page, result.folder / "results.json") == (None, Path("other/results.json"))
    said = capsys.readouterr().out
    assert "The page could not be made: ZeroDivisionError: a slip" in said
    assert "limbeck report other" in said
    command = ["run", "tiny", "--out", "out", "--quiet", "--protocol.seeds", "0"]
    assert main(command) == 0
    assert "The page: out/report.html" in capsys.readouterr().out  # it is there already
    Path("out/report.html").unlink()  # as if the run had been killed before it was made
    assert main([*command, "--no-page"]) == 0
    assert "page" not in capsys.readouterr().out
    assert main(command) == 0
    assert "The page could not be made" in capsys.readouterr().out


def test_the_command_and_its_refusals(
    whole_run: Path, fails: Callable[..., str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("limbeck.report.page.write_page", lambda path: path / "report.html")
        assert main(["report", str(whole_run)]) == 0
    assert capsys.readouterr().out.strip() == f"The page: {whole_run / 'report.html'}"
    assert "which run? Type the folder of one: limbeck report runs/RUN" in fails("report")
    assert "which one of a, b?" in fails("report", "a", "b")
    assert "a does not exist. Type the folder of a finished run" in fails("report", "a")
    Path("a").mkdir()
    assert "a is not the folder of a run: it has no recipe.json" in fails("report", "a")
    shutil.copy(whole_run / "recipe.json", "a")
    assert "the run in a is not finished: it has no results.json. Type `limbeck run a`" in fails("report", "a")
    assert "a/recipe.json is a file, not the folder of a run" in fails("report", "a/recipe.json")


def test_a_damaged_file_is_named(whole_run: Path, tmp_path: Path) -> None:
    copy: Any = shutil.copytree(whole_run, tmp_path / "copy")
    (copy / "seed1/alone/metrics.jsonl").write_text("{}\n")
    write_page(copy)
    assert "seed1/alone/metrics.jsonl cannot be read: that learning curve is not drawn." in read(copy).text
    (copy / "results.json").write_text("{")
    with pytest.raises(LimbeckError, match=r"cannot read .*results\.json"):
        write_page(copy)
