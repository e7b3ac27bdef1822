"""Damaged files, a full disk, too little memory, a loss that is no number: one message, code 2, nothing lost."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from limbeck import start
from limbeck.cli import main
from limbeck.console import Console
from limbeck.data import CATALOGUE, cifar10
from limbeck.data.fetch import KnownFile
from limbeck.files import read_tensors
from limbeck.models.model import Model
from limbeck.recipes import Recipe
from limbeck.training import checkpoint

Fails = Callable[..., str]
AGAIN = ("run", "tiny", "--quiet", "--out", "out")


def run(recipe: Recipe, out: str = "out") -> Path:
    return start.run(recipe, Path(out), console=Console(quiet=True, file=io.StringIO())).folder


@pytest.fixture
def finished(tiny: Recipe) -> Path:
    """A finished run in the folder "out", without its results: to be taken up again."""
    folder = run(tiny)
    (folder / "results.json").unlink()
    return folder


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _alter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)


def _rename(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"network.classifier", b"network.klassifier"))


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (_truncate, "is damaged ("),
        (_empty, "is damaged ("),
        (_rename, "do not fit the network that the file names: "),
        (_alter, "was altered since this run first had it: it has another SHA-256 than in out/SHA256SUMS."),
    ],
)
def test_a_damaged_weights_file(finished: Path, fails: Fails, damage: Callable[[Path], None], why: str) -> None:
    path = finished / "teacher" / "weights.safetensors"
    damage(path)
    said = fails(*AGAIN)
    assert said.startswith("error: ")
    assert f"{path} {why}" in said
    assert "eplace it with a good copy" in said
    path.unlink()
    assert main(AGAIN) == 0


def test_weights_of_another_network(finished: Path, fails: Fails) -> None:
    path, other = finished / "teacher" / "weights.safetensors", finished / "seed0" / "alone" / "weights.safetensors"
    content = path.read_bytes().replace(b"alexnet_cifar", b"nin_cifar    ")
    path.write_bytes(content)
    assert str(path) in fails(*AGAIN)
    save_file(load_file(other), path)
    said = fails(*AGAIN)
    assert "does not say which network its weights belong to: it was not written by limbeck" in said


def test_a_damaged_answer_of_a_finished_network_is_given_again_and_logged(finished: Path) -> None:
    path, log = finished / "seed1" / "alone" / "logits-few-test.safetensors", finished / "evaluations.jsonl"
    whole, looks = path.read_bytes(), log.read_text().splitlines()
    _truncate(path)
    assert main(AGAIN) == 0
    assert path.read_bytes() == whole
    again = json.loads(log.read_text().splitlines()[len(looks)])
    assert (again["role"], again["seed"], again["dataset"]) == ("alone", 1, "few")


class Stopped(BaseException):
    """The process is gone."""


@pytest.fixture
def stopped(tiny: Recipe, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The checkpoint of a run in the folder "out" that was stopped in its first training."""
    save = checkpoint.save

    def last(path: Path, identity: str, state: dict[str, Any]) -> None:
        save(path, identity, state)
        raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "save", last)
        with pytest.raises(Stopped):
            run(tiny)
    return Path("out/teacher/checkpoint.pt")


@pytest.mark.parametrize("damage", [_truncate, _empty])
def test_a_damaged_checkpoint(stopped: Path, fails: Fails, damage: Callable[[Path], None]) -> None:
    damage(stopped)
    said = fails(*AGAIN)
    assert said.startswith(f"error: checkpoint {stopped} is damaged (")
    assert "Remove that file to train this network again from its start" in said
    stopped.unlink()
    assert main(AGAIN) == 0


def test_a_checkpoint_of_another_training(tiny: Recipe, stopped: Path, fails: Fails) -> None:
    recipe = tiny.with_(protocol=tiny.protocol.with_(view_seed=1))
    shutil.copytree("out", "other")
    Path("other/recipe.json").write_text(recipe.model_dump_json())
    Path("other/environment.json").unlink()
    said = fails("run", "tiny", "--quiet", "--out", "other", "--protocol.view-seed", "1")
    expected = f"belongs to another training (recipe {tiny.digest()}, not recipe {recipe.digest()})"
    assert f"error: checkpoint other/teacher/checkpoint.pt {expected}. Remove that file" in said


def test_a_run_folder_of_another_recipe(stopped: Path, fails: Fails) -> None:
    said = fails("run", "tiny", "--out", "out", "--train.epochs", "9")
    assert said == (
        "error: out belongs to another recipe (train.epochs: 2, now 9). Type --out with another folder, or leave --out "
        "away to get one of its own.\n"
    )


