"""The run folder: whose it is, who may work in it, and what it says of where it was made."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from limbeck import environment
from limbeck.data.views import AutoAugment, RandAugment, Views
from limbeck.environment import hardware, slug
from limbeck.errors import LimbeckError
from limbeck.objectives import CrossEntropy
from limbeck.recipes import Recipe, Training, Weights
from limbeck.recipes.fields import differences
from limbeck.recipes.recipe import from_json
from limbeck.runs import open_run
from limbeck.training import AdamW, Engine, Schedule

HOLD = """
import sys
from limbeck import files
from pathlib import Path
with files.locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_new_folder_is_named_after_the_recipe_and_holds_it(tiny: Recipe) -> None:
    with open_run(tiny) as folder:
        assert folder.path == Path("runs") / f"tiny-{tiny.digest()}"
        assert folder.results == folder.path / "results.json"
        assert folder.teacher == folder.path / "teacher"
        assert folder.student(3, "alone") == folder.path / "seed3" / "alone"
    assert sorted(path.name for path in folder.path.iterdir()) == ["lock", "recipe.json"]


def test_recipe_json_is_the_recipe(tiny: Recipe, tmp_path: Path) -> None:
    views = Views(crop=3, padding="reflect", policy=RandAugment(operations=1), cutout=4)
    unusual = tiny.with_(
        teacher=Weights(path=Path("some/weights.safetensors")),
        views=views,
        train=tiny.train.with_(optimizer=AdamW(lr=3e-3), schedule=Schedule(decay="steps", milestones=(0.5,)), ema=0.9),
        alone=CrossEntropy(label_smoothing=0.1),
    )
    assert isinstance(tiny.teacher, Training)
    assistants = tiny.with_(teacher=tiny.teacher.with_(teacher=tiny.teacher.with_(views=Views(policy=AutoAugment()))))
    for recipe in (tiny, unusual, assistants):
        with open_run(recipe) as folder:
            text = (folder.path / "recipe.json").read_text()
        again = from_json(text, "recipe.json")
        assert again == recipe
        assert again.digest() == recipe.digest()
        with open_run(again, folder.path):
            assert (folder.path / "recipe.json").read_text() == text


def test_a_folder_of_another_recipe_is_refused_with_the_differences(tiny: Recipe) -> None:
    with open_run(tiny, Path("out")):
        pass
    other = tiny.with_(train=tiny.train.with_(epochs=7, clip=None), protocol=tiny.protocol.with_(seeds=(0, 1, 2)))
    with pytest.raises(LimbeckError) as refused, open_run(other, Path("out")):
        pass
    assert str(refused.value) == (
        "out belongs to another recipe (train.epochs: 2, now 7; train.clip: 2.0, now None; protocol.seeds: [0, 1], now "
        "[0, 1, 2]). Type --out with another folder, or leave --out away to get one of its own."
    )
    with pytest.raises(LimbeckError, match="belongs to another recipe"), open_run(other, Path("out"), fresh=True):
        pass


def test_differences_name_the_fields() -> None:
    old = {"a": 1, "b": {"c": 2, "d": [1]}, "gone": {"x": 1}}
    new = {"a": 1, "b": {"c": 3, "d": [1]}, "new": None}
    assert differences(old, new) == ["b.c: 2, now 3", "gone: {'x': 1}, now None"]
    assert differences(old, old) == []


def test_a_foreign_folder_is_refused_and_left_as_it_was(tiny: Recipe) -> None:
    folder = Path("thesis")
    folder.mkdir()
    for name in ("chapter1.tex", "chapter2.tex", ".latexmk", "figures.pdf"):
        (folder / name).write_text("years of work")
    for fresh in (False, True):
        with pytest.raises(LimbeckError) as refused, open_run(tiny, folder, fresh):
            pass
        assert str(refused.value) == (
            "thesis is not the folder of a run: it has .latexmk, chapter1.tex, chapter2.tex but no recipe.json. "
            "Type --out with the name of a new folder."
        )
    assert sorted(path.name for path in folder.iterdir()) == [".latexmk", "chapter1.tex", "chapter2.tex", "figures.pdf"]


def test_what_a_killed_process_was_writing_is_removed(tiny: Recipe) -> None:
    """Killed while it wrote its very first file, and again much later."""
    folder = Path("out")
    folder.mkdir()
    first, later = folder / ".recipe.json.123.part", folder / "seed0" / "alone" / ".checkpoint.pt.123.part"
    (folder / "lock").touch()
    first.write_bytes(b"{")
    with open_run(tiny, folder):
        assert not first.exists()
        later.parent.mkdir(parents=True)
        later.write_bytes(b"half")
        (later.parent / "weights.safetensors").write_bytes(b"whole")
    with open_run(tiny, folder):
        assert [path.name for path in later.parent.iterdir()] == ["weights.safetensors"]


