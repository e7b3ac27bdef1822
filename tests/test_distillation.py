"""`limbeck.distil`: networks and pictures of one's own."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import limbeck
from limbeck import files, own
from limbeck.console import Console
from limbeck.data import Dataset
from limbeck.data.views import Views
from limbeck.distillation import figures
from limbeck.errors import LimbeckError
from limbeck.models import Normalised
from limbeck.objectives import KD, FitNet
from limbeck.training import SGD, Device, Train, choose

QUIET = Console(quiet=True, file=io.StringIO())
HERE = Device(name="cpu", precision="fp32", compile="off", threads=1)
TRAIN = Train(epochs=3, batch_size=30, optimizer=SGD(lr=0.02), clip=1.0, checkpoint_seconds=0)
STILL = Views(crop=0, flip=False)


def network(width: int, seed: int) -> nn.Sequential:
    """A plain network that knows nothing of limbeck."""
    torch.manual_seed(seed)
    body = nn.Sequential(nn.Conv2d(3, width, 3, stride=4), nn.ReLU(), nn.Flatten())
    return nn.Sequential(Normalised(body, (0.5,) * 3, (0.5,) * 3), nn.Linear(width * 64, 10))


def agreement(one: nn.Module, other: nn.Module, pictures: Dataset) -> float:
    images = pictures.images.permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        return float((one(images).argmax(1) == other(images).argmax(1)).float().mean())


@pytest.mark.parametrize("objective", [KD(labels=0), KD(labels=0) + FitNet(weight=0.1, labels=0)])
def test_the_student_becomes_like_the_teacher(pictures: Dataset, objective: limbeck.objectives.Objective) -> None:
    teacher, student = network(8, seed=0), network(4, seed=1)
    with torch.no_grad():
        for weight in teacher[1].parameters():
            weight *= 20  # it is sure of what it says
    before = agreement(student, teacher, pictures)
    made = limbeck.distil(
        teacher, student, pictures, objective, train=TRAIN.with_(epochs=20), views=STILL, device=HERE, console=QUIET
    )
    assert made is student
    assert not made.training
    assert agreement(made, teacher, pictures) > max(before, 0.5)
    assert not any(module._forward_hooks for net in (teacher, student) for module in net.modules())


def test_an_average_that_was_listened_to_can_be_kept(pictures: Dataset, tmp_path: Path) -> None:
    """What is kept listens to nobody any more, and can be written as any module can."""
    teacher, student = network(8, seed=0), network(4, seed=1)
    how = Train(epochs=1, batch_size=32, ema=0.9)
    kept = limbeck.distil(teacher, student, pictures, FitNet(), train=how, device=HERE, console=QUIET)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in kept.modules())
    torch.save(kept, tmp_path / "student.pt")


def test_it_continues_where_it_was_stopped(pictures: Dataset, tmp_path: Path) -> None:
    objective = KD() + FitNet(weight=1, labels=0)

    def made(epochs: int, folder: Path, seed: int = 1) -> dict[str, torch.Tensor]:
        train = TRAIN.with_(epochs=epochs)
        held = pictures.subset(torch.arange(10))
        student = network(4, seed)
        return limbeck.distil(
            network(8, 0), student, pictures, objective, train=train, held_out=held, device=HERE, folder=folder,
            console=QUIET,
        ).state_dict()  # fmt: skip

    whole = made(3, tmp_path / "whole")
    again = made(3, tmp_path / "whole", seed=2)  # complete: nothing but the checkpoint counts
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    rows = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert {"holdout_accuracy", "loss_kd", "loss_fitnet"} <= rows[0].keys()
    with pytest.raises(LimbeckError, match="checkpoint"):
        made(4, tmp_path / "whole")


LOSS = """
from typing import Literal
from limbeck.objectives import Taught, kd_loss

class Edited(Taught):
    name: Literal["edited"] = "edited"

    def loss(self, student, teacher, batch, learned):
        return kd_loss(student.logits, teacher.logits, 4)
"""


class TestAFinishedFolderIsOfOneTraining:
    """It gives its student back to the same call; another call is refused, with what differs."""

    @pytest.fixture
    def finished(self, pictures: Dataset, tmp_path: Path) -> Callable[..., nn.Module]:
        file = tmp_path / "own.py"
        file.write_text(LOSS.replace("edited", tmp_path.name))

        def call(**changes: Any) -> nn.Module:
            objective = own.run_file(file, "test", "").Edited()
            given = {"teacher": network(8, 0), "student": network(4, 1), "device": HERE, **changes}
            return limbeck.distil(
                dataset=pictures, objective=objective, train=TRAIN.with_(epochs=1), views=STILL,
                folder=tmp_path / "kept", console=QUIET, **given,
            )  # fmt: skip

        first = call().state_dict()
        assert all(torch.equal(first[name], value) for name, value in call().state_dict().items())
        return call

    def test_the_text_of_a_loss(self, finished: Callable[..., nn.Module], tmp_path: Path) -> None:
        file = tmp_path / "own.py"
        file.write_text(file.read_text().replace(", 4)", ", 4.5)"))
        with pytest.raises(LimbeckError, match=r"another training \(objective \w{12}, not objective \w{12}\)\. Remove"):
            finished()

    def test_networks_and_precision(self, finished: Callable[..., nn.Module]) -> None:
        turned, bent, bright = network(8, 0), network(4, 1), network(4, 1)
        with torch.no_grad():
            turned[1].weight.copy_(turned[1].weight.flip(0))  # its sum is the same
        bent[0].network[1] = nn.GELU()
        bright[0].scale *= 2
        bf16 = HERE.with_(precision="bf16")
        changes = {"teacher": turned, "student": bent, "student ": bright, "precision": bf16}
        for name, change in changes.items():
            field = "device" if name == "precision" else name.strip()
            with pytest.raises(LimbeckError, match=rf"another training \({name.strip()} \w+, not {name.strip()}"):
                finished(**{field: change})

    def test_one_process_at_a_time(self, finished: Callable[..., nn.Module], tmp_path: Path) -> None:
        with (
            files.locked(tmp_path / "kept" / "lock"),
            pytest.raises(LimbeckError, match="another process is distilling in"),
        ):
            finished()


def test_figures_count_the_held_out_pictures_that_have_a_label(pictures: Dataset) -> None:
    engine, judged = choose(HERE), network(4, 0).eval()
    hidden = Dataset("few", pictures.classes, pictures.images, torch.where(pictures.labels < 5, -1, pictures.labels))
    found = figures(judged, hidden, engine)
    assert found == figures(judged, pictures.subset((pictures.labels >= 5).nonzero().squeeze(1)), engine)
    assert found.keys() == {"holdout_accuracy", "holdout_nll"}
    nobody = Dataset("few", pictures.classes, pictures.images, torch.full_like(pictures.labels, -1))
    assert figures(judged, nobody, engine) == figures(judged, pictures.subset(torch.arange(0)), engine) == {}


def test_mistakes(pictures: Dataset) -> None:
    with pytest.raises(LimbeckError, match="batch_size = 128 is larger than the 120 pictures"):
        limbeck.distil(network(8, 0), network(4, 1), pictures, device=HERE, console=QUIET)
    misnamed = FitNet(student_taps=("0.network.9",), teacher_taps=("0.network.0",))
    with pytest.raises(LimbeckError, match=r"no submodule '0.network.9' in .*Near it: 0.network.0"):
        limbeck.distil(network(8, 0), network(4, 1), pictures, misnamed, train=TRAIN, device=HERE, console=QUIET)
