"""A whole run: its stages, what it leaves behind, and what results.json holds."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import limbeck
from limbeck import data, experiment, recipes, report, start
from limbeck.console import Console
from limbeck.data import Dataset
from limbeck.errors import LimbeckError
from limbeck.files import digest, read_tensors
from limbeck.judging import evaluating
from limbeck.models.model import Model
from limbeck.models.weights import load_network, save_network
from limbeck.objectives import CRD, DML, KD, CrossEntropy, FitNet, Objective, SimKD, TfKD
from limbeck.recipes import Data, Recipe, Training, Weights
from limbeck.teachers import Live, LiveTeacher, Stored
from limbeck.training import Job, Train, choose

NETWORKS = [("teacher", None), ("alone", 0), ("distilled", 0), ("alone", 1), ("distilled", 1)]
TEACHER = Training(student=Model(name="alexnet_cifar", width=0.0625), train=Train(epochs=1, batch_size=32))
QUIET = Console(quiet=True, file=io.StringIO())


def run(recipe: Recipe, out: str = "out", console: Console = QUIET) -> start.Result:
    return start.run(recipe, Path(out), console=console)


def digests(folder: Path) -> dict[str, str]:
    """The sha256 of every weights file of a run."""
    files = sorted(folder.rglob("weights.safetensors"))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Job, dict[str, torch.Tensor]]]:
    """Every training, with the weights that it began with."""
    seen: list[tuple[Job, dict[str, torch.Tensor]]] = []
    fit = experiment.fit

    def remembering(job: Job) -> nn.Module:
        seen.append((job, {name: tensor.clone() for name, tensor in job.network.state_dict().items()}))
        return fit(job)

    monkeypatch.setattr(experiment, "fit", remembering)
    return seen


def test_one_loop_trains_every_network_and_only_the_objective_differs(
    tiny: Recipe, jobs: list[tuple[Job, dict[str, torch.Tensor]]]
) -> None:
    folder = run(tiny).folder
    assert [job.folder.relative_to(folder) for job, _ in jobs] == [
        Path(path) for path in ("teacher", "seed0/alone", "seed0/distilled", "seed1/alone", "seed1/distilled")
    ]
    teacher, alone, distilled, *_ = (job for job, _ in jobs)
    assert teacher.teacher is None
    assert alone.teacher is None
    assert distilled.teacher is not None is not jobs[4][0].teacher
    for (one, begun), (other, begun_too) in ((jobs[1], jobs[2]), (jobs[3], jobs[4])):
        assert all(torch.equal(begun[name], begun_too[name]) for name in begun)
        for name in ("pictures", "views", "train", "engine", "seed", "view_seed"):
            assert getattr(one, name) == getattr(other, name)
    assert not all(torch.equal(tensor, jobs[3][1][name]) for name, tensor in jobs[1][1].items())
    assert [job.seed for job, _ in jobs] == [0, 0, 0, 1, 1]
    assert len({job.identity for job, _ in jobs}) == 5
    assert len(teacher.pictures) == 88
    assert not set(map(bytes, _rows(teacher.pictures))) & set(map(bytes, _rows(data.load("few", "test"))))


def _rows(pictures: Dataset) -> np.ndarray:
    return pictures.images.flatten(1).numpy()


def test_without_the_teachers_term_distilled_is_alone_bit_for_bit(tiny: Recipe) -> None:
    found = digests(run(tiny.with_(objective=KD(weight=0, labels=1))).folder)
    for seed in (0, 1):
        assert found[f"seed{seed}/distilled/weights.safetensors"] == found[f"seed{seed}/alone/weights.safetensors"]
    assert found["seed0/alone/weights.safetensors"] != found["seed1/alone/weights.safetensors"]
    taught = digests(run(tiny, "taught").folder)
    assert taught["seed0/alone/weights.safetensors"] == found["seed0/alone/weights.safetensors"]
    assert taught["seed0/distilled/weights.safetensors"] != found["seed0/distilled/weights.safetensors"]


def test_a_run_can_be_repeated_bit_for_bit(tiny: Recipe) -> None:
    first, second = digests(run(tiny).folder), digests(run(tiny, "again").folder)
    assert first == second
    assert len(first) == len(set(first.values())) == 5


def test_live_and_stored_answers_train_nearly_the_same_student(tiny: Recipe) -> None:
    stored, live = run(tiny).folder, run(tiny.with_(logits="live"), "live").folder
    for seed in (0, 1):
        one, other = (
            read_tensors(path / f"seed{seed}" / "distilled" / "weights.safetensors") for path in (stored, live)
        )
        for name, tensor in one.items():
            torch.testing.assert_close(other[name], tensor, rtol=0.01, atol=1e-3)


def test_what_a_run_leaves_behind(tiny: Recipe) -> None:
    folder = run(tiny).folder
    network = ["logits-few-holdout.safetensors", "logits-few-test.safetensors", "metrics.jsonl", "weights.safetensors"]
    roles = ["teacher", "seed0/alone", "seed0/distilled", "seed1/alone", "seed1/distilled"]
    own = ["SHA256SUMS", "details.json", "environment.json", "evaluations.jsonl", "lock", "recipe.json", "results.json"]
    expected = sorted([*own, *(f"{role}/{name}" for role in roles for name in network)])
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == expected
    assert not (folder / "answers").exists()
    assert json.loads((folder / "recipe.json").read_text()) == tiny.model_dump(mode="json")
    sums = [line.split("  ") for line in (folder / "SHA256SUMS").read_text().splitlines()]
    assert {name: digest for digest, name in sums} == digests(folder)


def test_a_test_set_is_looked_at_once_and_never_again(tiny: Recipe, splits_read: list[str]) -> None:
    folder = run(tiny).folder
    assert splits_read == ["train", "test"]  # the test set is not even read before the networks are trained
    log = folder / "evaluations.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["role"], line["seed"]) for line in lines] == NETWORKS
    assert {(line["dataset"], line["split"]) for line in lines} == {("few", "test")}
    content, results = log.read_bytes(), (folder / "results.json").read_bytes()
    said = io.StringIO()
    again = run(tiny, console=Console(file=said))
    assert said.getvalue() == "out is complete already; --fresh starts it over.\n"
    assert splits_read == ["train", "test"]
    assert again.results == json.loads(results)
    (folder / "results.json").unlink()  # even without it, the answers are there
    run(tiny)
    assert log.read_bytes() == content
    assert (folder / "results.json").read_bytes() == results
    assert len(json.loads((folder / "environment.json").read_text())["starts"]) == 2


def test_a_test_set_that_cannot_be_had_is_not_measured(tiny: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(folder: Path, split: str) -> Dataset:
        raise data.DataUnavailable("far cannot be had. Tried: the network")

    far = data.Entry("far", "pictures elsewhere", data.CATALOGUE["few"].classes, {"train": 1, "test": 1}, 0, offline)
    monkeypatch.setitem(data.CATALOGUE, "far", far)
    results = run(tiny.with_(data=Data(name="few", tests=("few", "far")))).results
    assert results["not_measured"] == [{"what": "far", "why": "far cannot be had. Tried: the network"}]
    assert list(results["summary"]) == ["few/holdout", "few"]
    said = io.StringIO()
    Console(file=said).show(report.result_table(results))
    assert said.getvalue().splitlines()[-1].rstrip() == "far: not measured."
    with pytest.raises(LimbeckError, match="far cannot be had"):
        run(tiny.with_(data=Data(name="far", tests=("few",))), "nothing to train on")


def test_without_a_teacher_only_the_student_alone_is_trained(tiny: Recipe) -> None:
    recipe = tiny.with_(teacher=None, objective=CrossEntropy(), protocol=tiny.protocol.with_(holdout=0, seeds=(4,)))
    results = run(recipe).results
    assert [(network["role"], network["seed"]) for network in results["networks"]] == [("alone", 4)]
    assert results["summary"]["few"]["accuracy"].keys() == {"alone"}
    assert list(results["summary"]) == ["few"]
    assert not any("teacher" in note for note in results["notes"])
    assert "holdout_accuracy" not in Path("out/seed4/alone/metrics.jsonl").read_text()


def test_a_teacher_nobody_listens_to_is_not_trained(tiny: Recipe) -> None:
    plain = run(tiny.with_(objective=CrossEntropy())).results
    assert [(network["role"], network["seed"]) for network in plain["networks"]] == [("alone", 0), ("alone", 1)]
    control = run(tiny.with_(objective=TfKD()), "control")
    assert not control.folder.joinpath("teacher").exists()
    assert control.results["summary"]["few"]["accuracy"].keys() == {"alone", "distilled", "gain"}
    assert report.verdict(control.results).startswith("On few the objective was worth ")


def test_the_control_may_be_left_out(tiny: Recipe) -> None:
    results = run(tiny.with_(alone=None)).results
    assert {network["role"] for network in results["networks"]} == {"teacher", "distilled"}
    assert report.verdict(results) == "There is no gain to report: only one of the two students was trained."


def test_a_finished_network_can_be_the_teacher(tiny: Recipe) -> None:
    first = run(tiny)
    weights = first.folder / "teacher" / "weights.safetensors"
    result = run(tiny.with_(teacher=Weights(path=weights)), "second")
    assert [name for name in digests(result.folder) if name.startswith("teacher")] == []
    assert result.results["networks"][0]["model"] == str(weights)
    assert result.results["networks"][0]["seconds"] == 0
    same = [{**m} for m in first.results["measurements"]]
    assert same == result.results["measurements"]
    students = {name: digest for name, digest in digests(first.folder).items() if name.startswith("seed")}
    assert digests(result.folder) == students
    sums = (result.folder / "SHA256SUMS").read_text()
    assert f"{digest(weights)}  {weights.resolve()}\n" in sums


def test_a_teacher_that_was_altered_between_two_starts_is_refused(tiny: Recipe) -> None:
    weights = Path("teacher.safetensors")
    shutil.copy(run(tiny).folder / "teacher" / "weights.safetensors", weights)
    recipe = tiny.with_(teacher=Weights(path=weights))
    folder = run(recipe, "second").folder
    (folder / "results.json").unlink()
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(LimbeckError, match=r"teacher\.safetensors was altered since this run first had it"):
        run(recipe, "second")


def test_a_teacher_may_have_been_taught_itself(tiny: Recipe, jobs: list[tuple[Job, dict[str, torch.Tensor]]]) -> None:
    assert isinstance(tiny.teacher, Training)
    assistant = tiny.teacher.with_(teacher=tiny.teacher, objective=KD(), student=tiny.student)
    result = run(tiny.with_(teacher=assistant, protocol=tiny.protocol.with_(seeds=(0,))))
    assert [str(job.folder.relative_to(result.folder)) for job, _ in jobs] == [
        *("teacher/teacher", "teacher", "seed0/alone", "seed0/distilled")
    ]
    assert [job.teacher is not None for job, _ in jobs] == [False, True, False, True]
    assert not list(result.folder.rglob("answers"))


def test_generations_of_one_network_have_seeds_of_their_own(
    tiny: Recipe, jobs: list[tuple[Job, dict[str, torch.Tensor]]]
) -> None:
    """Else the first seed's student would begin as its own teacher did."""
    folder = run(recipes.born_again(tiny, generations=2)).folder
    seeds = {job.folder.relative_to(folder).as_posix(): job.seed for job, _ in jobs}
    assert [seeds[place] for place in ("teacher/teacher/teacher", "teacher/teacher", "teacher")] == [3, 3, 2]
    assert [seeds[f"seed{seed}/{role}"] for seed in (0, 1) for role in ("alone", "distilled")] == [0, 0, 1, 1]
    begun = {job.folder.relative_to(folder).as_posix(): weights for job, weights in jobs}
    name = "network.head.unit.conv.weight"
    assert len({begun[place][name].numpy().tobytes() for place in ("teacher/teacher", "teacher", "seed0/alone")}) == 3
    assert torch.equal(begun["seed0/alone"][name], begun["seed0/distilled"][name])