def test_an_altered_data_file(tiny: Recipe, fails: Fails, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CIFAR-10, as if seven pictures a batch had been published."""
    contents = {}
    random = np.random.default_rng(0)
    for name in cifar10.BATCHES:
        records = random.integers(0, 256, (7, 3073), dtype=np.uint8)
        records[:, 0] %= 10
        contents[f"{name}.bin"] = records.tobytes()
    records_known = tuple(
        KnownFile(name, "md5", hashlib.md5(content).hexdigest(), len(content)) for name, content in contents.items()
    )
    release = replace(cifar10.RELEASE, records=records_known)
    monkeypatch.setenv("LIMBECK_DATA", str(tmp_path / "cache"))
    monkeypatch.setitem(CATALOGUE, "cifar10", cifar10.entry(release))
    folder = tmp_path / "cache" / "cifar10"
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    words = ["run", "tiny", "--quiet", "--data.name", "cifar10", "--protocol.holdout", "3", "--train.batch-size", "8"]
    words += ["--teacher.train.batch-size", "8", "--protocol.seeds", "0", "--train.epochs", "1", "--out", "out"]
    for damage, name, why in (
        (_alter, "data_batch_3.bin", "is altered: its md5 digest is "),
        (_truncate, "data_batch_5.bin", "is truncated: 10,755 of 21,511 bytes"),
        (_alter, "test_batch.bin", "is altered: its md5 digest is "),
    ):
        damage(folder / name)
        said = fails(*words)
        assert said.startswith(f"error: {folder / name} {why}")
        assert said.endswith("Type `limbeck data fetch cifar10` to replace it.\n")
        (folder / name).write_bytes(contents[name])
    assert main(words) == 0


def fsync_failing(number: int, at: int) -> Callable[[int], None]:
    """`os.fsync`, for which the file number ``at`` is one too many."""
    writes: list[int] = []
    fsync = os.fsync

    def failing(descriptor: int) -> None:
        writes.append(descriptor)
        if len(writes) == at:
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    return failing


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "the disk is full; free some space"),
        (errno.EDQUOT, "the disk quota is used up; free some space"),
        (errno.EROFS, "the file system is read-only; choose another folder"),
        (errno.EACCES, "permission denied; choose a folder that you may use"),
    ],
)
def test_a_disk_that_cannot_be_written_to(
    fails: Fails, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    monkeypatch.setattr(os, "fsync", fsync_failing(number, 1))
    assert fails(*AGAIN) == f"error: cannot write out/recipe.json: {said} and run the same command again.\n"


def test_a_disk_that_was_full_for_a_while(tiny: Recipe, fails: Fails, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room again, the run ends as if nothing had been."""
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync_failing(errno.ENOSPC, 13))
        said = fails(*AGAIN)
    assert re.match(r"error: cannot write out/answers/\w+/epoch0002\.npz: the disk is full", said)
    assert not list(Path("out").rglob(".*.part"))
    assert main(AGAIN) == 0
    names = [path.relative_to("out") for path in Path("out").rglob("weights.safetensors")]
    undisturbed = run(tiny, "undisturbed")
    assert len(names) == 5
    assert all(Path("out", name).read_bytes() == (undisturbed / name).read_bytes() for name in names)


