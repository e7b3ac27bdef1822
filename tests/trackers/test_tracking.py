"""Each thing is told once, whatever is killed or fails, and no tracker ends a run."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from diary import Diary, known

from limbeck import start
from limbeck.console import Console
from limbeck.errors import LimbeckError
from limbeck.options import parse_run
from limbeck.recipes import Recipe
from limbeck.trackers import telling, tracking

RESULTS = {
    "summary": {
        "few": {
            "accuracy": {
                "teacher": {"mean": 0.9, "ci95": None, "n": 1},
                "gain": {"mean": 0.01, "ci95": 0.02, "n": 3},
            }
        }
    }
}


@pytest.fixture
def diary(monkeypatch: pytest.MonkeyPatch) -> type[Diary]:
    return known(monkeypatch, "diary")


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def told(tmp_path: Path, said: io.StringIO) -> Any:
    """Starts trackers on a run's folder."""
    return lambda *names: telling(names, tmp_path, {"train": {"epochs": 3}}, Console(file=said))


def rows(*epochs: int) -> list[dict[str, Any]]:
    return [{"epoch": epoch, "loss": 1 / epoch} for epoch in epochs]


def test_an_epoch_is_told_once_over_two_starts_and_the_result_with_its_files(
    told: Any, diary: type[Diary], tmp_path: Path
) -> None:
    home = tmp_path / "seed0" / "alone"
    with told("diary", "diary") as trackers:
        trackers.epochs(home, rows(1))
        trackers.epochs(home, rows(1, 2))
    with told("diary") as trackers:
        trackers.epochs(home, rows(1, 2))  # what the checkpoint has
        trackers.epochs(home, rows(1, 2, 3))
        for name in ("results.json", "details.json", "notes.txt"):
            (tmp_path / name).touch()
        trackers.result(RESULTS)
    with told("diary") as trackers:
        trackers.result(RESULTS)
    assert diary.epochs("seed0/alone") == [1, 2, 3]
    assert ("seed0/alone", 2, {"loss": 0.5}) in diary.pages
    figures = {"few/accuracy/teacher": 0.9, "few/accuracy/gain": 0.01, "few/accuracy/gain_ci95": 0.02}
    assert diary.pages.count(("result", figures)) == len(diary.epochs("result")) == 1
    assert diary.epochs("artifact") == ["results.json", "details.json"]
    (name,) = set(diary.epochs("start"))
    assert name == json.loads((tmp_path / "trackers.json").read_text())["id"]
    assert name.startswith(f"{tmp_path.name}-")
    assert diary.epochs("close") == [True] * 3


def test_another_folder_is_another_run(diary: type[Diary], tmp_path: Path) -> None:
    for name in ("one/x", "two/x"):
        with telling(["diary"], tmp_path / name, {}, Console(quiet=True)):
            pass
    assert len(set(diary.epochs("start"))) == 2


def test_one_that_comes_late_is_told_what_was_finished_before(told: Any, diary: type[Diary], tmp_path: Path) -> None:
    for stage in ("teacher/1", "teacher/2"):
        (tmp_path / stage).mkdir(parents=True)
        (tmp_path / stage / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(1, 2)))
    with told("diary") as trackers:
        trackers.trained(tmp_path / "teacher")
    assert diary.epochs("teacher/1") == diary.epochs("teacher/2") == [1, 2]


def test_a_kill_while_it_is_told_doubles_nothing(told: Any, diary: type[Diary], tmp_path: Path) -> None:
    def killed(self: Diary, stage: str, epoch: int) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    diary.fails = killed
    with pytest.raises(KeyboardInterrupt), told("diary") as trackers:
        trackers.epochs(tmp_path / "teacher", rows(1, 2))
    diary.fails = lambda self, stage, epoch: None
    with told("diary") as trackers:
        trackers.epochs(tmp_path / "teacher", rows(1, 2, 3))
    assert diary.epochs("teacher") == [1, 3]
    assert diary.epochs("close") == [False, True]