def test_a_teacher_that_knows_other_classes_is_refused(tiny: Recipe, few: str) -> None:
    model = Model(name="nin_cifar", width=0.0625)
    save_network(Path("seven.safetensors"), model.build(7, ([0.5] * 3, [0.5] * 3)), model, tuple("abcdefg"))
    with pytest.raises(LimbeckError, match=r"seven\.safetensors knows the 7 classes a, b, c, \.\.\., but few"):
        run(tiny.with_(teacher=Weights(path=Path("seven.safetensors"))))


def test_a_teacher_that_cannot_teach_is_found_before_there_is_a_folder(tiny: Recipe) -> None:
    grey = Model(name="nin_cifar", width=0.0625, mean=(0.5,), std=(0.2,))
    save_network(Path("grey.safetensors"), grey.build(10, ([0.5], [0.5])), grey, tuple("0123456789"))
    Path("broken.safetensors").write_bytes(b"")
    for name, why in (
        ("gone", r"^--(teacher\.)?teacher gone\.safetensors: weights file gone\.safetensors does not exist"),
        ("broken", r"^--(teacher\.)?teacher broken\.safetensors: weights file broken\.safetensors is damaged"),
        ("grey", r"have 3 channels, the normalisation has 1"),
    ):
        recipe = tiny.with_(teacher=Weights(path=Path(f"{name}.safetensors")))
        for wanted in (recipe, tiny.with_(teacher=TEACHER.with_(teacher=recipe.teacher, objective=KD()))):
            with pytest.raises(LimbeckError, match=why):
                run(wanted)
        assert not Path("out").exists()
        run(recipe.with_(objective=CrossEntropy(), protocol=tiny.protocol.with_(seeds=(0,))), f"without {name}")


