"""Whole runs that share a folder of answers: the teacher is asked once, and every student is as it would have been."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from limbeck import start
from limbeck.console import Console
from limbeck.files import digest, read_json
from limbeck.objectives import DKD
from limbeck.planning import _Planner
from limbeck.recipes import Recipe, Training, Weights
from limbeck.teachers import Stored, Table

QUIET = Console(quiet=True, file=io.StringIO())
SHARED = Stored(folder=Path("shared"))


@pytest.fixture
def recipe(tiny: Recipe) -> Recipe:
    """One seed, nobody alone."""
    return tiny.with_(alone=None, protocol=tiny.protocol.with_(seeds=(0,)))


def run(recipe: Recipe, out: str) -> str:
    """The SHA-256 of the student that a run ends with."""
    start.run(recipe, Path(out), console=QUIET)
    assert not Path(out, "answers").exists()
    return digest(Path(out, "seed0/distilled/weights.safetensors"))


def stages(recipe: Recipe, folder: str) -> tuple[list[tuple[str, int, int]], int]:
    """What a dry run tells of the student, evaluations left out, and the bytes that are kept."""
    Path(folder).mkdir()
    planner = _Planner(recipe, Path(folder), QUIET)
    planner.work()
    told = [(stage.title, stage.epochs, stage.times) for stage in planner.stages if "evaluated" not in stage.title]
    return [row for row in told if row[0] != "teacher"], planner.kept


def test_runs_share_answers_where_they_depend_on_nothing_else(recipe: Recipe, views_asked: list[int]) -> None:
    first, second = run(recipe.with_(logits=SHARED), "first"), recipe.with_(objective=DKD(), logits=SHARED)
    assert sum(views_asked) == 2 * 88
    shared = run(second, "second")
    longer = recipe.with_(train=recipe.train.with_(epochs=3), logits=SHARED)
    assert sum(views_asked) == 2 * 88  # the second asked nobody
    teacher = Weights(path=Path("first/teacher/weights.safetensors"))  # the same, from a file
    told, kept = stages(longer.with_(teacher=teacher), "plan")
    assert told == [
        ("student distilled, teacher asked", 1, 1),
        ("student distilled, answers there", 2, 1),
    ]
    assert kept < stages(longer.with_(teacher=teacher, logits=Stored()), "again")[1]
    views_asked.clear()
    said = io.StringIO()
    start.run(longer.with_(teacher=teacher), Path("longer"), console=Console(file=said))
    assert "  the teacher's answers to 2 of 3 views of each picture are in shared already\n" in said.getvalue()
    assert sum(views_asked) == 88
    (folder,) = Path("shared").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == [
        *(f"epoch000{number}.npz" for number in (1, 2, 3)), "key.json",
    ]  # fmt: skip
    said = read_json(folder / "key.json")
    assert (said["answers"], said["views"]["crop"]) == ("alexnet_cifar x0.0625 on few", 2)
    assert shared == run(recipe.with_(objective=DKD(), logits="stored"), "apart") != first


def test_a_table_serves_every_seed_of_views(recipe: Recipe, views_asked: list[int]) -> None:
    assert isinstance(recipe.teacher, Training)
    recipe = recipe.with_(views=recipe.views.with_(crop=1), logits=Table(folder=Path("shared")))
    first = run(recipe, "first")
    assert sum(views_asked) == 9 * 88
    teacher = Weights(path=Path("first/teacher/weights.safetensors"))
    again = recipe.with_(teacher=teacher, protocol=recipe.protocol.with_(view_seed=3, seeds=(0, 1)))
    assert stages(again, "plan")[0] == [("student distilled, answers stored", 2, 2)]
    elsewhere = again.with_(logits=Table(folder=Path("elsewhere")))
    views_asked.clear()
    assert stages(elsewhere, "new plan")[0] == [
        ("student distilled, teacher asked beforehand", 9, 1),
        ("student distilled, answers stored", 2, 2),
    ]
    assert not Path("elsewhere").exists()
    assert sum(views_asked) < 9 * 88  # a plan does not make the table
    views_asked.clear()
    assert run(again, "again") != first
    assert views_asked == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--logits table --views.cutout 3", "every crop and flip of a picture, but views.cutout = 3 makes other views"),
        ("--logits table --views.mix mixup", "logits = 'table' keeps one answer a view, but views.mix = 'mixup' makes"),
        (
            "--logits table --objective fitnet",
            "logits = 'table' keeps a teacher's logits, but the objective needs feat",
        ),
        (
            "--logits stored --objective fitnet",
            "logits = 'stored' keeps a teacher's logits, but the objective needs fe",
        ),
        (
            "--logits.folder x",
            "--logits.folder belongs to stored, table; now --logits is none. Type --logits stored",
        ),
        ("--logits stored --logits.folder file", "logits.folder = file: file is a file. Type --logits.folder with a f"),
    ],
)
def test_refusals(fails: Callable[..., str], views_asked: list[int], words: str, message: str) -> None:
    Path("file").touch()
    assert message in fails("run", "tiny", *words.split(), "--out", "out")
    assert not Path("out").exists()
