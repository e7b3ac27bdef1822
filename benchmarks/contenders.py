"""Who takes part in the benchmarks: the lab notebook's loop, limbeck's, and torchdistill's.

All go from the stored pictures to the student's new weights, with the same pair on the same pictures.
"""

from __future__ import annotations

import copy
import logging
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler
from torch.utils.data import Dataset as TorchDataset
from torchvision import transforms
from turns import Turns

from limbeck import data, models, recipes
from limbeck.console import Console
from limbeck.data.views import make_views
from limbeck.errors import LimbeckError
from limbeck.models.model import Model
from limbeck.objectives import KD, CrossEntropy
from limbeck.teachers import Answers, LiveTeacher, StoredLogits
from limbeck.training import Device, Job, choose, fit
from limbeck.training.job import LabelsViews

Labeller = Literal["live", "stored", "none"]
OBJECTIVE = KD(temperature=4, weight=0.9, labels=0.1)
"""limbeck's, and torchdistill's."""
_WORKERS = min(16, os.cpu_count() or 1)  # torchdistill's configuration has 16


@dataclass(frozen=True)
class Workload:
    """What every contender has to do."""

    data: str = "cifar10"
    """Data set whose training pictures everybody uses."""
    width: float = 1.0
    """Width of both networks; 1 is the lab's pair."""
    pictures: int = 2048
    """Pictures of one turn."""
    rounds: int = 5
    """Turns of each contender that count; one more warms up."""
    recipe: str = "cifar10_cpu"
    """Recipe whose views and optimizer limbeck uses."""
    batch_size: int = 128
    """Everybody's batch size but the lab's, which is 32."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where everybody computes."""
    threads: int | None = None
    """CPU threads of everybody; none leaves torch's choice."""

    def check(self, side: int) -> None:
        """Refuses what cannot be measured; ``side`` is that of the matrices whose product is the machine's peak.

        Raises:
            LimbeckError: an impossible setting.
        """
        recipes.find(self.recipe)
        if self.rounds < 1:
            raise LimbeckError(f"rounds = {self.rounds} is not possible: give 1 or more.")
        if side < 64 or side % 64:
            raise LimbeckError(f"side = {side} is not possible: give a multiple of 64.")

    def torch_device(self) -> str:
        """The device's name for torch."""
        return ("cuda" if torch.cuda.is_available() else "cpu") if self.device == "auto" else self.device


class Pictures(TorchDataset[tuple[Tensor, int]]):
    """The training set as torchvision serves it: each picture becomes an image object and is transformed alone."""

    def __init__(self, name: str, transform: transforms.Compose) -> None:
        whole = data.load(name, "train", Console(quiet=True))
        self.classes, self._transform = whole.classes, transform
        self._images, self._labels = whole.images.numpy(), whole.labels.tolist()

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(Image.fromarray(self._images[index])), self._labels[index]


def lab(turns: Turns, workload: Workload, *, our_batch: bool = False, augment: bool = True, graph: bool = True) -> None:
    """The notebook's loop, with its mistakes: they cost time, too.

    The teacher is in train mode and inside the autograd graph, the student is in eval mode, softmax goes into a loss
    that applies it again, the L2 penalty is summed by a Python loop, and the loss is read back at every step.

    Args:
        turns: when to work.
        workload: of the benchmark.
        our_batch: limbeck's batch size instead of 32.
        augment: AutoAugment with ImageNet's policy.
        graph: whether the teacher is inside the autograd graph.
    """
    torch.manual_seed(0)
    if workload.threads:
        torch.set_num_threads(workload.threads)
    device, batch_size = workload.torch_device(), workload.batch_size if our_batch else 32
    policy = [transforms.AutoAugment(transforms.AutoAugmentPolicy.IMAGENET)] if augment else []
    normalise = transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    pictures = Pictures(workload.data, transforms.Compose([*policy, transforms.ToTensor(), normalise]))
    loader = DataLoader(pictures, batch_size, shuffle=True, num_workers=2, drop_last=True)
    teacher, student = (network.to(device) for network in _pair(workload, len(pictures.classes)))
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

    _take_turns(turns, workload, steps(), batch_size)


