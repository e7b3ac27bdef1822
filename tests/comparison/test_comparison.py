"""A real pair of small runs: figures worked out again from their files, and everything that is refused."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import limbeck
from limbeck.errors import LimbeckError
from limbeck.evaluation.differences import ONE, PAIRED, UNPAIRED
from limbeck.files import read_tensors

Runs = tuple[Path, Path]


def right(run: Path, seed: int, role: str) -> np.ndarray:
    answers = read_tensors(run / f"seed{seed}" / role / "logits-few-test.safetensors")
    return (answers["logits"].argmax(1) == answers["labels"]).numpy().astype(float)


def edit(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def named(results: dict[str, Any], role: str, run: str = "B") -> dict[str, Any]:
    (found,) = (each for each in results["differences"] if (each["role"], each["run"]) == (role, run))
    return dict(found)


def test_a_pair_of_runs(runs: Runs) -> None:
    compared = limbeck.compare(runs)
    results = compared.results
    assert dict(compared.runs) == {"A": runs[0], "B": runs[1]}
    assert list(results) == [
        *("schema", "reference", "runs", "fields", "environment", "accuracy", "pictures", "differences"),
        *("missing", "notes"),
    ]
    json.dumps(results, allow_nan=False)
    assert results["fields"]["objective.name"] == {"A": "kd", "B": "dkd"}
    assert results["fields"]["objective.beta"] == {"B": 2}
    assert all(field.startswith("objective.") for field in results["fields"])
    assert (results["environment"], results["pictures"], results["missing"]) == ({}, {"few": 40}, [])
    for role in ("alone", "distilled"):
        by_seed = [np.mean(right(runs[1], seed, role)) - np.mean(right(runs[0], seed, role)) for seed in (0, 1)]
        by_picture = np.mean([right(runs[1], seed, role) - right(runs[0], seed, role) for seed in (0, 1)], axis=0)
        found = named(results, role)
        assert found["mean"] == pytest.approx(np.mean(by_seed))
        assert found["ci95"] == pytest.approx(stats.t.ppf(0.975, 1) * np.std(by_seed, ddof=1) / math.sqrt(2))
        assert found["sample_ci95"] == pytest.approx(1.96 * by_picture.std() / math.sqrt(40))
        assert (found["n"], found["method"]) == (2, PAIRED)
    alone, teacher = named(results, "alone"), named(results, "teacher")
    assert (alone["mean"], alone["ci95"], alone["sample_ci95"], alone["told_apart"]) == (0, 0, 0, False)  # same bits
    assert (teacher["mean"], teacher["ci95"], teacher["method"]) == (0, None, ONE)
    assert named(results, "gain")["mean"] == pytest.approx(named(results, "distilled")["mean"])
    assert named(results, "gain")["sample_ci95"] == pytest.approx(named(results, "distilled")["sample_ci95"])
    assert results["runs"]["A"]["networks"]["teacher"]["model"] == "alexnet_cifar x0.0625"
    summary = json.loads((runs[1] / "results.json").read_text())["summary"]
    assert results["accuracy"]["few"]["gain"]["B"] == summary["few"]["accuracy"]["gain"]
    assert any(
        "4 differences, each with a 95 % interval of its own, not corrected" in note for note in results["notes"]
    )


def test_another_reference_turns_the_differences_round(runs: Runs) -> None:
    there, back = (limbeck.compare(runs, reference).results for reference in (None, "other"))
    assert back["reference"] == "B"
    assert named(back, "distilled", "A")["mean"] == pytest.approx(-named(there, "distilled")["mean"])
    assert named(back, "distilled", "A")["ci95"] == pytest.approx(named(there, "distilled")["ci95"])


def test_other_seeds_are_not_paired_and_it_is_said(runs: Runs) -> None:
    def only_the_first(results: dict[str, Any]) -> None:
        for name in ("networks", "measurements"):
            results[name] = [each for each in results[name] if each["seed"] != 1]

    edit(runs[1] / "results.json", only_the_first)
    edit(runs[1] / "recipe.json", lambda recipe: recipe["protocol"].update(seeds=[0]))
    results = limbeck.compare(runs).results
    found = named(results, "distilled")
    assert (found["method"], found["n"], found["n_reference"], found["ci95"]) == (UNPAIRED, 1, 2, None)
    assert found["sample_ci95"] > 0
    assert "B and A: seeds differ: not paired (0; A 0 1)." in results["notes"]


@pytest.mark.parametrize("harm", ["gone", "of other weights"])
def test_without_fitting_answers_the_doubt_from_the_pictures_is_not_known(runs: Runs, harm: str) -> None:
    file = runs[1] / "seed1" / "distilled" / "logits-few-test.safetensors"
    if harm == "gone":
        file.unlink()
    else:
        shutil.copy(runs[1] / "teacher" / file.name, file)
    results = limbeck.compare(runs).results
    assert all(each["sample_ci95"] is None for each in results["differences"])
    assert named(results, "distilled")["ci95"] is not None
    why = "the doubt that comes from the test pictures is not known: other kept no answers that fit its results."
    assert results["missing"] == [{"run": "B", "what": "few", "why": why}]


def test_a_run_on_other_data_is_shown_and_not_compared(runs: Runs) -> None:
    shutil.copytree("other", "third")
    edit(Path("third/recipe.json"), lambda recipe: recipe["data"].update(name="digits"))
    results = limbeck.compare([*runs, "third"]).results
    assert results["fields"]["data.name"] == {"A": "few", "B": "few", "C": "digits"}
    assert {each["run"] for each in results["differences"]} == {"B"}
    assert results["missing"] == [{"run": "C", "what": "accuracy", "why": "it was trained on digits, A on few."}]
    assert set(results["accuracy"]["few"]["distilled"]) == {"A", "B", "C"}


def test_the_same_recipe_twice_is_said(runs: Runs) -> None:
    shutil.copytree("one", "again")
    results = limbeck.compare(["one", "again"]).results
    assert results["fields"] == {}
    assert "B has the same recipe as A." in results["notes"]


def test_what_is_refused(runs: Runs) -> None:
    shutil.copytree("other", "elsewhere")
    edit(Path("elsewhere/recipe.json"), lambda recipe: recipe["data"].update(name="digits"))
    shutil.copytree("other", "unfinished")
    Path("unfinished/results.json").unlink()
    Path("folder").mkdir()
    ending = "Give the folders of finished runs. `limbeck run` makes a run, in the folder runs."
    for paths, said in {
        (): "which runs? Type the folders of two finished runs or more: limbeck compare runs/A runs/B",
        "one": "one with what? Type the folders of two finished runs or more: limbeck compare runs/A runs/B",
        ("one",): "one with what? Type the folders of two finished runs or more: limbeck compare runs/A runs/B",
        ("one", "other", "./one/"): "one is given twice. Give each run once.",
        ("one", str(Path("one").resolve())): f"{Path('one').resolve()} is given twice, as one and as "
        f"{Path('one').resolve()}. Give each run once.",
        ("one", "folder"): f"folder is not the folder of a run: it has no recipe.json. {ending}",
        ("one", "nowhere"): f"nowhere does not exist. {ending}",
        ("one", "unfinished"): "unfinished is not finished: it has no results.json. Type `limbeck run unfinished` to "
        "finish it.",
        ("one", "elsewhere"): "there is nothing to compare with one. elsewhere: it was trained on digits, A on few.",
    }.items():
        with pytest.raises(LimbeckError) as refused:
            limbeck.compare(paths)
        assert str(refused.value) == said
    edit(Path("elsewhere/recipe.json"), lambda recipe: recipe["data"].update(name="few"))
    edit(Path("elsewhere/results.json"), lambda results: results["summary"].pop("few"))
    with pytest.raises(LimbeckError, match=r"elsewhere: it has no test set in common with A\."):
        limbeck.compare(["one", "elsewhere"])
    with pytest.raises(LimbeckError, match=r"--reference two is none of the runs .* Give one of: one, other\."):
        limbeck.compare(runs, "two")
