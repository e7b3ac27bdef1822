"""The lab notebook's training step and limbeck's, timed on one machine, on the same pictures, in turn, in one run.

    python benchmarks/lab3_loop.py
    python benchmarks/lab3_loop.py --only lab limbeck limbeck-stored --pictures 1024 --rounds 3

The first line takes 15 to 20 minutes on two cores. A contender goes all the way from the stored pictures to the
student's new weights. See README.md for what is measured and why.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
import tyro
from lab3_page import Measured, page, slug
from machine import Others, matrix_products, training_gflop, versions
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision import transforms
from turns import Turns, referee

from limbeck import data, files, models, recipes
from limbeck.console import Console
from limbeck.data.views import make_views
from limbeck.errors import LimbeckError, unknown
from limbeck.models.model import Model
from limbeck.runs import processor
from limbeck.teachers import LiveTeacher, StoredLogits
from limbeck.training import Device, Job, choose, fit
from limbeck.training.loop import LabelsViews

Labeller = Literal["live", "stored", "none"]


@dataclass(frozen=True)
class Setting:
    """Times the lab notebook's training step and limbeck's, in turn, in one run."""

    data: str = "cifar10"
    """Data set whose training pictures everybody uses."""
    width: float = 1.0
    """Width of both networks; 1 is the lab's pair."""
    pictures: int = 2048
    """Pictures of one turn."""
    rounds: int = 5
    """Turns of each contender that count; one more warms up."""
    recipe: str = "cifar10_cpu"
    """Recipe whose views, objective and optimizer limbeck uses."""
    batch_size: int = 128
    """limbeck's batch size; the lab's is 32."""
    side: int = 4096
    """Rows and columns of the matrices whose product is the machine's peak; a multiple of 64."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where everybody computes."""
    threads: int | None = None
    """CPU threads of everybody; none leaves torch's choice."""
    only: tuple[str, ...] = ()
    """Contenders to run; empty: all."""
    out: Path | None = None
    """The page to write; by default results/HARDWARE.md beside this script."""

    def torch_device(self) -> str:
        """The device's name for torch."""
        return ("cuda" if torch.cuda.is_available() else "cpu") if self.device == "auto" else self.device


class LabPictures(TorchDataset[tuple[Tensor, int]]):
    """The training set as torchvision serves it: each picture becomes an image object and is transformed alone."""

    def __init__(self, name: str, augment: bool) -> None:
        whole = data.load(name, "train", Console(quiet=True))
        self.classes = whole.classes
        self._images, self._labels = whole.images.numpy(), whole.labels.tolist()
        policy = [transforms.AutoAugment(transforms.AutoAugmentPolicy.IMAGENET)] if augment else []
        normalise = transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
        self._transform = transforms.Compose([*policy, transforms.ToTensor(), normalise])

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(Image.fromarray(self._images[index])), self._labels[index]