def _take_turns(turns: Turns, workload: Workload, steps: Iterator[float], batch_size: int, workers: int = 2) -> None:
    """The turns of a loop that loader processes feed, each two batches ahead."""
    count = max(1, workload.pictures // batch_size)
    for _ in range(1 + workload.rounds):
        turns.take()
        for _ in range(2 * workers + 2):  # two batches a worker were made while others had their turn
            next(steps)
        turns.start()
        for _ in range(count):
            next(steps)
        turns.stop()
        turns.give(count * batch_size)


def _pair(workload: Workload, classes: int) -> tuple[nn.Module, nn.Module]:
    """Teacher and student with torch's own dropout, as anybody would write them: limbeck's is faster on a CPU."""
    teacher, student = (
        models.build(name, num_classes=classes, width=workload.width) for name in ("alexnet_cifar", "nin_cifar")
    )
    for network in (teacher, student):
        for path, module in list(network.named_modules()):
            if isinstance(module, nn.Dropout):
                network.set_submodule(path, nn.Dropout(module.p))
    return teacher, student


def limbeck(
    turns: Turns,
    workload: Workload,
    *,
    teacher: Labeller,
    precision: Literal["auto", "fp32"] = "auto",
    compile: Literal["auto", "on", "off"] = "auto",
) -> None:
    """limbeck's loop as `limbeck run` calls it, by `limbeck.training.fit`. A turn is an epoch, without its checkpoint.

    Args:
        turns: when to work.
        workload: of the benchmark.
        teacher: asked in the step, its logits stored, or labels alone.
        precision: "auto" is what a run uses.
        compile: whether torch.compile fuses the step; "auto" is what a run uses.
    """
    recipe = recipes.find(workload.recipe)
    engine = choose(
        Device(name=workload.torch_device(), precision=precision, compile=compile, threads=workload.threads)
    )
    whole = data.load(workload.data, "train", Console(quiet=True))
    pictures = whole.subset(torch.arange(workload.pictures)).to(engine.device)
    torch.manual_seed(0)
    student, asked = (
        engine.place(Model(name=name, width=workload.width).build(len(whole.classes), whole.statistics()))
        for name in ("nin_cifar", "alexnet_cifar")
    )
    with tempfile.TemporaryDirectory() as scratch:
        live = LiveTeacher(asked, engine)
        stored = StoredLogits(live, Answers(Path(scratch, "answers"), {}, (len(pictures), len(pictures.classes))))
        labellers: dict[Labeller, LabelsViews | None] = {"live": live, "stored": stored, "none": None}
        job = Job(
            network=student,
            objective=engine.place((CrossEntropy() if teacher == "none" else OBJECTIVE).build()),
            teacher=labellers[teacher],
            pictures=pictures,
            views=recipe.views,
            train=recipe.train.with_(
                epochs=1 + workload.rounds, batch_size=workload.batch_size, checkpoint_seconds=1e9
            ),
            engine=engine,
            seed=0,
            view_seed=0,
            folder=Path(scratch),
            identity="a benchmark",
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


def torchdistill(turns: Turns, workload: Workload) -> None:
    """torchdistill's distillation box, from PyPI, with the configuration that it ships for KD on CIFAR-10.

    Crop and flip by torchvision, SGD, KDLoss at temperature 4, its own loader, step and order of calls; the loss is
    read back at every step, as its examples do for their log.

    Args:
        turns: when to work.
        workload: of the benchmark.
    """
    from torchdistill.core.distillation import get_distillation_box

    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    if workload.threads:
        torch.set_num_threads(workload.threads)
    torch.backends.cudnn.benchmark = True  # as its examples do
    device = torch.device(workload.torch_device())
    normalise = transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
    crop_and_flip = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    pictures = Pictures(workload.data, transforms.Compose([*crop_and_flip, transforms.ToTensor(), normalise]))
    teacher, student = (network.to(device) for network in _pair(workload, len(pictures.classes)))
    box = get_distillation_box(
        teacher.eval(),
        student,
        {"train": pictures},
        copy.deepcopy(_torchdistill_configuration(workload)),
        device,
        device_ids=None,
        distributed=False,
        lr_factor=1,
    )

    def steps() -> Iterator[float]:
        running_loss, epoch = 0.0, 0
        while True:
            box.pre_epoch_process(epoch=epoch)
            for images, labels, extra in box.train_data_loader:
                images, labels = images.to(device), labels.to(device)
                loss = box.forward_process(images, labels, extra)
                box.post_forward_process(loss)
                running_loss += loss.item()
                yield running_loss
            epoch += 1

    _take_turns(turns, workload, steps(), workload.batch_size, _WORKERS)


def _torchdistill_configuration(workload: Workload) -> dict[str, Any]:
    loss = {
        "key": "KDLoss",
        "kwargs": {
            "student_module_path": ".",
            "student_module_io": "output",
            "teacher_module_path": ".",
            "teacher_module_io": "output",
            "temperature": 4.0,
            "alpha": 0.9,
            "reduction": "batchmean",
        },
    }
    return {
        "num_epochs": 182,
        "train_data_loader": {
            "dataset_id": "train",
            "sampler": {"class_or_func": RandomSampler},
            "kwargs": {"batch_size": workload.batch_size, "num_workers": _WORKERS, "drop_last": True},
        },
        "teacher": {"requires_grad": False, "forward_proc": "forward_batch_only"},
        "student": {"requires_grad": True, "forward_proc": "forward_batch_only"},
        "optimizer": {"key": "SGD", "kwargs": {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}},
        "scheduler": {"key": "MultiStepLR", "kwargs": {"milestones": [91, 136], "gamma": 0.1}},
        "criterion": {
            "key": "WeightedSumLoss",
            "kwargs": {"sub_terms": {"kd": {"criterion": loss, "weight": 1.0}}},
        },
    }