def test_a_run_that_cannot_begin_leaves_the_earlier_one_alone(tiny: Recipe) -> None:
    teacher = run(tiny, "first").folder / "teacher" / "weights.safetensors"
    recipe = tiny.with_(teacher=Weights(path=teacher))
    folder = run(recipe).folder
    teacher.unlink()
    before = digests(folder)
    with pytest.raises(LimbeckError, match="does not exist"):
        start.run(recipe, Path("out"), fresh=True, console=QUIET)
    assert digests(folder) == before
    assert run(recipe).results == json.loads((folder / "results.json").read_text())  # complete, with no teacher


def test_a_recipe_by_name_or_path_and_a_folder_as_text(tiny: Recipe) -> None:
    recipe = tiny.with_(protocol=tiny.protocol.with_(seeds=(0,)))
    recipes.CATALOGUE["tiny"] = lambda: recipe
    first = limbeck.run("tiny", "out", console=QUIET)
    assert first.folder == Path("out")
    said = io.StringIO()
    again = limbeck.run(first.folder / "recipe.json", out="out", console=Console(file=said))
    assert "out is complete already" in said.getvalue()
    assert again.results == first.results
    assert limbeck.run("tiny", console=QUIET).folder == Path("runs") / f"tiny-{recipe.digest()}"


