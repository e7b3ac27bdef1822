"""The one training loop: teacher, student alone and distilled student differ only in the objective."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from limbeck import files, streams
from limbeck.data.dataset import Dataset
from limbeck.data.mixing import mix
from limbeck.data.views import Views, make_views
from limbeck.errors import LimbeckError, TrainingError
from limbeck.objectives import Batch, Mixed, Outputs, Tapped, total
from limbeck.training import checkpoint
from limbeck.training.averaging import average, has_statistics, settle
from limbeck.training.device import Engine
from limbeck.training.optim import Train

_SETTLED_BY = 5_000  # pictures


class LabelsViews(Protocol):
    """What the loop asks of a teacher, however it answers (live, stored, several)."""

    def outputs(self, index: Tensor, views_NCHW: Tensor, epoch: int) -> Outputs:
        """What the teacher says of these uint8 views of these pictures in this epoch; on the views' device."""


@dataclass
class Job:
    """One network's training.

    Attributes:
        network: takes float pictures in [0, 1]; on the engine's device.
        objective: a module, `Objective.build()`.
        teacher: who labels the views; None where the objective needs nobody.
        pictures: the training set, on the engine's device.
        views, train, engine: how.
        seed: of order and dropout. Initial weights are the network's own.
        view_seed: of the views.
        folder: where checkpoint.pt and metrics.jsonl are kept.
        identity: what this training is; a checkpoint of another one is refused.
        taps: submodules of the network whose outputs the objective needs.
        evaluate: called with the network that would be kept, after every epoch; its figures join the metrics.
        progress: told (steps done, a short note) while training.
        recorded: told the rows of metrics.jsonl, all that there are, whenever they and their checkpoint are written.
    """

    network: nn.Module
    objective: nn.Module
    teacher: LabelsViews | None
    pictures: Dataset
    views: Views
    train: Train
    engine: Engine
    seed: int
    view_seed: int
    folder: Path
    identity: str
    taps: tuple[str, ...] = ()
    evaluate: Callable[[nn.Module], dict[str, float]] = lambda network: {}
    progress: Callable[[int, str], None] = lambda steps, note: None
    recorded: Callable[[list[dict[str, Any]]], None] = lambda rows: None

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch; the last batch may be smaller than the others."""
        return -(-len(self.pictures) // self.train.batch_size)


def fit(job: Job) -> nn.Module:
    """Trains ``job.network``, continuing from its checkpoint if there is one.

    Returns:
        the network to keep, in eval mode: the trained one, or the average of its weights where the job asks for that.

    Raises:
        LimbeckError: the loss, the weights or a figure of ``job.evaluate`` is no longer a finite number, or the
            checkpoint cannot be used.
    """
    training = _Training(job)
    with contextlib.closing(training.student):
        for epoch in range(training.resume(), job.train.epochs):
            with streams.seeded(job.seed, "dropout", epoch):
                metrics = training.epoch(epoch)
            metrics |= job.evaluate(training.kept())
            training.stop_unless_sound(epoch, metrics)
            training.record(epoch, metrics)
    return training.kept().eval()


class _Training:
    """The state of a training, and what happens in an epoch and in a step."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.parameters = [*job.network.parameters(), *job.objective.parameters()]
        self.optimizer = job.train.optimizer.build(self.parameters)
        self.average = average(job.network, job.train.ema) if job.train.ema else None
        self.names: tuple[str, ...] = ()  # of the objective's terms
        self.student = Tapped(job.network, job.taps)
        self.loss = self._loss
        if job.engine.compiled:
            torch.compiler.reset()  # else a process may compile only a few trainings before torch falls back to eager
            # CUDA graphs replay a step at next to no cost, but reuse the gradients' memory: not while those add up.
            mode = "reduce-overhead" if job.train.accumulate == 1 else "default"
            self.loss = torch.compile(self._loss, dynamic=False, mode=mode)
        self.rows: list[dict[str, Any]] = []
        self.saved = time.monotonic()

    def epoch(self, epoch: int) -> dict[str, Any]:
        """Shows every picture once; returns the epoch's metrics."""
        job, began = self.job, time.monotonic()
        job.network.train()
        order = streams.order(job.seed, epoch, len(job.pictures)).to(job.engine.device)
        tallies: list[Tensor] = []
        step = first = epoch * job.steps_per_epoch
        chunks = order.split((1 if job.taps else job.train.chunk) * job.train.batch_size)
        for chunk, images in zip(chunks, job.pictures.each(chunks), strict=True):
            views = make_views(images, chunk, job.views, job.view_seed, epoch)
            labels = job.pictures.labels[chunk]
            starts = range(0, len(chunk), job.train.batch_size)
            batches = [slice(start, start + job.train.batch_size) for start in starts]
            mixed = [self._mix(step + number, views, labels, part) for number, part in enumerate(batches)]
            taught = job.teacher.outputs(chunk, views, epoch) if job.teacher else None
            seen: list[Tensor] = []
            for part, partners in zip(batches, mixed, strict=True):
                shown = _Shown(chunk[part], views[part], labels[part], _slice(taught, part), partners)
                seen.append(self.step(step + len(seen), shown))
            tally = torch.stack(seen).cpu()
            self._stop_unless_finite(tally, epoch, step)
            tallies.append(tally)
            step += len(seen)
            speed = (step - first) * job.train.batch_size / (time.monotonic() - began)
            job.progress(step, self._note(tally, speed))
        self._settle(epoch)
        return self._metrics(torch.cat(tallies), began)

    def _settle(self, epoch: int) -> None:
        """Gives averaged weights the statistics of some of the epoch's views, where they have need of any."""
        job = self.job
        if self.average is None or not has_statistics(job.network):
            return
        some = streams.order(job.seed, epoch, len(job.pictures))[:_SETTLED_BY].to(job.engine.device)
        parts = [some[part] for part in _parts(len(some), -(-len(some) // job.train.batch_size))]
        batches = (
            job.engine.pictures(make_views(images, part, job.views, job.view_seed, epoch))
            for part, images in zip(parts, job.pictures.each(parts), strict=True)
        )
        with torch.no_grad(), job.engine.precision():
            settle(self.kept(), batches)

    def _mix(self, step: int, views: Tensor, labels: Tensor, part: slice) -> Mixed | None:
        """Mixes the views of a batch, in place, where the job asks for it."""
        job = self.job
        if job.views.mix is None:
            return None
        views[part], mixture = mix(job.views.mix, views[part], job.view_seed, step)
        return Mixed(labels[part][mixture.partner], torch.tensor(mixture.share, device=views.device))

    def step(self, step: int, shown: _Shown) -> Tensor:
        """One optimizer step.

        Returns:
            (pictures, those with a label, those that are right, loss and its parts summed over the pictures).
        """
        job, tally, count = self.job, torch.zeros((), device=shown.views.device), len(shown.views)
        for part in _parts(count, job.train.accumulate):
            loss, summed = self.loss(self._clock(step), *shown.part(part))
            self._stop_unless_the_same_terms()
            (loss * ((part.stop - part.start) / count)).backward()
            tally = tally + summed
        if job.train.clip:
            nn.utils.clip_grad_norm_(self.parameters, job.train.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(step)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average:
            self.average.update_parameters(job.network)
        return tally

    def _loss(
        self,
        clock: Tensor,
        index: Tensor,
        views: Tensor,
        labels: Tensor,
        taught: Outputs | None,
        mixed: Mixed | None,
    ) -> tuple[Tensor, Tensor]:
        """Views to loss; this is what torch.compile sees."""
        job = self.job
        images = job.engine.pictures(views)
        with job.engine.precision():
            student = self.student(images)
        batch = Batch(index, images, labels, step=clock[0], epoch=clock[1], progress=clock[2], mixed=mixed)
        parts = job.objective(student, taught, batch)
        loss = total(parts)
        self.returned = tuple(parts)
        count = torch.full((), len(views), device=views.device, dtype=torch.float32)
        right = (student.logits.argmax(1) == labels).sum()
        labelled = (labels >= 0).sum()
        summed = torch.stack([count, labelled, right, *(count * value.detach() for value in (loss, *parts.values()))])
        return loss, summed

    def _clock(self, step: int) -> Tensor:
        """(step, epochs so far, share of the training done) as one small tensor, so that nothing is compiled anew."""
        steps_per_epoch = self.job.steps_per_epoch
        done = step / (steps_per_epoch * self.job.train.epochs)
        return torch.tensor([step, step / steps_per_epoch, done]).to(self.job.engine.device, non_blocking=True)

    def _rate(self, step: int) -> float:
        train, steps_per_epoch = self.job.train, self.job.steps_per_epoch
        return train.optimizer.lr * train.schedule.share(step, steps_per_epoch * train.epochs, steps_per_epoch)

    def _stop_unless_the_same_terms(self) -> None:
        """The metrics have one column a term, from the first step to the last."""
        self.names = self.names or self.returned
        if self.returned != self.names:
            raise LimbeckError(
                f"the objective returned the losses {', '.join(self.names)} at first and {', '.join(self.returned)} "
                f"later ({self.job.folder}). Let its forward return the same names, in the same order, at every step; "
                "a loss that is out of use is 0."
            )

    def _stop_unless_finite(self, tally: Tensor, epoch: int, step: int) -> None:
        broken = (~tally.isfinite().all(dim=1)).nonzero()
        if len(broken):
            raise self._diverged("the loss is no longer a finite number", epoch, step + int(broken[0]))

    def stop_unless_sound(self, epoch: int, metrics: dict[str, Any]) -> None:
        """A loss shows what the step before it did to the weights; nothing yet shows what the epoch's last step did."""
        weights = torch.stack([weight.isfinite().all() for weight in self.parameters])
        if not weights.all() or not all(map(math.isfinite, metrics.values())):
            last = (epoch + 1) * self.job.steps_per_epoch - 1
            raise self._diverged("the weights or what they answer are no longer finite numbers", epoch, last)

    def _diverged(self, what: str, epoch: int, step: int) -> TrainingError:
        train, per_epoch = self.job.train, self.job.steps_per_epoch
        kept = " The last good checkpoint is kept." if (self.job.folder / "checkpoint.pt").exists() else ""
        return TrainingError(
            f"{what}, in epoch {epoch + 1}, step {step - epoch * per_epoch + 1} of {per_epoch} ({self.job.folder}). "
            f"Lower optimizer.lr (the rate was {self._rate(step):.3g} there) or clip (now {train.clip or 'off'}), or "
            f"lengthen schedule.warmup (now {train.schedule.warmup:g} epochs).{kept}",
            short=f"diverged in epoch {epoch + 1}",
            lasting=True,
        )

    def _note(self, tally: Tensor, speed: float) -> str:
        sums = tally.sum(dim=0)
        means = sums[3:] / sums[0]
        named = zip(("loss", *self.names), means.tolist(), strict=True)
        losses = "  ".join(f"{name} {value:.3f}" for name, value in list(named)[: 1 if len(means) == 2 else None])
        return f"{losses}  right {100 * sums[2] / sums[1]:.1f} %  {speed:,.0f} images/s"

    def _metrics(self, tally: Tensor, began: float) -> dict[str, Any]:
        sums, seconds = tally.double().sum(dim=0), time.monotonic() - began
        means = (sums[3:] / sums[0]).tolist()
        named = dict(zip(("loss", *(f"loss_{name}" for name in self.names)), means, strict=True))
        speed = float(sums[0]) / seconds
        right = {"accuracy": float(sums[2] / sums[1])} if sums[1] else {}  # of those that have a label
        return {**named, **right, "seconds": seconds, "images_per_second": speed}

    def kept(self) -> nn.Module:
        """The network that would be kept if the training ended now."""
        return self.average.module if self.average else self.job.network

    def record(self, epoch: int, metrics: dict[str, Any]) -> None:
        """Writes the metrics and a checkpoint, where they are due."""
        job = self.job
        rate = self._rate((epoch + 1) * job.steps_per_epoch - 1)
        self.rows.append({"epoch": epoch + 1, "lr": rate, **metrics})
        due = time.monotonic() - self.saved >= job.train.checkpoint_seconds
        if not due and epoch + 1 < job.train.epochs:
            return
        state = {
            "epoch": epoch + 1,
            "network": job.network.state_dict(),
            "objective": job.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "rows": self.rows,
        }
        text = "".join(json.dumps(row) + "\n" for row in self.rows)
        files.write_bytes(job.folder / "metrics.jsonl", text.encode())  # first: after the last checkpoint nobody would
        checkpoint.save(job.folder / "checkpoint.pt", job.identity, state)
        job.recorded(self.rows)
        self.saved = time.monotonic()

    def resume(self) -> int:
        """Takes up the state of the checkpoint, if there is one; returns the epoch to go on with."""
        job = self.job
        state = checkpoint.load(job.folder / "checkpoint.pt", job.identity)
        if state is None:
            return 0
        try:
            job.network.load_state_dict(state["network"])
            job.objective.load_state_dict(state["objective"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.average:
                self.average.load_state_dict(state["average"])
            self.rows, epoch = state["rows"], int(state["epoch"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise checkpoint.unusable(job.folder / "checkpoint.pt", "does not fit this training", error) from error
        job.recorded(self.rows)
        return epoch


class _Shown(NamedTuple):
    """Pictures that go through a step, or through a part of one, together."""

    places: Tensor
    views: Tensor
    labels: Tensor
    taught: Outputs | None
    mixed: Mixed | None

    def part(self, where: slice) -> _Shown:
        """Some of them."""
        mixed = Mixed(self.mixed.labels[where], self.mixed.share) if self.mixed else None
        return _Shown(self.places[where], self.views[where], self.labels[where], _slice(self.taught, where), mixed)


def _parts(count: int, parts: int) -> list[slice]:
    """``range(count)`` cut into at most ``parts`` slices of nearly equal length."""
    size = -(-count // parts)
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _slice(outputs: Outputs | None, part: slice) -> Outputs | None:
    if outputs is None:
        return None
    return Outputs(outputs.logits[part], {path: tap[part] for path, tap in outputs.taps.items()})
