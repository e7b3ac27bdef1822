"""The commands as they are typed: what they print, and the code they end with."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from limbeck import commands, models, options, recipes, start, sweeps, usage
from limbeck.cli import main
from limbeck.recipes import Recipe

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_command(capsys: Capture, words: list[str]) -> None:
    assert main(words) == 0
    said = capsys.readouterr().out
    for command in commands.COMMANDS:
        assert re.search(rf"^  {command}\b", said, re.MULTILINE)
    assert "usage: limbeck COMMAND" in said


@pytest.mark.parametrize("command", ["run", "run digits", *commands.COMMANDS])
def test_every_command_has_help(capsys: Capture, command: str) -> None:
    assert main([*command.split(), "--help"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"usage: limbeck {command.split()[0]} ")
    assert "\nExample: limbeck " in said.out
    assert "COMMAND" not in said.out
    assert max(map(len, said.out.splitlines())) <= 80
    assert said.err == ""


def test_the_examples_of_the_help_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for command, text in usage.HELP.items():
        words = text.rpartition("Example: ")[2].split()
        assert words[:2] == ["limbeck", command]
    options.parse_run(usage.HELP["run"].rpartition("run ")[2].split(), "")
    options.parse_summary(usage.HELP["summary"].rpartition("summary ")[2].split(), "")
    assert len(sweeps.parse(usage.HELP["sweep"].rpartition("sweep ")[2].split(), "")[0].trials) == 4


def test_the_help_of_run_explains_the_options(capsys: Capture) -> None:
    main(["run", "--help"])
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "The options below are shown with what the recipe digits has." in said
    for option, text in {
        "--train.epochs INT": "Passes over the training set.",
        "--objective.of.temperature FLOAT": "Softens both networks' probabilities",
        "--teacher.student.width FLOAT": "Multiplies the counts of hidden channels",
        "--dry-run": "Tell the time and the disk",
        "--fresh": "Start over: what the folder has",
    }.items():
        assert re.search(rf"{re.escape(option)} {re.escape(text)}", said), option


def test_the_version(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"limbeck \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys; from limbeck.cli import main; main(['--help']); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_run_ends_with_the_result(tiny: Recipe, capsys: Capture) -> None:
    assert main(["run", "tiny", "--protocol.seeds", "3", "--train.epochs", "1"]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    (folder,) = Path("runs").iterdir()
    assert lines[0] == f"recipe tiny -> {folder}"
    assert lines[-1] == f"All of it is in {folder}"
    assert lines[-3].startswith("On few the teacher was worth ")
    assert lines[-2].startswith(
        "The student is as large as the teacher; on this device it is as fast at batch 1 (0.50 "
    )
    rows = [line.split()[0] for line in lines if line.strip()]
    assert [row for row in rows if row in ("teacher", "alone", "distilled", "gain")][-4:] == [
        *("teacher", "alone", "distilled", "gain")
    ]
    assert said.err == ""
    recipe = json.loads((folder / "recipe.json").read_text())
    assert (recipe["protocol"]["seeds"], recipe["train"]["epochs"]) == ([3], 1)


def test_run_again_shows_the_result_again_and_fresh_makes_it_again(tiny: Recipe, capsys: Capture) -> None:
    words = ["run", "tiny", "--out", "mine", "--protocol.seeds", "0"]
    assert main([*words, "--quiet"]) == 0
    quiet = capsys.readouterr().out.rstrip().splitlines()
    assert quiet[0].startswith("tiny: accuracy in %")
    before = Path("mine/results.json").stat().st_mtime_ns
    assert main(words) == 0
    said = capsys.readouterr().out.rstrip().splitlines()
    assert said == ["mine is complete already; --fresh starts it over.", *quiet]
    assert Path("mine/results.json").stat().st_mtime_ns == before
    assert main([*words, "--fresh", "--quiet"]) == 0
    assert Path("mine/results.json").stat().st_mtime_ns > before
    assert len(Path("mine/evaluations.jsonl").read_text().splitlines()) == 3


def test_run_without_a_name_is_the_recipe_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Recipe] = []

    def remembering(recipe: Recipe, *arguments: Any) -> start.Result:
        ran.append(recipe)
        raise KeyboardInterrupt

    monkeypatch.setattr(start, "run", remembering)
    main(["run"])
    main(["run", "--train.epochs", "3"])
    assert ran == [recipes.digits(), recipes.digits().with_(train=recipes.digits().train.with_(epochs=3))]


def test_a_recipe_of_ones_own(tiny: Recipe, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import limbeck\n"
        "def mine():\n"
        "    recipe = limbeck.recipes.find('tiny')\n"
        "    return recipe.with_(name='mine', teacher=None, objective=recipe.alone)\n"
    )
    assert main(["run", str(file), "--protocol.seeds", "5", "--quiet"]) == 0
    assert "There is no gain to report" in capsys.readouterr().out
    (folder,) = Path("runs").iterdir()
    assert folder.name.startswith("mine-")
    assert (folder / "seed5" / "alone" / "weights.safetensors").exists()


@pytest.mark.parametrize(
    ("words", "again"),
    [
        (["run", "tiny", "--train.epochs", "3"], "limbeck run tiny --train.epochs 3"),
        (["run", "my recipe.py", "--fresh"], "limbeck run 'my recipe.py'"),
        (["sweep", "tiny", "--train.epochs", "2,3"], "limbeck sweep tiny --train.epochs 2,3"),
    ],
)
def test_an_interruption_says_how_to_continue(
    tiny: Recipe, monkeypatch: pytest.MonkeyPatch, capsys: Capture, words: list[str], again: str
) -> None:
    def interrupted(*arguments: Any) -> start.Result:
        raise KeyboardInterrupt

    monkeypatch.setattr(start, "run", interrupted)
    monkeypatch.setattr(sweeps, "carry_out", interrupted)
    monkeypatch.setattr(recipes, "find", lambda name: tiny)
    assert main(words) == 130
    kept = "What was finished and the last checkpoint are kept"
    assert capsys.readouterr().err == f"\nstopped. {kept}; type `{again}` to continue.\n"


@pytest.mark.parametrize(
    ("command", "then"),
    [
        ("data fetch few", " Type `limbeck data fetch few` to get what is missing."),
        ("data verify few", ""),
        ("data", ""),
        ("recipes", ""),
        ("summary", ""),
        ("run --dry-run", ""),
        ("run tiny --dry_run", ""),
        ("sweep --dry-run", ""),
        ("evaluate out", ""),
    ],
)
def test_an_interruption_of_what_cannot_be_continued(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, command: str, then: str
) -> None:
    def interrupted(words: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(commands.COMMANDS, command.split()[0], interrupted)
    assert main(command.split()) == 130
    assert capsys.readouterr().err == f"\nstopped.{then}\n"


def test_a_runs_folder_is_continued(tiny: Recipe, capsys: Capture) -> None:
    assert main(["run", "tiny", "--out", "mine", "--protocol.seeds", "0", "--quiet"]) == 0
    result = capsys.readouterr().out
    Path("mine/results.json").unlink()
    before = Path("mine/teacher/weights.safetensors").stat().st_mtime_ns
    assert main(["run", "--quiet", "mine"]) == 0
    assert capsys.readouterr().out == result
    assert Path("mine/teacher/weights.safetensors").stat().st_mtime_ns == before
    assert [path.name for path in Path().iterdir()] == ["mine"]


def test_recipes_are_described(capsys: Capture) -> None:
    assert main(["recipes"]) == 0
    everything = capsys.readouterr().out
    assert [name for name in recipes.CATALOGUE if f"{name}\n  " in everything] == list(recipes.CATALOGUE)
    assert main(["recipes", "digits"]) == 0
    assert capsys.readouterr().out in everything


def test_a_recipe_of_ones_own_is_described(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "mine.py"
    file.write_text("import limbeck\ndef mine():\n    return limbeck.recipes.digits().with_(name='mine')\n")
    assert main(["recipes", str(file), "digits"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{file}\n  recipe mine, on digits, judged on digits\n  teacher: alexnet_cifar x0.125, 16 ")
    assert f"Command: limbeck run {file}\n\ndigits\n" in said


def test_summary_prints_the_layers(capsys: Capture) -> None:
    assert main(["summary", "nin_cifar", "alexnet_cifar", "--width", "0.0625"]) == 0
    narrow = capsys.readouterr().out
    assert "CIFARNIN" in narrow
    assert "AlexNet" in narrow
    assert main(["summary", "nin_cifar"]) == 0
    assert "Total params: 966,986" in capsys.readouterr().out


def test_summary_without_a_name_lists_the_networks(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["summary"]) == 0
    *lines, empty, then = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(models.CATALOGUE)
    assert all(len(line.split("  ", 1)[1].strip()) > 10 for line in lines)
    assert (empty, then) == ("", "Type `limbeck summary alexnet_cifar` for the layers of one.")


def test_figures_that_cannot_be_written_are_found_out_first(
    tiny: Recipe, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    Path("w.safetensors").touch()
    assert main(["evaluate", "w.safetensors", "--json", "."]) == 2
    assert capsys.readouterr().err == "error: --json .: this is a folder. Type --json figures.json\n"


def test_data_is_listed_fetched_and_verified(few: str, capsys: Capture, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("LIMBECK_DATA", str(tmp_path))
    assert main(["data"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("digits", "cifar10", "cifar10_1", "few"))
    assert main(["data", "list", "digits"]) == 0
    assert "cifar10" not in capsys.readouterr().out
    assert main(["data", "fetch", "digits", "few"]) == 0
    assert capsys.readouterr().out == "digits: ready\nfew: ready\n"
    assert main(["data", "verify", "digits"]) == 0
    assert capsys.readouterr().out == "digits: as published\n"
    assert main(["data", "verify", "digits", "cifar10"]) == 2
    said = capsys.readouterr().out
    assert "digits: as published" in said
    assert "cifar10 is not fetched. Type `limbeck data fetch cifar10`" in said


@pytest.mark.parametrize("command", ["data list", "recipes", "--help"])
def test_a_reader_that_has_ended_ends_the_command_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, command: str
) -> None:
    """As in `limbeck data list | head -1`: through rich, through print, and when the output is flushed at the end."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(command.split()) == 141
    monkeypatch.undo()
    assert capsys.readouterr().err == ""


def test_the_module_is_the_command_and_a_closed_pipe_leaves_no_word() -> None:
    words = [sys.executable, "-m", "limbeck", "--help"]
    assert subprocess.run(words, check=True, capture_output=True, text=True).stdout.startswith("limbeck shrinks")
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, "")