def test_fresh_throws_away_what_is_there(tiny: Recipe) -> None:
    with open_run(tiny) as folder:
        (folder.path / "teacher").mkdir()
        (folder.path / "teacher" / "weights.safetensors").write_bytes(b"old")
        (folder.path / "seed10" / "alone").mkdir(parents=True)
        (folder.path / "results.json").write_text("{}")
        (folder.path / "details.json").write_text("{}")
        (folder.path / "notes.txt").write_text("what I thought of it")
    with open_run(tiny) as folder:
        assert folder.results.exists()
    with open_run(tiny, fresh=True) as folder:
        assert sorted(path.name for path in folder.path.iterdir()) == ["lock", "notes.txt", "recipe.json"]


def test_a_run_that_is_half_thrown_away_is_a_run_still(
    tiny: Recipe, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while --fresh removed it: neither complete, nor without its recipe."""
    with open_run(tiny) as folder:
        folder.note_environment(engine, tiny)
        (folder.path / "seed0").mkdir()
        folder.results.write_text("{}")

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.rmtree", killed)
    with pytest.raises(KeyboardInterrupt), open_run(tiny, fresh=True):
        pass
    left = ["environment.json", "lock", "recipe.json", "seed0"]
    assert sorted(path.name for path in folder.path.iterdir()) == left
    with open_run(tiny) as folder:
        assert sorted(path.name for path in folder.path.iterdir()) == left


@pytest.mark.parametrize("content", ["", "{", '{"name": "tiny"', '{"name": 3}', "[]", "\udcff"])
def test_a_recipe_json_that_is_no_recipe_is_refused(tiny: Recipe, content: str) -> None:
    with open_run(tiny) as folder:
        pass
    (folder.path / "recipe.json").write_bytes(content.encode(errors="surrogateescape"))
    expected = r"recipe\.json (is not a recipe of this version of limbeck|is damaged: it is not JSON)"
    with pytest.raises(LimbeckError, match=expected) as refused, open_run(tiny):
        pass
    assert str(refused.value).endswith("\nType --out with the name of a new folder.")


@pytest.mark.parametrize("content", ["", '{"name": "tiny"', "{}"])
def test_a_recipe_json_that_is_broken_in_what_is_plainly_a_run(tiny: Recipe, engine: Engine, content: str) -> None:
    """The same recipe mends it and goes on; another one may start over, if nothing but a run lies there."""
    with open_run(tiny, Path("out")) as folder:
        folder.note_environment(engine, tiny)
    recipe_file, results = folder.path / "recipe.json", folder.results
    whole = recipe_file.read_text()
    results.write_text("{}")
    recipe_file.write_text(content)
    with open_run(tiny, Path("out")):
        assert recipe_file.read_text() == whole
        assert results.exists()
    recipe_file.write_text(content)
    other = tiny.with_(name="other")
    with pytest.raises(LimbeckError) as refused, open_run(other, Path("out")):
        pass
    assert str(refused.value).startswith("out/recipe.json is ")
    assert str(refused.value).endswith("\nType --fresh to start over in out, or --out with the name of a new folder.")
    (folder.path / "thesis.tex").write_text("years of work")
    for fresh in (False, True):
        with pytest.raises(LimbeckError, match=r"\nType --out with the name of a new folder\.$"):
            open_run(other, Path("out"), fresh).__enter__()
    (folder.path / "thesis.tex").unlink()
    with open_run(other, Path("out"), fresh=True):
        assert json.loads(recipe_file.read_text())["name"] == "other"
        assert not results.exists()


def test_a_run_that_was_started_with_another_text_of_its_classes_is_refused(tiny: Recipe, engine: Engine) -> None:
    with open_run(tiny, Path("out")) as folder:
        folder.note_environment(engine, tiny)
    path = folder.path / "environment.json"
    path.write_text(path.read_text().replace(tiny.digest(), "0ld0ld00"))
    with pytest.raises(LimbeckError) as refused, open_run(tiny, Path("out")):
        pass
    assert str(refused.value) == (
        f"out/recipe.json was edited since the run in out was started (recipe 0ld0ld00, now {tiny.digest()}). Type "
        "--fresh to start over there, --out with another folder, or leave --out away to get one of its own."
    )
    with open_run(tiny, Path("out"), fresh=True):
        assert not path.exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"starts": 3}', "{"])
def test_an_environment_json_that_is_broken(tiny: Recipe, engine: Engine, content: str) -> None:
    with open_run(tiny) as folder:
        folder.note_environment(engine, tiny)
    path = folder.path / "environment.json"
    path.write_text(content)
    with pytest.raises(LimbeckError, match=rf"^cannot read {path}: .*Remove that file and run again: everything else"):
        open_run(tiny).__enter__()
    path.unlink()
    with open_run(tiny):
        pass


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": 1, "status": "complete", "networks": []}', "{"])
def test_a_results_json_that_is_broken(tiny: Recipe, content: str) -> None:
    with open_run(tiny) as folder:
        folder.results.write_text(content)
        with pytest.raises(LimbeckError) as refused:
            folder.read_results()
    assert str(refused.value).startswith(f"cannot read {folder.results}: ")
    assert str(refused.value).endswith(
        "Remove that file and run again: everything else is kept, and no test set is looked at again."
    )


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that works in the run folder "busy"."""
    words = [sys.executable, "-c", HOLD, str(tmp_path / "here" / "busy" / "lock")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_until_the_first_ends_however_it_ends(
    tiny: Recipe, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(LimbeckError) as refused, open_run(tiny, Path("busy")):
        pass
    assert str(refused.value) == (
        "another process is working in busy. Wait until it has ended, or type --out FOLDER to work elsewhere."
    )
    holder.kill()
    holder.wait()
    with open_run(tiny, Path("busy")) as folder:
        assert folder.path == Path("busy")


def test_a_folder_that_cannot_be_is_refused(tiny: Recipe) -> None:
    Path("file").write_text("")
    for out, why in (("file", "a file of that name is in the way"), ("file/below", "a part of the path is a file")):
        with pytest.raises(LimbeckError, match=f"cannot write .*: {why}"), open_run(tiny, Path(out)):
            pass


def test_every_start_is_noted_with_what_it_ran_on(tiny: Recipe, engine: Engine) -> None:
    with open_run(tiny) as folder:
        folder.note_environment(engine, tiny)
        folder.note_environment(engine, tiny)
        assert folder.noted_digest() == tiny.digest()
    starts = json.loads((folder.path / "environment.json").read_text())["starts"]
    assert len(starts) == 2
    for start in starts:
        assert start["packages"]["torch"] == importlib.metadata.version("torch")
        assert set(start["packages"]) == {
            *("limbeck", "torch", "torchvision", "numpy", "scikit-learn", "pydantic", "safetensors")
        }
        assert start["recipe"] == tiny.digest()
        assert start["threads"] == 1
        assert start["cores"] >= 1
        assert start["processor"]
        assert start["accelerator"] is None
        assert start["command"] == sys.argv
        assert start["decisions"] == list(engine.reasons)
        assert start["when"].endswith("+00:00")
        assert start["python"] == ".".join(map(str, sys.version_info[:3]))
        assert start["system"]


def test_the_revision_is_that_of_a_checkout_and_of_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*words: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    source = tmp_path / "runs.py"
    source.write_text("")
    monkeypatch.setattr(environment, "__file__", str(source))
    assert environment._revision() is None
    git("init")
    assert environment._revision() is None  # an installed copy in somebody else's repository
    git("add", "runs.py")
    git("commit", "-m", "first")
    revision = environment._revision()
    assert revision is not None
    assert len(revision) == 12
    source.write_text("changed")
    assert environment._revision() == f"{revision}-dirty"


def test_a_finished_file_is_sealed(tiny: Recipe) -> None:
    with open_run(tiny) as folder:
        first, second = folder.teacher / "weights.safetensors", folder.student(1, "alone") / "weights.safetensors"
        for path in (first, second):
            path.parent.mkdir(parents=True)
            path.write_bytes(b"weights")
            folder.seal(path)
        digest = hashlib.sha256(b"weights").hexdigest()
        sums = folder.path / "SHA256SUMS"
        assert sums.read_text() == (
            f"{digest}  teacher/weights.safetensors\n{digest}  seed1/alone/weights.safetensors\n"
        )
        folder.check(first)
        first.write_bytes(b"weighty")
        with pytest.raises(LimbeckError) as refused:
            folder.check(first)
        assert str(refused.value) == (
            f"{first} was altered since this run first had it: it has another SHA-256 than in {sums}. "
            "Replace it with a good copy; if the run made it, removing it has it made again."
        )
        folder.seal(first)  # made again
        folder.check(first)
        sums.unlink()  # killed before the seal
        folder.check(second)
        second.write_bytes(b"other")
        with pytest.raises(LimbeckError, match="was altered"):
            folder.check(second)


def test_looking_at_a_test_set_is_logged(tiny: Recipe) -> None:
    with open_run(tiny) as folder:
        folder.note_evaluation("teacher", None, "few", "test")
        folder.note_evaluation("alone", 1, "few", "test")
    first, second = map(json.loads, (folder.path / "evaluations.jsonl").read_text().splitlines())
    assert {**first, "when": ""} == {"when": "", "role": "teacher", "seed": None, "dataset": "few", "split": "test"}
    assert (second["role"], second["seed"]) == ("alone", 1)


def test_a_file_name_from_the_hardware() -> None:
    assert slug("AMD EPYC (TM) 9755, 2 cores") == "amd-epyc-tm-9755-2-cores"
    assert hardware(torch.device("cpu")).endswith(f", {os.cpu_count()} cores")