def test_what_is_no_recipe_is_said_to_be_none(tiny: Recipe) -> None:
    with pytest.raises(LimbeckError, match=r"^unknown recipe 'digitz'\. Did you mean 'digits'\?"):
        limbeck.run("digitz")
    with pytest.raises(LimbeckError, match=r"^run takes a Recipe, or the name or path of one, not int\.$"):
        limbeck.run(3)  # type: ignore[arg-type]
    with pytest.raises(LimbeckError, match=r"not function\. Call it: it is a function\.$"):
        limbeck.run(recipes.digits)  # type: ignore[arg-type]
    assert not Path("runs").exists()


def test_the_screen_says_what_is_done_with_what_and_why(tiny: Recipe) -> None:
    said = io.StringIO()
    run(tiny, console=Console(file=said))
    lines = said.getvalue().splitlines()
    assert lines[:3] == ["recipe tiny -> out", "  few: 88 training pictures, 32 held out", "  device cpu: as asked"]
    assert "  precision fp32: as asked" in lines
    assert "  1 threads" in lines


LEARNED = KD(temperature=2) + FitNet(weight=1, labels=0) + CRD(negatives=16, labels=0)


@pytest.mark.parametrize("objective", [LEARNED, DML(peers=2)], ids=lambda objective: objective.name)
def test_what_an_objective_learns_is_continued_and_left_behind(
    tiny: Recipe, monkeypatch: pytest.MonkeyPatch, objective: Objective
) -> None:
    """Adapters, memory banks and peers are in the checkpoint, bit for bit, and not in the student that is kept."""
    train = tiny.train.with_(epochs=3, checkpoint_seconds=0)
    recipe = tiny.with_(objective=objective, train=train, views=tiny.views.with_(mix="mixup_or_cutmix"))
    whole = run(recipe, "whole").folder
    fit = experiment.fit

    def stopping(job: Job) -> nn.Module:
        def progress(steps: int, note: str) -> None:
            if job.folder.name == "distilled" and steps > 2 * job.steps_per_epoch:
                raise InterruptedError

        return fit(dataclasses.replace(job, progress=progress))

    with monkeypatch.context() as patched:
        patched.setattr(experiment, "fit", stopping)
        with pytest.raises(InterruptedError):
            run(recipe, "stopped")
    assert (Path("stopped") / "seed0" / "distilled" / "checkpoint.pt").exists()
    assert digests(run(recipe, "stopped").folder) == digests(whole)
    students = [read_tensors(whole / "seed0" / role / "weights.safetensors") for role in ("alone", "distilled")]
    assert students[0].keys() == students[1].keys()
    rows = (whole / "seed0" / "distilled" / "metrics.jsonl").read_text().splitlines()
    terms = {"labels", "kd", "fitnet", "crd"} if objective.needs_teacher else {"labels", "dml", "peers"}
    assert {f"loss_{term}" for term in terms} <= json.loads(rows[-1]).keys()
    assert (whole / "teacher").exists() == objective.needs_teacher


