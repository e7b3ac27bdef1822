"""What `--dry-run` tells, against what a run takes, and that it leaves nothing behind."""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from limbeck import console, experiment, planning, start
from limbeck.cli import main
from limbeck.console import Console
from limbeck.errors import LimbeckError
from limbeck.models.model import Model
from limbeck.models.weights import save_network
from limbeck.objectives import KD
from limbeck.planning import Stage, _Planner, plan
from limbeck.recipes import Recipe, Training, Weights
from limbeck.training import Job

STAGE = Stage("student distilled, answers stored", "alexnet_cifar x0.125", 1000, 10, 3, speed=500, start=2)
QUIET = Console(quiet=True, file=io.StringIO())


@pytest.fixture
def measured(tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Every training that is done to be measured; temporary files are made in the folder "temporary"."""
    seen: list[Job] = []
    fit = experiment.fit
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))

    def remembering(job: Job) -> nn.Module:
        seen.append(job)
        return fit(job)

    monkeypatch.setattr(experiment, "fit", remembering)
    return seen


def planned(recipe: Recipe, folder: Path) -> _Planner:
    folder.mkdir()
    planner = _Planner(recipe, folder, QUIET)
    planner.work()
    return planner


def test_the_command_tells_time_and_disk_and_leaves_nothing(
    tiny: Recipe, measured: list[Job], tmp_path: Path, splits_read: list[str], capsys: Any
) -> None:
    before = torch.get_rng_state()
    assert main(["run", "tiny", "--dry-run", "--quiet"]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0].rstrip() == "tiny: what a run takes on this machine"
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in said.splitlines() if line.startswith("│")]
    assert [row[:3] for row in rows] == [
        ["teacher", "alexnet_cifar x0.0625", "88 x 2"],
        ["teacher, evaluated", "alexnet_cifar x0.0625", "136"],
        ["student alone", "nin_cifar x0.0625", "88 x 2 x 2"],
        ["student alone, evaluated", "nin_cifar x0.0625", "136 x 2"],
        ["student distilled, teacher asked", "nin_cifar x0.0625", "88 x 2"],
        ["student distilled, answers stored", "nin_cifar x0.0625", "88 x 2"],
        ["student distilled, evaluated", "nin_cifar x0.0625", "136 x 2"],
        [rows[-1][0], "", ""],
    ]
    assert re.fullmatch(r"in all, with up to \d+\.\d MB of disk", rows[-1][0])
    assert all(float(row[3].replace(",", "")) > 0 for row in rows[:-1])
    assert all(row[4].endswith(" s") for row in rows)
    assert splits_read == ["train"]
    assert not list(Path().iterdir())
    assert not list((tmp_path / "temporary").glob("limbeck*"))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(job.train.epochs == 2 for job in measured)


@pytest.mark.parametrize(
    ("columns", "headings"),
    [
        (60, ["time"]),
        (80, ["pictures x epochs x seeds", "time"]),
        (110, ["network", "pictures x epochs x seeds", "time"]),
        (120, ["network", "pictures x epochs x seeds", "images/s", "time"]),
    ],
)
def test_columns_are_left_out_where_the_terminal_is_narrow(
    tiny: Recipe, capsys: Any, monkeypatch: pytest.MonkeyPatch, columns: int, headings: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(_Planner, "work", lambda planner: planner.stages.append(STAGE))
    assert main(["run", "tiny", "--dry-run", "--quiet"]) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= columns
    heading, row, end = ([cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in said.splitlines()[2:7:2])
    assert heading == ["", *headings]
    assert (row[0], row[-1]) == (STAGE.title, "1 min 6 s")
    assert (end[0][:17], end[-1]) == ("in all, with up t", "1 min 6 s")


def test_it_says_what_it_does(tiny: Recipe, capsys: Any) -> None:
    assert main(["run", "tiny", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("recipe tiny: measuring two short epochs of each training\n")


def test_the_disk_is_what_a_run_takes(tiny: Recipe, tmp_path: Path) -> None:
    planner = planned(tiny, tmp_path / "plan")
    folder = start.run(tiny, Path("out"), console=QUIET).folder
    kept = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
    tables = 2 * 88 * 10 * 2
    assert planner.kept == pytest.approx(kept + tables, rel=0.05)
    assert planner.largest_checkpoint == pytest.approx(
        2 * (folder / "teacher/weights.safetensors").stat().st_size, rel=0.1
    )
    assert planner.disk() == planner.kept + 2 * planner.largest_checkpoint


def test_the_time_is_the_work_over_the_speed() -> None:
    stage = Stage("student alone", "nin", pictures=1000, epochs=10, times=3, speed=500, start=2)
    assert stage.seconds == 3 * (2 + 20)
    assert stage.cells() == ("student alone", "nin", "1,000 x 10 x 3", "500", "1 min 6 s")
    assert Stage("evaluated", "nin", 10_000, 1, 1, speed=20_000).cells()[2:] == ("10,000", "20,000", "0.5 s")


def test_the_second_epoch_counts_and_the_first_is_its_warm_up(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = {"first": (9.0, 2.0), "later": (1.0, 1.0)}
    monkeypatch.setattr(planning, "_epoch_seconds", lambda folder: seconds[folder.name])
    monkeypatch.setattr(_Planner, "evaluation_speed", lambda planner, network: 272.0)
    stages = planned(tiny, tmp_path / "plan").stages
    assert [(stage.speed, stage.start, stage.seconds) for stage in stages] == [
        *((44, 7, 7 + 4), (272, 0, 0.5), (44, 7, 2 * (7 + 4)), (272, 0, 1)),
        *((44, 7, 7 + 4), (88, 0, 2), (272, 0, 1)),
    ]


def test_what_is_too_short_to_be_timed_is_measured_on_more_pictures(
    tiny: Recipe, measured: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brief = tiny.with_(train=tiny.train.with_(batch_size=2), protocol=tiny.protocol.with_(seeds=(0,)))
    planned(brief.with_(logits="live"), tmp_path / "plan")
    assert [len(job.pictures) for job in measured] == [88, 8, 32, 88, 8, 32, 88]
    measured.clear()
    monkeypatch.setattr(planning, "_ENOUGH_SECONDS", 0)
    planned(brief, tmp_path / "again")
    assert [len(job.pictures) for job in measured] == [88, 8, 8, 8]
    assert [job.teacher is None for job in measured] == [True, True, False, False]


def test_a_live_teacher_is_asked_for_every_seed(tiny: Recipe, tmp_path: Path) -> None:
    planner = planned(tiny.with_(logits="live"), tmp_path / "plan")
    assert [(stage.title, stage.times) for stage in planner.stages if "evaluated" not in stage.title] == [
        *(("teacher", 1), ("student alone", 2), ("student distilled", 2))
    ]


def test_teachers_of_teachers_and_finished_ones(tiny: Recipe, tmp_path: Path) -> None:
    assert isinstance(tiny.teacher, Training)
    assistant = tiny.teacher.with_(teacher=tiny.teacher, objective=KD())
    titles = [stage.title for stage in planned(tiny.with_(teacher=assistant), tmp_path / "plan").stages]
    assert titles[:4] == [
        *("teacher of teacher", "teacher of teacher, evaluated", "teacher, teacher asked", "teacher, evaluated")
    ]
    model, file = Model(name="alexnet_cifar", width=0.0625), tmp_path / "teacher.safetensors"
    save_network(file, model.build(10, ([0.5] * 3, [0.5] * 3)), model, tuple("0123456789"))
    titles = [stage.title for stage in planned(tiny.with_(teacher=Weights(path=file)), tmp_path / "again").stages]
    assert titles[0] == "student alone"
    assert "student distilled, answers stored" in titles


def test_corrupted_pictures_are_planned_for(tiny: Recipe, tmp_path: Path) -> None:
    stages = planned(tiny.with_(protocol=tiny.protocol.with_(corruptions=True)), tmp_path / "plan").stages
    added = [(stage.title, stage.pictures, stage.times) for stage in stages if "corrupted" in stage.title]
    assert added == [
        *((f"{who}, corrupted pictures", 75 * 40, 1) for who in ("teacher", "student alone", "student distilled")),
        ("corrupted pictures, made", 75 * 40, 1),
    ]
    assert 100 < stages[-1].speed < 1e6


def test_mistakes_are_found_as_in_a_run(tiny: Recipe, tmp_path: Path) -> None:
    with pytest.raises(LimbeckError, match=r"train\.batch_size = 89 is larger than the training set of 88"):
        plan(tiny.with_(train=tiny.train.with_(batch_size=89)), QUIET)
    with pytest.raises(LimbeckError, match=r"gone\.safetensors does not exist"):
        plan(tiny.with_(teacher=Weights(path=Path("gone.safetensors"))), QUIET)


@pytest.mark.parametrize(("count", "said"), [(300, "0.1 MB"), (27_400_000, "27.4 MB"), (1_234_567_890, "1.2 GB")])
def test_sizes_are_said_as_people_say_them(count: int, said: str) -> None:
    assert console.size(count) == said