def test_one_that_lost_what_it_was_told_is_told_again(told: Any, diary: type[Diary], tmp_path: Path) -> None:
    with told("diary") as trackers:
        trackers.epochs(tmp_path / "teacher", rows(1, 2, 3))
    diary.lost = {"teacher": 1}
    with told("diary") as trackers:
        trackers.epochs(tmp_path / "teacher", rows(1, 2, 3))
    assert diary.epochs("teacher") == [1, 2, 3, 2, 3]


def test_a_failure_is_a_warning_and_the_next_start_tells_the_rest(
    told: Any, diary: type[Diary], said: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(self: Diary, stage: str, epoch: int) -> None:
        if epoch == 2:
            raise ConnectionError("no route to host.")

    diary.fails = gone
    other = known(monkeypatch, "other")
    with told("diary", "other") as trackers:
        for epoch in (1, 2, 3):
            trackers.epochs(tmp_path / "teacher", rows(*range(1, epoch + 1)))
        trackers.result(RESULTS)
    assert diary.epochs("teacher") == [1]
    assert other.epochs("teacher") == [1, 2, 3]
    assert [line for line in said.getvalue().splitlines() if "warning" in line] == [
        "warning: the tracker diary failed and is told nothing more: ConnectionError: no route to host. The run goes "
        "on; the same command with --tracker diary tells it the rest later."
    ]
    diary.fails = lambda self, stage, epoch: None
    with told("diary") as trackers:
        trackers.epochs(tmp_path / "teacher", rows(1, 2, 3))
    assert diary.epochs("teacher") == [1, 2, 3]


def test_one_that_cannot_begin_is_an_error_and_the_others_are_let_go(
    told: Any, diary: type[Diary], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(self: Diary, stage: str, epoch: int) -> None:
        raise PermissionError("log in first")

    known(monkeypatch, "other").fails = closed
    with pytest.raises(LimbeckError) as refused, told("diary", "other"):
        pass
    assert str(refused.value) == (
        "the tracker other cannot be started: PermissionError: log in first. Mend that, or leave --tracker other away: "
        "the same command with it tells everything later."
    )
    assert diary.epochs("close") == [False]


def test_an_end_that_fails_is_a_warning(told: Any, diary: type[Diary], said: io.StringIO) -> None:
    def failing(self: Diary, finished: bool) -> None:
        raise OSError("gone")

    diary.close = failing  # type: ignore[method-assign]
    with told("diary"):
        pass
    assert "warning: the tracker diary failed" in said.getvalue()


def test_a_missing_package_is_found_before_anything_is_done(tiny: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(LimbeckError) as refused:
        start.run(tiny, "out", tracker="mlflow")
    assert str(refused.value) == (
        "the tracker mlflow needs the package mlflow, which is not installed. Type: pip install mlflow"
    )
    assert not Path("out").exists()


def test_a_folder_of_its_name_is_no_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in a run's folder, which has a folder tensorboard."""
    known(monkeypatch, "a_mere_folder")
    (tmp_path / "a_mere_folder").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(LimbeckError, match="needs the package a_mere_folder, which is not installed"):
        tracking.refuse_absent(["a_mere_folder"])


@pytest.mark.parametrize("words", ["--tracker tensorboard cifar10", "cifar10 --tracker tensorbored"])
def test_an_unknown_name_is_refused_with_those_that_there_are(words: str) -> None:
    with pytest.raises(LimbeckError) as refused:
        parse_run(words.split(), "")
    wrong = words.split()[-1]
    near = " Did you mean 'tensorboard'?" if wrong == "tensorbored" else ""
    assert str(refused.value).endswith(
        f": unknown tracker {wrong!r}.{near} Known: mlflow, tensorboard, trackio, wandb. "
        "A recipe is typed before it: limbeck run RECIPE --tracker tensorboard"
    )


def test_it_is_no_part_of_the_recipe() -> None:
    plain, _ = parse_run(["digits"], "")
    recipe, options = parse_run(["digits", "--tracker", "tensorboard", "wandb", "--quiet"], "")
    assert options.tracker == ("tensorboard", "wandb")
    assert recipe.digest() == plain.digest()