def test_a_student_that_reuses_its_teachers_classifier(tiny: Recipe) -> None:
    """It is another network than the student alone, its file makes it again, and the results say so."""
    result = run(tiny.with_(objective=SimKD()))
    distilled = load_network(result.folder / "seed0" / "distilled" / "weights.safetensors")
    teacher = load_network(result.folder / "teacher" / "weights.safetensors").network.state_dict()
    carried = {name: tensor for name, tensor in distilled.network.state_dict().items() if ".head." in name}
    assert carried
    assert all(torch.equal(tensor, teacher[name.replace(".head.", ".")]) for name, tensor in carried.items())
    sizes = {row["role"]: (row["model"], row["parameters"]) for row in result.results["networks"]}
    assert sizes["distilled"][0] == f"{sizes['alone'][0]} + head"
    wanted = f"has {sizes['distilled'][1]:,} parameters, the student alone {sizes['alone'][1]:,}"
    assert any(wanted in note for note in result.results["notes"])
    rows = [json.loads(line) for line in (result.folder / "seed0/distilled/metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["loss_simkd"] < rows[0]["loss_simkd"]


def test_several_teachers_answer_together(tiny: Recipe) -> None:
    """Each has a seed of its own; their mean is kept as one network, and judged as the teacher."""
    first = run(tiny).folder / "teacher" / "weights.safetensors"
    recipe = tiny.with_(teacher=[tiny.teacher, tiny.teacher, Weights(path=first)])
    result = run(recipe, "several")
    assert Recipe(**json.loads((result.folder / "recipe.json").read_text())) == recipe
    together = load_network(result.folder / "teacher" / "weights.safetensors")
    members = [result.folder / "teacher" / number / "weights.safetensors" for number in "12"]
    assert digest(members[0]) == digest(first) != digest(members[1])
    images = torch.rand(4, 3, 32, 32)
    with torch.no_grad():
        said = [load_network(path).network(images) for path in (*members, first)]
        torch.testing.assert_close(together.network(images), torch.stack(said).mean(dim=0))
    assert result.results["networks"][0]["model"] == "3 of alexnet_cifar x0.0625"
    assert "teacher" in result.results["summary"]["few"]["accuracy"]
    evaluated = evaluating.evaluate(result.folder, engine=choose(recipe.device), console=QUIET)
    assert evaluated["measurements"] == [row for row in result.results["measurements"] if row["split"] == "test"]


def test_mixed_pictures_are_asked_about_anew(tiny: Recipe, jobs: list[tuple[Job, dict[str, torch.Tensor]]]) -> None:
    mixed = tiny.views.with_(mix="mixup")
    run(tiny.with_(views=mixed))
    assert [type(job.teacher) for job, _ in jobs if job.teacher] == [LiveTeacher] * 2
    with pytest.raises(LimbeckError, match=r"logits = 'stored' keeps one answer a view, but views\.mix = 'mixup'"):
        tiny.with_(views=mixed, logits="stored")
    assert isinstance(tiny.teacher, Training)
    tiny.with_(teacher=tiny.teacher.with_(views=mixed), logits="stored")  # nobody taught the teacher


def test_features_are_asked_for_live(tiny: Recipe) -> None:
    message = r"logits = 'stored' keeps a teacher's logits, but the objective needs features .*Type --logits live"
    with pytest.raises(LimbeckError, match=message):
        run(tiny.with_(objective=FitNet(), logits=Stored()))
    run(tiny.with_(objective=FitNet(), logits=Live()), "live")


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(path.read_bytes()[:100]), Path.unlink])
def test_a_finished_run_that_was_damaged_is_not_called_complete(tiny: Recipe, damage: Callable[[Path], None]) -> None:
    folder = run(tiny).folder
    whole = digests(folder)
    weights = folder / "seed0" / "distilled" / "weights.safetensors"
    damage(weights)
    with pytest.raises(LimbeckError, match="is gone, or was altered since this run made it"):
        run(tiny)
    weights.unlink(missing_ok=True)
    folder.joinpath("results.json").unlink()
    assert digests(run(tiny).folder) == whole
