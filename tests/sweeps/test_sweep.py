"""A whole sweep: what is trained, shared, judged, kept and shown."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import limbeck
from limbeck import experiment, start
from limbeck.cli import main
from limbeck.console import Console
from limbeck.errors import LimbeckError
from limbeck.files import digest
from limbeck.models.weights import load_network
from limbeck.objectives import DKD, KD
from limbeck.recipes import Recipe, Training, Weights
from limbeck.sweeps import Sweep
from limbeck.teachers import LiveTeacher
from limbeck.training import Engine, Job, memory

Capture = pytest.CaptureFixture[str]
QUIET = Console(quiet=True, file=io.StringIO())
DIVERGES = ["--train.optimizer.lr", ".02,1e15", "--train.clip", "none", "--train.schedule.warmup", "0"]


def swept(recipe: Recipe, out: str = "out", **axes: Any) -> Sweep:
    named = {path.replace("__", "."): values for path, values in axes.items()}
    return limbeck.sweep(recipe, named, out=out, console=QUIET)


def rows(out: str = "out") -> list[dict[str, Any]]:
    trials: list[dict[str, Any]] = json.loads(Path(out, "results.json").read_text())["trials"]
    return trials


class TestSharing:
    def test_one_teacher_its_answers_and_the_student_alone_serve_all_trials(
        self, tiny: Recipe, trained: list[Job], splits_read: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[int] = []
        answer = LiveTeacher.outputs

        def counting(teacher: LiveTeacher, index: torch.Tensor, views: torch.Tensor, epoch: int) -> Any:
            asked.append(len(index))
            return answer(teacher, index, views, epoch)

        monkeypatch.setattr(LiveTeacher, "outputs", counting)
        found = swept(tiny, objective="kd,dkd", objective__temperature="2,4")
        assert len(trained) == 1 + 2 + 4 * 2
        assert sum(asked) == 2 * 88  # every picture once in each of the two epochs
        assert splits_read == ["train"]
        assert not [*found.folder.rglob("answers"), *found.folder.rglob("details.json")]
        assert found.results["trained"] == {"alone": 1, "distilled": 4}

    def test_networks_are_those_that_a_run_trains(self, brief: Recipe) -> None:
        found = swept(brief, objective=["kd", "dkd"])
        run = start.run(brief.with_(objective=DKD()), Path("run"), console=QUIET)
        shelf = found.results["trials"][1]["trainings"]
        for role, folder in (("teacher", "teacher"), ("alone", "seed0/alone"), ("distilled", "seed0/distilled")):
            ours = found.folder / "trainings" / shelf[role] / "seed0" / "weights.safetensors"
            assert digest(ours) == digest(run.folder / folder / "weights.safetensors")
        summary = run.results["summary"]["few/holdout"]
        assert found.results["trials"][1]["accuracy"] == summary["accuracy"]
        assert found.results["trials"][1]["nll"] == summary["nll"]

    def test_what_concerns_both_students_is_trained_for_both(self, brief: Recipe, trained: list[Job]) -> None:
        found = swept(brief, train__epochs="1,2", objective="kd,dkd")
        assert [job.train.epochs for job in trained] == [1, 1, 1, 1, 2, 2, 2]  # the teacher, alone and two; the same
        assert found.results["trained"] == {"alone": 2, "distilled": 4}

    def test_the_teachers_training_may_vary(self, brief: Recipe, trained: list[Job]) -> None:
        found = swept(brief, teacher__train__epochs="1,2", alone__label_smoothing="0,.1")
        assert [(job.train.epochs, job.teacher is None) for job in trained] == [
            *((1, True), (1, True), (1, False)),  # teacher, alone, distilled
            *((1, True),),  # alone with smoothing; the rest is there
            *((2, True), (1, False)),
        ]
        assert found.results["trained"] == {"alone": 2, "distilled": 2}

    def test_other_views_have_answers_of_their_own(self, brief: Recipe) -> None:
        both, one = swept(brief, views__crop="1,2"), swept(brief, "one", views__crop="2,3")
        assert both.results["trials"][1]["accuracy"] == one.results["trials"][0]["accuracy"]

    def test_teachers_of_teachers_and_finished_ones(self, brief: Recipe, trained: list[Job]) -> None:
        assert isinstance(brief.teacher, Training)
        assistants = [brief.teacher.with_(teacher=brief.teacher, objective=KD(temperature=t)) for t in (2, 4)]
        found = swept(brief, teacher=assistants)
        assert len(trained) == 1 + 2 + 1 + 2  # the first teacher once, two assistants, alone once, two distilled
        weights = found.folder / "trainings" / found.results["trials"][0]["trainings"]["teacher"]
        trained.clear()
        given = brief.with_(teacher=Weights(path=weights / "seed0" / "weights.safetensors"))
        again = swept(given, "again", objective="kd,cross_entropy")
        assert len(trained) == 2
        assert again.results["trials"][0]["accuracy"] == found.results["trials"][0]["accuracy"]


class TestJudgement:
    def test_figures_are_those_of_the_held_out_pictures(self, tiny: Recipe, engine: Engine) -> None:
        found = swept(tiny, objective="kd,cross_entropy")
        first, control = found.results["trials"]
        assert first["accuracy"]["gain"]["mean"] == pytest.approx(
            first["accuracy"]["distilled"]["mean"] - first["accuracy"]["alone"]["mean"]
        )
        assert control["accuracy"].keys() == {"alone"}
        assert control["accuracy"]["alone"] == first["accuracy"]["alone"]
        lines = [
            [json.loads(line) for line in path.read_text().splitlines()]
            for path in sorted(found.folder.glob(f"trainings/{first['trainings']['distilled']}/seed*/metrics.jsonl"))
        ]
        last = [epochs[-1]["holdout_accuracy"] for epochs in lines]
        assert first["accuracy"]["distilled"]["mean"] == pytest.approx(sum(last) / 2)
        assert first["seconds"]["distilled"] == pytest.approx(sum(row["seconds"] for one in lines for row in one) / 2)
        peaks = [row.get("peak_memory") for one in lines for row in one]
        assert first["peak_memory"]["distilled"] == (None if None in peaks else max(peaks))
        network = load_network(found.folder / "trainings" / first["trainings"]["teacher"] / "seed0/weights.safetensors")
        assert network.model.name == "alexnet_cifar"

    def test_the_best_is_first_and_can_be_run(self, brief: Recipe) -> None:
        found = swept(brief, train__epochs=[1, 4, 2], objective=[KD(), "dkd"])
        accuracies = [
            found.results["trials"][place]["accuracy"]["distilled"]["mean"] for place in found.results["ranking"]
        ]
        assert accuracies == sorted(accuracies, reverse=True)
        assert found.best == found.trials[found.results["best"]].recipe
        assert found.best.train.epochs in (1, 2, 4)

    def test_memory_that_is_not_measured_is_said_to_be_so(
        self, brief: Recipe, monkeypatch: pytest.MonkeyPatch, capsys: Capture
    ) -> None:
        monkeypatch.setattr(memory, "_PROCESS", Path("nowhere"))
        monkeypatch.setenv("COLUMNS", "120")
        assert main(["sweep", "brief", "--objective", "kd,dkd", "--out", "out"]) == 0
        assert capsys.readouterr().out.count("not measured") == 2
        assert rows()[0]["peak_memory"]["distilled"] is None


class TestScreen:
    def test_it_ends_with_the_table_and_the_command(self, brief: Recipe, capsys: Capture) -> None:
        words = ["sweep", "brief", "--objective", "kd,dkd", "--objective.temperature", "2,4", "--train.clip", "2"]
        assert main(words) == 0
        said = capsys.readouterr()
        (folder,) = Path("sweeps").iterdir()
        assert re.fullmatch(r"brief-[0-9a-f]{8}", folder.name)
        lines = said.out.rstrip().splitlines()
        assert lines[0] == f"recipe brief -> {folder}"
        assert "trial 2 of 4: objective kd, objective.temperature 4" in lines
        assert f"All of it is in {folder}" in lines
        assert lines[-5].startswith(
            "4 trials, judged on 32 held-out pictures; different trainings: 1 alone, 4 distilled,"
        )
        assert lines[-4].startswith("Distilled had 4 trainings to choose from, alone 1: the best of many is flattered.")
        assert lines[-2].startswith("No test set was looked at. This runs the best trial for good")
        assert re.fullmatch(
            r"limbeck run brief --objective d?kd --objective.temperature [24] --train.clip 2", lines[-1]
        )
        page = (folder / "table.md").read_text()
        assert page.endswith(f"    {lines[-1]}\n")
        assert "| objective | temperature | alone | distilled | gain | time | memory |" in page
        assert said.err == ""
        assert main([*words, "--quiet"]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == lines[-1]

    def test_no_warning_where_both_had_the_same_chances(self, brief: Recipe, capsys: Capture) -> None:
        assert main(["sweep", "brief", "--train.epochs", "1,2", "--out", "out", "--quiet"]) == 0
        said = capsys.readouterr().out
        assert "different trainings: 2 alone, 2 distilled" in said
        assert "flattered" not in said

    def test_a_dry_run_lists_the_trials_and_leaves_nothing(
        self, brief: Recipe, trained: list[Job], capsys: Capture
    ) -> None:
        assert main(["sweep", "brief", "--objective", "kd,dkd", "--objective.alpha", "1,2", "--dry-run"]) == 0
        lines = [line.split() for line in capsys.readouterr().out.splitlines()]
        assert " ".join(lines[0]).startswith("brief: 3 trials; trainings: 1 teacher, 1 alone, 3 distilled")
        assert lines[-3:] == [["kd"], ["dkd", "1"], ["dkd", "2"]]
        assert trained == []
        assert not list(Path().iterdir())


class TestFailures:
    def test_a_trial_that_diverges_does_not_end_the_sweep(
        self, brief: Recipe, trained: list[Job], capsys: Capture
    ) -> None:
        words = ["sweep", "brief", *DIVERGES, "--objective", "kd,dkd", "--out", "out"]
        assert main(words) == 0
        said = capsys.readouterr().out
        assert said.count("diverged in epoch 1") == 4  # alone and distilled, in two trials
        assert "train.optimizer.lr 1e15, objective dkd: alone failed: the loss is no longer a finite number" in said
        assert len(trained) == 1 + 3 + 3  # alone fails once and not twice
        assert [row["failed"].keys() for row in rows()] == [
            set(),
            set(),
            {"alone", "distilled"},
            {"alone", "distilled"},
        ]
        trained.clear()
        Path("out/results.json").unlink()
        assert main(words) == 0
        assert trained == []  # it would diverge again
        assert len(rows()) == 4

    def test_all_of_them(self, brief: Recipe, fails: Callable[..., str]) -> None:
        words = [word.replace(".02,1e15", "1e14,1e15") for word in DIVERGES]
        assert fails("sweep", "brief", *words, "--out", "out").startswith(
            "error: all 2 trials failed. The first: the loss is no longer a finite number, in epoch 1, step "
        )
        with pytest.raises(LimbeckError, match=r"^all 2 trials failed"):
            _ = swept(brief.with_(train=brief.train.with_(clip=None)), "py", train__optimizer__lr=[1e14, 1e15]).best

    def test_a_teacher_that_diverges_leaves_the_student_alone(self, brief: Recipe) -> None:
        assert isinstance(brief.teacher, Training)
        broken = brief.teacher.train.with_(
            optimizer=brief.teacher.train.optimizer.with_(lr=1e15), clip=None, schedule={"warmup": 0}
        )
        recipe = brief.with_(teacher=brief.teacher.with_(train=broken))
        (first, second) = swept(recipe, objective="kd,dkd").results["trials"]
        assert first["failed"]["distilled"]["short"] == "teacher diverged in epoch 1"
        assert second["failed"].keys() == {"teacher", "distilled"}
        assert second["accuracy"].keys() == {"alone"}

    def test_too_little_memory_is_tried_again_by_the_next_start(
        self, brief: Recipe, trained: list[Job], monkeypatch: pytest.MonkeyPatch, capsys: Capture
    ) -> None:
        words = ["sweep", "brief", "--objective", "kd,dkd", "--out", "out"]
        with monkeypatch.context() as patched:
            fit = experiment.fit

            def short_of_memory(job: Job) -> Any:
                if job.teacher is not None and len(trained) == 3:
                    raise torch.OutOfMemoryError("CUDA out of memory.")
                return fit(job)

            patched.setattr(experiment, "fit", short_of_memory)
            assert main(words) == 0
        said = capsys.readouterr().out
        assert "objective dkd: distilled failed: out of memory in student distilled, seed 0" in said
        trained.clear()
        assert main(words) == 0
        assert len(trained) == 1
        assert [row["failed"] for row in rows()] == [{}, {}]


class Stopped(BaseException):
    """The process is gone."""


class TestResuming:
    def test_a_finished_sweep_is_shown_again_and_fresh_makes_it_again(
        self, brief: Recipe, trained: list[Job], capsys: Capture
    ) -> None:
        words = ["sweep", "brief", "--objective", "kd,dkd", "--out", "out"]
        assert main([*words, "--quiet"]) == 0
        shown, content = capsys.readouterr().out, Path("out/results.json").read_bytes()
        trained.clear()
        assert main(words) == 0
        assert capsys.readouterr().out == f"out is complete already; --fresh starts it over.\n{shown}"
        assert trained == []
        assert Path("out/results.json").read_bytes() == content
        assert main([*words, "--fresh", "--quiet"]) == 0
        assert len(trained) == 4

    def test_finished_trials_are_kept(self, brief: Recipe, trained: list[Job], stopped: Any) -> None:
        with stopped(3, Stopped), pytest.raises(Stopped):
            swept(brief, objective="kd,dkd")
        results = json.loads(Path("out/results.json").read_text())
        assert (results["status"], len(results["trials"])) == ("running", 1)
        trained.clear()
        assert swept(brief, objective="kd,dkd").results["trials"][0] == results["trials"][0]
        assert len(trained) == 1

    def test_folders_of_others_are_refused(self, brief: Recipe, fails: Callable[..., str]) -> None:
        words = ["sweep", "brief", "--out", "out", "--quiet", "--objective"]
        assert main([*words, "kd,dkd"]) == 0
        said = fails(*words, "kd,dist")
        assert said.startswith(
            "error: out belongs to another sweep (axes.--objective: ['kd', 'dkd'], now ['kd', 'dist']). "
        )
        said = fails(*words, "kd,dkd", "--train.ema", ".9")
        assert "out belongs to another sweep (other options, or an edited file of your own)" in said
        assert "out is not the folder of a run" in fails("run", "brief", "--out", "out")
        assert main(["run", "brief", "--out", "run", "--quiet"]) == 0
        said = fails("sweep", "brief", "--objective", "kd,dkd", "--out", "run")
        assert said.startswith("error: run is not the folder of a sweep: it has SHA256SUMS, ")
        Path("mine").mkdir()
        Path("mine/notes.txt").touch()
        said = fails("sweep", "brief", "--objective", "kd,dkd", "--out", "mine")
        assert said.startswith("error: mine is not the folder of a sweep: it has notes.txt but no sweep.json.")

    def test_an_edit_of_an_own_class_makes_another_sweep(self, brief: Recipe) -> None:
        file = (
            "import limbeck\nfrom typing import Literal\nfrom limbeck.objectives import Objective\n"
            "class Own(Objective):\n    name: Literal['own'] = 'own'\n"
            "    def forward(self, student, teacher, batch):\n        return {{'own': student.logits.{}().mean()}}\n"
            "def mine():\n    return limbeck.recipes.find('brief').with_(name='mine')\n"
        )
        for body in ("square", "abs", "square"):
            Path("mine.py").write_text(file.format(body))
            assert main(["sweep", "mine.py", "--objective", "own,cross_entropy", "--quiet"]) == 0
        assert len(list(Path("sweeps").iterdir())) == 2


def test_what_is_no_recipe() -> None:
    with pytest.raises(LimbeckError, match=r"^sweep takes a Recipe, or the name or path of one, not int\.$"):
        limbeck.sweep(3, {})  # type: ignore[arg-type]


def test_a_teacher_is_shared_with_those_that_it_is_one_of(brief: Recipe) -> None:
    """Members lie where each would lie alone, by its own seed; their teachers, too."""
    one = brief.teacher
    assert isinstance(one, Training)
    taught = one.with_(teacher=one, objective=KD())
    swept = limbeck.sweep(brief, {"teacher": [one, [one, taught], [one, one]]}, out="sweep", console=QUIET)
    found = sorted(path.parent for path in Path("sweep").glob("trainings/*/seed*/weights.safetensors"))
    networks = [load_network(folder / "weights.safetensors") for folder in found]
    teachers = [saved.model.title() for saved in networks if "alexnet" in saved.model.title()]
    title = one.student.title()
    # alone with seeds 0, 1 and, as the teacher of its like, 2; taught from seed 1; the two pairs
    assert sorted(teachers) == sorted([title] * 4 + [f"2 of {title}"] * 2)
    assert [row["failed"] for row in swept.results["trials"]] == [{}] * 3