@pytest.mark.parametrize("out", ["file", "file/below", "dangling", "round", "round/below", "x" * 300])
def test_an_output_folder_that_cannot_be(fails: Fails, out: str) -> None:
    Path("file").touch()
    Path("dangling").symlink_to("gone")
    Path("round").symlink_to("round")
    assert f"error: cannot {'use' if len(out) > 255 else 'write'} {out}" in fails(
        "run", "tiny", "--quiet", "--out", out
    )


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc here")
def test_a_place_where_no_folder_can_be(fails: Fails, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "error: cannot write /proc/x: there is no such folder" in fails("run", "tiny", "--out", "/proc/x")
    monkeypatch.setenv("LIMBECK_DATA", "/proc/foo")
    assert "error: cannot write /proc/foo/cifar10: there is no such folder" in fails("data", "fetch", "cifar10")


@pytest.mark.parametrize("content", ["{}", "[]", '{"schema": 1'])
def test_broken_results(finished: Path, fails: Fails, content: str) -> None:
    path = finished / "results.json"
    path.write_text(content)
    assert f"error: cannot read {path}: " in (said := fails(*AGAIN))
    assert "Remove that file and run again: everything else is kept" in said
    looks = (finished / "evaluations.jsonl").read_bytes()
    path.unlink()
    assert main(AGAIN) == 0
    assert (finished / "evaluations.jsonl").read_bytes() == looks


@pytest.mark.parametrize("content", ['{"epoch": 1, "secon', "[]\n", "{}\n", '{"seconds": "x", "images_per_second": 1}'])
def test_broken_metrics(finished: Path, fails: Fails, content: str) -> None:
    path = finished / "seed1" / "alone" / "metrics.jsonl"
    path.write_text(path.read_text() + content)
    for words in (AGAIN, ("evaluate", "out", "--quiet")):
        said = fails(*words)
        assert f"error: cannot read {path}, line 3: " in said
        assert "Remove that file and run again: the speed of that training is then unknown" in said
    path.unlink()
    assert main(AGAIN) == 0


def test_a_recipe_json_that_is_cut_off(finished: Path, fails: Fails) -> None:
    path = finished / "recipe.json"
    whole = path.read_bytes()
    _truncate(path)
    assert "The command that started its run writes it anew." in fails("run", str(path), "--out", "out")
    assert f"error: cannot read {path}: " in (said := fails("evaluate", "out"))
    assert "Type the command that started the run once more: it writes that file anew." in said
    assert main(AGAIN) == 0
    assert path.read_bytes() == whole


def _not_enough_memory(*arguments: Any, **options: Any) -> nn.Module:
    torch.empty(1 << 50)
    raise AssertionError("this machine has 4 PB of memory")


def _no_memory_on_the_gpu(*arguments: Any, **options: Any) -> nn.Module:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore of it.")


def _no_memory_in_python(*arguments: Any, **options: Any) -> nn.Module:
    raise MemoryError


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (_not_enough_memory, "can't allocate memory: you tried to allocate 4503599627370496 bytes"),
        (_no_memory_on_the_gpu, "CUDA out of memory. Tried to allocate 2.00 GiB.\n"),
        (_no_memory_in_python, "MemoryError\n"),
    ],
)
@pytest.mark.parametrize("where", ["build", "forward"])
def test_too_little_memory(
    fails: Fails, monkeypatch: pytest.MonkeyPatch, cause: Callable[..., nn.Module], said: str, where: str
) -> None:
    if where == "build":
        monkeypatch.setattr(Model, "build", cause)
    else:
        monkeypatch.setattr("limbeck.objectives.kd.CrossEntropy.forward", cause)
    message = fails("run", "tiny", "--quiet")
    where_at = "a student's first pictures (nin_cifar" if where == "build" else "teacher (alexnet_cifar"
    assert message.startswith(f"error: out of memory in {where_at} x0.0625): ")
    assert said in message
    assert "Lower its batch_size (now 32) or chunk (now 2), raise accumulate (now 1), or narrow the network" in message
    assert "--teacher.train.batch-size" in message


def test_no_parts_for_an_objective_that_relates_a_batch(fails: Fails) -> None:
    said = fails("run", "tiny", "--objective", "kd+rkd", "--train.accumulate", "4", "--out", "x")
    assert said == (
        "error: objective rkd relates the pictures of a batch, and train.accumulate = 4 would show it them in parts. "
        "Type --train.accumulate 1; where memory is short, a smaller --train.batch-size (now 32).\n"
    )
    assert not Path("x").exists()


_NORMALISES_ALL = """
from torch import nn


def narrow(num_classes):
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 8), nn.BatchNorm1d(8))
    return nn.Sequential(pooled, nn.Linear(8, num_classes))
"""


def test_a_last_batch_that_is_too_small_is_found_before_anything_is_trained(fails: Fails) -> None:
    """Of 88 pictures in batches of 29, one is left."""
    said = fails("run", "tiny", "--objective", "dist", "--train.batch-size", "29", "--out", "x")
    assert "a batch of 1 is not possible: " in said
    Path("net.py").write_text(_NORMALISES_ALL, encoding="utf-8")
    said = fails("run", "tiny", "--student.name", "net.py:narrow", "--train.batch-size", "29", "--out", "x")
    assert "the last batch of an epoch has a single picture, which net.py:narrow cannot learn from (" in said
    assert said.endswith("). Type --train.batch-size 30\n")
    assert not Path("x").exists()


def test_taps_of_normalisation_that_will_be_folded_are_found_before_anything_is_trained(fails: Fails) -> None:
    words = ["--teacher.student.batch-norm", "--objective", "fitnet", "--objective.student-taps", "features.stage3"]
    said = fails("run", "tiny", *words, "--objective.teacher-taps", "features.conv5.norm", "--out", "x")
    assert "there is no submodule 'features.conv5.norm' in AlexNet" in said
    assert not Path("x").exists()


def test_an_error_of_our_own_is_not_taken_for_a_lack_of_memory(tiny: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any, **options: Any) -> nn.Module:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(Model, "build", broken)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        main(["run", "tiny", "--quiet"])


def test_a_loss_that_becomes_no_number(tiny: Recipe, fails: Fails) -> None:
    words = ["run", "tiny", "--quiet", "--out", "out", "--train.optimizer.lr", "1e15", "--train.clip", "none"]
    words += ["--train.schedule.warmup", "0"]
    said = fails(*words)
    assert said.startswith("error: the loss is no longer a finite number, in epoch 1, step ")
    assert " of 3 (out/seed0/alone). Lower optimizer.lr (the rate was " in said
    assert "or clip (now off), or lengthen schedule.warmup (now 0 epochs)." in said
    assert read_tensors(Path("out/teacher/weights.safetensors"))  # the teacher is kept
    assert fails(*words) == said
