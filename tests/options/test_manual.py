"""A command's help: every option with its type, its meaning and its present value, on any terminal."""

from __future__ import annotations

import pytest
from plain import AUGMENTED, PLAIN, parsed

from limbeck.options import RunOptions
from limbeck.options.arguments import options
from limbeck.recipes import CATALOGUE, Recipe

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def shown(capsys: Captured, *words: str, recipe: Recipe = PLAIN) -> str:
    with pytest.raises(SystemExit) as caught:
        parsed(*words, "--help", recipe=recipe)
    assert caught.value.code == 0
    return capsys.readouterr().out


def test_options_have_types_defaults_and_explanations(capsys: Captured) -> None:
    text = shown(capsys)
    assert text.startswith("limbeck run plain\n")
    assert "--train.epochs INT" in text
    assert f"Passes over the training set. (now: {PLAIN.train.epochs})" in text
    assert "--train.clip FLOAT|none" in text
    assert "--protocol.seeds INT ..." in text
    assert "--train.schedule.milestones FLOAT ..." in text
    assert "--student.mean FLOAT ...|none" in text
    assert "--views.padding NAME\n      What the padding is filled with. One of: zeros, reflect. (now: zeros)" in text
    assert "--data.tests TEXT ...\n      Test sets; empty: the training set's own. (now: empty)" in text
    assert "--train.optimizer.no-nesterov\n      Nesterov's momentum. (now: on)" in text
    assert "--out PATH|none" in text
    assert "Start over: what the folder has of an earlier run" in text


def test_what_is_chosen_by_name_has_its_names_meaning_and_present_one(capsys: Captured) -> None:
    text = " ".join(shown(capsys).split())
    for said in (
        "--objective NAME What is learned; several, joined by +, are added up. One of: ab, attention, cc,",
        "(now: kd) --objective.weight FLOAT",
        "--train.optimizer NAME sgd or adamw. One of: adamw, sgd. (now: sgd)",
        "--views.policy NAME A policy's name, or none. One of: autoaugment, randaugment, trivialaugment, none. "
        "(now: none)",
        "--teacher NAME Who labels the views; none: nobody. What is trained already is a file that limbeck wrote, or "
        "path/to/file.py:FUNCTION, FILE.pt2, FILE.pt (TorchScript), torchvision/NAME or timm/NAME, whose code is run. "
        "Several, joined by +, answer together. One of: FILE.pt (TorchScript), FILE.pt2, FILE.safetensors, "
        "path/to/file.py:FUNCTION, timm/NAME, torchvision/NAME, none. "
        "(now: trained as this recipe says)",
        "--logits NAME stored: the teacher's answers are kept",
        "--alone NAME What the student alone is trained for;",
    ):
        assert said in text
    assert "--student NAME" not in text
    assert "--device NAME" not in text


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_it_is_readable_on_any_terminal(capsys: Captured, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = shown(capsys, recipe=CATALOGUE["lab3"]()).splitlines()
    assert min(columns, 100) - 12 < max(map(len, lines)) <= min(columns, 100)
    assert not [line for line in lines if line.startswith("  --") and len(line) > 60]


def test_every_option_is_there_once(capsys: Captured) -> None:
    names = [line.split()[0] for line in shown(capsys).splitlines() if line.startswith("  --")]
    assert len(set(names)) == len(names)
    fields = {option.typed for spec in (PLAIN, RunOptions()) for option in options(spec)}
    assert {name.replace(".no-", ".").replace("--no-", "--") for name in names} == fields


def test_it_speaks_of_what_was_chosen(capsys: Captured) -> None:
    assert "--objective.temperature" in shown(capsys)
    text = shown(capsys, "--objective", "cross_entropy", "--train.optimizer", "adamw")
    assert "--objective.temperature" not in text
    assert "--train.optimizer.beta1 FLOAT" in text
    assert "--train.optimizer.momentum" not in text
    assert "--teacher.train.optimizer.momentum" in text


def test_the_name_that_tells_descriptions_apart_is_no_option(capsys: Captured) -> None:
    text = shown(capsys, recipe=AUGMENTED)
    for path in ("objective", "train.optimizer", "teacher.views.policy"):
        assert f"--{path}.name" not in text


def test_a_recipe_without_a_word_about_it(capsys: Captured) -> None:
    class Wordless(Recipe):
        pass

    Wordless.__doc__ = None
    assert "--train.epochs INT" in shown(capsys, recipe=Wordless(name="own"))
