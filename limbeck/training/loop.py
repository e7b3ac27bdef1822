"""The one training loop: teacher, student alone and distilled student differ only in the objective."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from limbeck import files, streams
from limbeck.data.mixing import mix
from limbeck.data.views import make_views
from limbeck.errors import LimbeckError, TrainingError
from limbeck.objectives import Mixed, Outputs, Tapped, total
from limbeck.processes import ranks
from limbeck.training import checkpoint
from limbeck.training.averaging import Average, has_statistics, settle
from limbeck.training.batches import Given, Part, batch_of, chunked, cut, shown
from limbeck.training.job import Job
from limbeck.training.team import Team

_SETTLED_BY = 5_000  # pictures
_SAVING = 20  # times as long as a checkpoint takes passes before the next, at the least


def fit(job: Job) -> nn.Module:
    """Trains ``job.network``, continuing from its checkpoint if there is one.

    Where torchrun started several processes, all of them call this with equal jobs. Each takes its share of every
    batch; only the first one evaluates and writes.

    Returns:
        the network to keep, in eval mode: the trained one, or the average of its weights where the job asks for that.

    Raises:
        LimbeckError: the loss, the weights or a figure of ``job.evaluate`` is no longer a finite number, the
            checkpoint cannot be used, or another process has ended.
    """
    with ranks.joined(job.engine.device):
        training = _Training(job)
        with contextlib.closing(training):
            for epoch in range(training.resume(), job.train.epochs):
                with streams.seeded(job.seed, "dropout", epoch):
                    metrics = training.epoch(epoch)
                metrics |= job.evaluate(training.kept()) if ranks.first() else {}
                training.stop_unless_sound(epoch, metrics)
                training.record(epoch, metrics)
    return training.kept().eval()


class _Training:
    """The state of a training, and what happens in an epoch and in a step."""

    def __init__(self, job: Job) -> None:
        self.job, self.team = job, Team(job.engine)
        self.apart = [list(module.parameters()) for module in (job.network, job.objective)]
        self.parameters = [*itertools.chain(*self.apart)]
        self.optimizer = job.train.optimizer.build(self.parameters)
        self.names: tuple[str, ...] = ()  # of the objective's terms
        self.average = Average(job.network, job.train.ema) if job.train.ema else None  # before anybody listens
        self.tapped = Tapped(job.network, job.taps)
        self.student = self.team.student(self.tapped)
        self.loss = self.team.step(job.network, job.objective, self._loss)
        if job.engine.compiled:
            torch.compiler.reset()  # else a process may compile only a few trainings before torch falls back to eager
            # CUDA graphs replay a step at next to no cost, but reuse the gradients' memory: not while those add up.
            mode = "reduce-overhead" if job.train.accumulate == 1 else "default"
            self.loss = torch.compile(self._loss, dynamic=False, mode=mode)
        self.rows: list[dict[str, Any]] = []
        self.saved, self.saving = time.monotonic(), 0.0

    def epoch(self, epoch: int) -> dict[str, Any]:
        """Shows every picture once; returns the epoch's metrics."""
        job, train, began = self.job, self.job.train, time.monotonic()
        job.network.train()
        self.tapped.forget()  # who looked at the network since: a compiled step would begin otherwise
        self.team.begin(job.seed, "dropout", epoch)
        order = streams.order(job.seed, epoch, len(job.pictures)).to(job.engine.device)
        tallies: list[Tensor] = []
        step = first = epoch * job.steps_per_epoch
        batch_size, parts = train.batch_size, train.accumulate
        chunks = [chunked(index, batch_size, parts, self.team) for index in order.split(train.chunk * batch_size)]
        made = [chunk.own if job.views.mix is None else chunk.places for chunk in chunks]  # partners may be others'
        for chunk, index, images in zip(chunks, made, job.pictures.each(made), strict=True):
            views = make_views(images, index, job.views, job.view_seed, epoch)
            labels = job.pictures.labels[chunk.places]
            mixed = [self._mix(step + number, views, labels, batch) for number, batch in enumerate(chunk.batches)]
            views = views if job.views.mix is None else views[chunk.rows]
            given = Given(chunk.places, views, labels, self._teacher(chunk.own, views, epoch))
            seen: list[Tensor] = []
            for batch, partners in zip(chunk.batches, mixed, strict=True):
                seen.append(self.step(step + len(seen), given, batch, partners))
            tally = ranks.of_first(torch.stack(seen).cpu())
            self._stop_unless_finite(tally, epoch, step)
            tallies.append(tally)
            step += len(seen)
            speed = (step - first) * batch_size / (time.monotonic() - began)
            job.progress(step, self._note(tally, speed))
        self._settle(epoch)
        return self._metrics(torch.cat(tallies), began)

    def _teacher(self, index: Tensor, views: Tensor, epoch: int) -> Callable[[slice], Outputs] | None:
        """What the teacher says of some of a chunk's pictures: of all of them at once, unless it tells features."""
        teacher = self.job.teacher
        if teacher is None:
            return None
        if self.job.taps:
            return lambda some: teacher.outputs(index[some], views[some], epoch)
        said = teacher.outputs(index, views, epoch)
        return lambda some: Outputs(said.logits[some], {path: tap[some] for path, tap in said.taps.items()})

    def _settle(self, epoch: int) -> None:
        """Makes all processes' buffers the same, and gives averaged weights statistics of their own."""
        self.team.unite(self.job.network, self.job.objective)
        if self.average is not None:
            self.average.count()
            if has_statistics(self.job.network) and ranks.first():
                self._take_statistics(epoch)
            self.team.unite(self.average.module, counting=False)

    def _take_statistics(self, epoch: int) -> None:
        """Those of batch normalisation, from some of the epoch's views."""
        job, size = self.job, self.job.train.batch_size
        some = streams.order(job.seed, epoch, len(job.pictures))[:_SETTLED_BY].to(job.engine.device)

        def batches() -> Iterator[Tensor]:
            chunks = some.split(job.train.chunk * size)
            for index, images in zip(chunks, job.pictures.each(chunks), strict=True):
                views = make_views(images, index, job.views, job.view_seed, epoch)
                for part in cut(slice(0, len(index)), -(-len(index) // size)):
                    yield job.engine.pictures(views[part])

        with torch.no_grad(), job.engine.precision():
            settle(self.kept(), batches())

    def _mix(self, step: int, views: Tensor, labels: Tensor, parts: list[Part]) -> Mixed | None:
        """Mixes the views of a batch, in place, where the job asks for it."""
        job, batch = self.job, batch_of(parts)
        if job.views.mix is None:
            return None
        views[batch], mixture = mix(job.views.mix, views[batch], job.view_seed, step)
        return Mixed(labels[batch][mixture.partner], torch.tensor(mixture.share, device=views.device))

    def step(self, step: int, given: Given, parts: list[Part], mixed: Mixed | None) -> Tensor:
        """One optimizer step.

        Returns:
            (pictures, those with a label, those that are right, loss and its parts summed over the pictures).
        """
        job, batch, tally = self.job, batch_of(parts), torch.zeros((), device=given.views.device)
        for part in parts:
            share = (part.whole.stop - part.whole.start) / (batch.stop - batch.start)
            with self.team.adding_up(self.loss, last=part is parts[-1]):
                loss, summed = self.loss(self._clock(step), *shown(given, part, mixed, batch, self.team))
                self._stop_unless_the_same_terms()
                (loss * share).backward()
            tally = tally + summed
        if job.train.clip:
            for parameters in self.apart:  # so that what an objective learns does not shorten the student's steps
                nn.utils.clip_grad_norm_(parameters, job.train.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(step)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average:
            self.average.update(step)
        return tally

    def _loss(
        self,
        clock: Tensor,
        index: Tensor,
        views: Tensor,
        labels: Tensor,
        taught: Outputs | None,
        mixed: Mixed | None,
        labelled: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Views to loss; this is what torch.compile sees."""
        job = self.job
        images = job.engine.pictures(views)
        with job.engine.precision():
            student = self.team.whole(self.student(images), len(index))
        batch = self.team.batch(index, images, labels, clock[0], clock[1], clock[2], mixed, labelled)
        parts = job.objective(student, taught, batch)
        loss = total(parts)
        self.returned = tuple(parts)
        count = torch.full((), len(index), device=views.device, dtype=torch.float32)
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
        if not ranks.agreed(bool(weights.all()) and all(map(math.isfinite, metrics.values()))):
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

    def close(self) -> None:
        """Stops listening to the network, and lets what averages gradients go at once."""
        self.tapped.close()
        self.loss = self._loss

    def kept(self) -> nn.Module:
        """The network that would be kept if the training ended now."""
        return self.average.module if self.average else self.job.network

    def record(self, epoch: int, metrics: dict[str, Any]) -> None:
        """Writes the metrics and a checkpoint, where they are due."""
        job = self.job
        rate = self._rate((epoch + 1) * job.steps_per_epoch - 1)
        self.rows.append({"epoch": epoch + 1, "lr": rate, **metrics})
        least = job.train.checkpoint_seconds
        due = time.monotonic() - self.saved >= max(least, _SAVING * self.saving if least else 0)
        if not ranks.first() or (not due and epoch + 1 < job.train.epochs):
            return
        state = {
            "epoch": epoch + 1,
            "network": job.network.state_dict(),
            "objective": job.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.module.state_dict() if self.average else None,
            "rows": self.rows,
        }
        text = "".join(json.dumps(row) + "\n" for row in self.rows)
        began = time.monotonic()
        files.write_bytes(job.folder / "metrics.jsonl", text.encode())  # first: after the last checkpoint nobody would
        checkpoint.save(job.folder / "checkpoint.pt", job.identity, state)
        job.recorded(self.rows)
        self.saved = time.monotonic()
        self.saving = self.saved - began

    def resume(self) -> int:
        """Takes up the state of the checkpoint, if there is one; returns the epoch to go on with."""
        job = self.job
        epoch = self._taken_up(checkpoint.load(job.folder / "checkpoint.pt", job.identity))
        if not ranks.agreed(epoch == int(ranks.of_first(torch.tensor(epoch)))):
            raise LimbeckError(
                f"the {ranks.size()} processes do not see the same checkpoint in {job.folder}. Put that folder where "
                "all machines have it, under the same path."
            )
        if epoch and ranks.first():
            job.recorded(self.rows)
        return epoch

    def _taken_up(self, state: dict[str, Any] | None) -> int:
        job = self.job
        if state is None:
            return 0
        try:
            job.network.load_state_dict(state["network"])
            job.objective.load_state_dict(state["objective"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.average:
                self.average.module.load_state_dict(state["average"])
            self.rows, epoch = state["rows"], int(state["epoch"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise checkpoint.unusable(job.folder / "checkpoint.pt", "does not fit this training", error) from error
        return epoch