def lab(turns: Turns, setting: Setting, *, our_batch: bool = False, augment: bool = True, graph: bool = True) -> None:
    """The notebook's loop, with its mistakes: they cost time, too.

    The teacher is in train mode and inside the autograd graph, the student is in eval mode, softmax goes into a loss
    that applies it again, the L2 penalty is summed by a Python loop, and the loss is read back at every step.

    Args:
        turns: when to work.
        setting: of the benchmark.
        our_batch: limbeck's batch size instead of 32.
        augment: AutoAugment with ImageNet's policy.
        graph: whether the teacher is inside the autograd graph.
    """
    torch.manual_seed(0)
    if setting.threads:
        torch.set_num_threads(setting.threads)
    device, batch_size = setting.torch_device(), setting.batch_size if our_batch else 32
    pictures = LabPictures(setting.data, augment)
    loader = DataLoader(pictures, batch_size, shuffle=True, num_workers=2, drop_last=True)
    teacher, student = (
        _with_torch_dropout(models.build(name, num_classes=len(pictures.classes), width=setting.width)).to(device)
        for name in ("alexnet_cifar", "nin_cifar")
    )
    teacher.train()
    student.eval()
    optimizer = torch.optim.SGD(student.parameters(), lr=1e-3, momentum=0.9)
    criterion = nn.CrossEntropyLoss()

    def steps() -> Iterator[float]:
        running_loss = 0.0
        while True:
            for images, _ in loader:
                images = images.to(device)
                with torch.set_grad_enabled(graph):
                    targets = F.softmax(teacher(images) / 5, dim=1)
                outputs = F.softmax(student(images) / 5, dim=1)
                penalty = torch.zeros((), device=device)
                for parameter in student.parameters():
                    penalty = penalty + parameter.pow(2).sum()
                loss = criterion(outputs, targets) + 5e-5 * penalty
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                running_loss += loss.item()
                yield running_loss

    step = steps()
    count = max(1, setting.pictures // batch_size)
    for _ in range(1 + setting.rounds):
        turns.take()
        for _ in range(6):  # four batches were made while others had their turn
            next(step)
        turns.start()
        for _ in range(count):
            next(step)
        turns.stop()
        turns.give(count * batch_size)


def _with_torch_dropout(network: nn.Module) -> nn.Module:
    """The network as a notebook writes it: limbeck's own dropout is faster on a CPU."""
    for path, module in list(network.named_modules()):
        if isinstance(module, nn.Dropout):
            network.set_submodule(path, nn.Dropout(module.p))
    return network


def limbeck(turns: Turns, setting: Setting, *, teacher: Labeller, precision: Literal["auto", "fp32"] = "auto") -> None:
    """limbeck's loop as `limbeck run` calls it, by `limbeck.training.fit`. A turn is an epoch, without its checkpoint.

    Args:
        turns: when to work.
        setting: of the benchmark.
        teacher: asked in the step, its logits stored, or labels alone.
        precision: "auto" is what a run uses.
    """
    recipe = recipes.find(setting.recipe)
    engine = choose(Device(name=setting.torch_device(), precision=precision, threads=setting.threads))
    whole = data.load(setting.data, "train", Console(quiet=True))
    pictures = whole.subset(torch.arange(setting.pictures)).to(engine.device)
    torch.manual_seed(0)
    student, asked = (
        engine.place(Model(name=name, width=setting.width).build(len(whole.classes), whole.statistics()))
        for name in ("nin_cifar", "alexnet_cifar")
    )
    with tempfile.TemporaryDirectory() as scratch:
        live = LiveTeacher(asked, engine)
        stored = StoredLogits(live, Path(scratch, "logits"), len(pictures))
        labellers: dict[Labeller, LabelsViews | None] = {"live": live, "stored": stored, "none": None}
        job = Job(
            network=student,
            objective=engine.place((recipe.alone if teacher == "none" else recipe.objective).build()),
            teacher=labellers[teacher],
            pictures=pictures,
            views=recipe.views,
            train=recipe.train.with_(epochs=1 + setting.rounds, batch_size=setting.batch_size, checkpoint_seconds=1e9),
            engine=engine,
            seed=0,
            view_seed=0,
            folder=Path(scratch),
            identity="lab3_loop",
        )

        def prepare(epoch: int) -> None:
            """Has the epoch's logits stored, as if another training had used these views before."""
            if teacher == "stored":
                for index in torch.arange(len(pictures), device=engine.device).split(1024):
                    seen = make_views(pictures.fetch(index), index, job.views, job.view_seed, epoch)
                    stored.outputs(index, seen, epoch)

        ended = 0

        def after_epoch(_: nn.Module) -> dict[str, float]:
            nonlocal ended
            turns.stop()
            ended += 1
            if ended < job.train.epochs:
                prepare(ended)
            turns.give(len(pictures))
            if ended < job.train.epochs:
                turns.take()
            return {}

        job.evaluate = after_epoch
        prepare(0)
        turns.take()
        fit(job)


CONTENDERS: dict[str, tuple[str, Callable[..., None]]] = {
    "lab": ("the lab's loop", lab),
    "lab-no-graph": ("the lab's loop, teacher outside the autograd graph", partial(lab, graph=False)),
    "lab-plain": ("the lab's loop, no AutoAugment", partial(lab, augment=False)),
    "lab-batch": ("the lab's loop, limbeck's batch size", partial(lab, our_batch=True)),
    "lab-batch-plain": ("the lab's loop, both of these", partial(lab, our_batch=True, augment=False)),
    "limbeck": ("limbeck, teacher in the step", partial(limbeck, teacher="live")),
    "limbeck-stored": ("limbeck, stored logits", partial(limbeck, teacher="stored")),
    "limbeck-alone": ("limbeck, student alone", partial(limbeck, teacher="none")),
    "limbeck-fp32": ("limbeck in fp32, teacher in the step", partial(limbeck, teacher="live", precision="fp32")),
    "limbeck-stored-fp32": ("limbeck in fp32, stored logits", partial(limbeck, teacher="stored", precision="fp32")),
    "limbeck-alone-fp32": ("limbeck in fp32, student alone", partial(limbeck, teacher="none", precision="fp32")),
}


def main(setting: Setting, console: Console) -> None:
    """Runs the benchmark; shows its page and writes it.

    Raises:
        LimbeckError: an impossible setting, or a contender that failed.
    """
    for name in set(setting.only) - set(CONTENDERS):
        raise unknown("contender", name, CONTENDERS)
    recipes.find(setting.recipe)
    if setting.rounds < 1:
        raise LimbeckError(f"rounds = {setting.rounds} is not possible: give 1 or more.")
    if setting.side < 64 or setting.side % 64:
        raise LimbeckError(f"side = {setting.side} is not possible: give a multiple of 64.")
    if setting.pictures < setting.batch_size:
        raise LimbeckError(f"pictures = {setting.pictures} is less than a batch of {setting.batch_size}. Give more.")
    engine = choose(Device(name=setting.torch_device(), threads=setting.threads))
    available = len(data.load(setting.data, "train", console))
    if setting.pictures > available:
        raise LimbeckError(f"pictures = {setting.pictures} is more than the {available} of {setting.data}. Give fewer.")
    names = setting.only or tuple(name for name in CONTENDERS if engine.autocast or not name.endswith("fp32"))
    peaks: dict[str, float] = {}

    def peak() -> None:
        for product, speed in matrix_products(engine.device, engine.autocast is not None, setting.side).items():
            peaks[product] = max(speed, peaks.get(product, 0.0))

    others = Others()
    contenders = {name: partial(CONTENDERS[name][1], setting=setting) for name in names}
    speeds = referee(contenders, setting.rounds, console, peak)
    hardware = f"{processor()}, {os.cpu_count()} cores"
    if engine.device.type == "cuda":
        hardware = f"{torch.cuda.get_device_name()}; {hardware}"
    student = models.build("nin_cifar", num_classes=10, width=setting.width)
    text = page(
        Measured(
            command=shlex.join(["python", "benchmarks/lab3_loop.py", *sys.argv[1:]]),
            hardware=hardware,
            versions=versions(),
            decisions=engine.reasons,
            others=others.share(),
            titles={name: CONTENDERS[name][0] for name in names},
            speeds=speeds,
            side=setting.side,
            peaks=peaks,
            gflop=training_gflop(student, torch.zeros(1, 3, 32, 32)),
            chosen="fp32" if engine.autocast is None else "bf16",
        )
    )
    console.show(text)
    out = setting.out or Path(__file__).parent / "results" / f"{slug(hardware)}.md"
    files.write_bytes(out, text.encode())
    console.say(f"written to {out}")


if __name__ == "__main__":
    try:
        main(tyro.cli(Setting), Console())
    except LimbeckError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
