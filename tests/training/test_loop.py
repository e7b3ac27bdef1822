"""The loop against a twin that is written out plainly, and what it promises of views, order, dropout and metrics."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limbeck import streams
from limbeck.data import Dataset
from limbeck.data.views import Views, make_views
from limbeck.objectives import DKD, KD, Batch, CrossEntropy, FitNet, Known, Outputs
from limbeck.teachers import LiveTeacher
from limbeck.training import SGD, AdamW, Engine, Job, Train, fit

ADAMW = AdamW(lr=2e-3, weight_decay=0.1)
Make = Callable[..., Job]
Same = Callable[[nn.Module, nn.Module], bool]


@pytest.fixture
def teacher(network: Callable[..., nn.Module], engine: Engine) -> LiveTeacher:
    return LiveTeacher(network("alexnet_cifar", seed=9), engine)


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def plain_rate(train: Train, step: int, steps: int, per_epoch: int) -> float:
    """Linear warm-up and a cosine, written out."""
    warmup = int(train.schedule.warmup * per_epoch)
    if step < warmup:
        return train.optimizer.lr * (step + 1) / (warmup + 1)
    return train.optimizer.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def plain_loop(job: Job, teacher: nn.Module | None, objective: Any) -> nn.Module:
    """A training as anyone would write it, a batch at a time, with torch's own losses and plain optimizers."""
    student, train = job.network.train(), job.train
    made = train.optimizer
    optimizer: torch.optim.Optimizer
    if isinstance(made, SGD):
        optimizer = torch.optim.SGD(student.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    else:
        optimizer = torch.optim.AdamW(student.parameters(), betas=(made.beta1, made.beta2), weight_decay=0.1)
    average: dict[str, Tensor] = {}
    per_epoch = math.ceil(len(job.pictures) / train.batch_size)
    step = 0
    for epoch in range(train.epochs):
        generator = torch.Generator().manual_seed(streams.derive(job.seed, "order", epoch))
        order = torch.randperm(len(job.pictures), generator=generator)
        for index in order.split(train.batch_size):
            views = make_views(job.pictures.images[index], index, job.views, job.view_seed, epoch)
            images, labels = views.float() / 255, job.pictures.labels[index]
            logits = student(images)
            loss = F.cross_entropy(logits, labels)
            if teacher is not None:
                with torch.no_grad():
                    soft = F.softmax(teacher.eval()(images) / objective.temperature, dim=1)
                log_soft = F.log_softmax(logits / objective.temperature, dim=1)
                divergence = F.kl_div(log_soft, soft, reduction="batchmean")
                loss = objective.labels * loss + objective.weight * objective.temperature**2 * divergence
            optimizer.zero_grad()
            loss.backward()
            if train.clip:
                norm = torch.cat([p.grad.flatten() for p in student.parameters() if p.grad is not None]).norm()
                for parameter in student.parameters():
                    if parameter.grad is not None and norm > train.clip:
                        parameter.grad *= train.clip / norm
            for group in optimizer.param_groups:
                group["lr"] = plain_rate(train, step, per_epoch * train.epochs, per_epoch)
            optimizer.step()
            step += 1
            for name, value in student.state_dict().items():
                old = average.get(name)
                average[name] = value.clone() if old is None else old + (1 - (train.ema or 0)) * (value - old)
    if train.ema:
        student.load_state_dict(average)
    return student


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": ADAMW},
        {"clip": 0.05},
        {"ema": 0.8},
        {"accumulate": 3},
        {"chunk": 1},
        {"batch_size": 120, "optimizer": ADAMW, "clip": 0.5, "ema": 0.5, "accumulate": 7},
    ],
    ids=lambda changes: ",".join(changes) or "as it is",
)
@pytest.mark.parametrize("taught", [False, True], ids=["labels", "distilled"])
def test_the_loop_is_the_plain_loop(
    make: Make,
    teacher: LiveTeacher,
    changes: dict[str, Any],
    taught: bool,
    network: Callable[..., nn.Module],
    train: Train,
) -> None:
    objective = KD(temperature=3, weight=0.7, labels=0.2) if taught else CrossEntropy()
    train = train.with_(**changes)
    ours = fit(make(False, objective, train=train, teacher=teacher if taught else None))
    asked = network("alexnet_cifar", seed=9) if taught else None
    theirs = plain_loop(make(False, objective, train=train), asked, objective)
    before = weights(make(False).network)
    moved = max(float((weights(ours)[name] - value).abs().max()) for name, value in before.items())
    assert moved > 1e-3  # far above what is called equal
    for name, value in weights(theirs).items():
        torch.testing.assert_close(weights(ours)[name], value, rtol=1e-3, atol=2e-5, msg=name)


@pytest.mark.parametrize(
    "changes", [{"clip": 0.05}, {"ema": 0.8}, {"optimizer": ADAMW}, {"batch_size": 40}], ids=",".join
)
def test_every_setting_of_the_twin_matters(make: Make, changes: dict[str, Any], train: Train) -> None:
    plain, changed = (fit(make(False, train=how)) for how in (train, train.with_(**changes)))
    apart = [(a - b).abs().max() for a, b in zip(weights(plain).values(), weights(changed).values(), strict=True)]
    assert max(apart) > 1e-3


def test_a_batch_goes_through_the_network_in_as_many_parts_as_asked(make: Make, train: Train) -> None:
    sizes: list[int] = []
    job = make(train=train.with_(epochs=1, accumulate=3))
    job.network.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    fit(job)
    assert sizes == [11, 11, 10, 11, 11, 10, 11, 11, 10, 8, 8, 8]


@pytest.mark.parametrize("mix", [None, "mixup"])
def test_unlabelled_pictures_weigh_the_same_in_parts(
    make: Make, teacher: LiveTeacher, train: Train, pictures: Dataset, mix: str | None
) -> None:
    """Some parts have few labels, or none; what the labels teach is that of the whole batch."""
    labels = pictures.labels.where(torch.rand(120, generator=torch.Generator().manual_seed(0)) < 0.15, -1)
    few = Dataset("few", pictures.classes, pictures.images, labels)
    given = {"pictures": few, "teacher": teacher, "views": Views(crop=2, flip=False, mix=mix)}
    objective = KD() + 2 * DKD(warmup=0, beta=1)
    train = train.with_(epochs=1)  # later a sum in another order may move a weight by 5e-5
    jobs = [make(False, objective, train=train.with_(accumulate=parts), **given) for parts in (1, 6)]
    whole, parts = (weights(fit(job)) for job in jobs)
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-3, atol=2e-5, msg=name)
    rows = [json.loads((job.folder / "metrics.jsonl").read_text().splitlines()[0]) for job in jobs]
    assert rows[1]["loss_labels"] == pytest.approx(rows[0]["loss_labels"], rel=1e-4)


def test_the_student_trains_with_its_dropout_on(make: Make, same_bits: Same) -> None:
    with_dropout, again, without = (fit(make(dropout)) for dropout in (True, True, False))
    assert same_bits(with_dropout, again)
    assert not same_bits(with_dropout, without)


def test_what_comes_back_is_in_eval_mode(make: Make, train: Train) -> None:
    for how in (train, train.with_(ema=0.9)):
        assert not any(module.training for module in fit(make(train=how)).modules())


def test_distillation_without_the_teachers_term_is_training_on_labels_bit_for_bit(
    make: Make, teacher: LiveTeacher, same_bits: Same, train: Train
) -> None:
    train = train.with_(clip=1.0, ema=0.9)
    alone = fit(make(train=train))
    distilled = fit(make(objective=KD(weight=0, labels=1), train=train, teacher=teacher))
    another_seed = fit(make(train=train, seed=1))
    assert same_bits(alone, distilled)
    assert not same_bits(alone, another_seed)


@pytest.mark.parametrize("what", ["views", "view_seed", "seed"])
def test_views_their_seed_and_the_order_all_count(make: Make, what: str, same_bits: Same) -> None:
    changed: Job = make(False, **{what: {"views": Views(), "view_seed": 6, "seed": 1}[what]})
    changed.network.load_state_dict(make(False).network.state_dict())
    assert not same_bits(fit(make(False)), fit(changed))


class Witness(nn.Module):
    """A teacher who answers with its views, and an objective that compares them with what the student was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.agreed: list[bool] = []
        self.shares: list[float] = []

    def outputs(self, index: Tensor, views_NCHW: Tensor, epoch: int) -> Outputs:
        return Outputs(views_NCHW.float().div(255).flatten(1))

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        assert batch.mixed is not None
        self.agreed.append(torch.equal(teacher.logits, batch.images.flatten(1)))
        self.shares.append(float(batch.mixed.share))
        return {"labels": batch.over_labels(lambda labels: F.cross_entropy(student.logits, labels))}


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
@pytest.mark.parametrize("chunk", [1, 3])
def test_teacher_and_student_see_the_same_mixed_views(make: Make, train: Train, name: str, chunk: int) -> None:
    witness = Witness()
    job = make(train=train.with_(chunk=chunk, accumulate=2), views=Views(crop=2, flip=False, mix=name))
    job.teacher = job.objective = witness
    fit(job)
    assert len(witness.agreed) == 2 * 12
    assert all(witness.agreed)
    assert witness.shares[::2] == witness.shares[1::2]  # both parts of a batch
    assert len(set(witness.shares)) > 6


def test_mixing_does_not_depend_on_the_chunk_and_changes_the_student(make: Make, train: Train, same_bits: Same) -> None:
    mixed = Views(crop=2, flip=False, mix="mixup")
    one, other = (fit(make(train=train.with_(chunk=chunk), views=mixed)) for chunk in (1, 3))
    assert same_bits(one, other)
    assert not same_bits(one, fit(make(train=train, views=mixed.with_(mix=None))))


def test_no_epochs_leave_the_network_as_it_was_made(make: Make, same_bits: Same, train: Train) -> None:
    job = make(train=train.with_(epochs=0))
    kept = fit(job)
    assert same_bits(kept, make().network)
    assert not list(job.folder.glob("*"))


def test_metrics_say_what_happened_in_each_epoch(make: Make, teacher: LiveTeacher) -> None:
    notes: list[tuple[int, str]] = []
    job = make(
        objective=KD(weight=0.7, labels=0.2),
        teacher=teacher,
        progress=lambda steps, note: notes.append((steps, note)),
        evaluate=lambda network: {"holdout_accuracy": 0.5},
    )
    fit(job)
    rows = [json.loads(line) for line in (job.folder / "metrics.jsonl").read_text().splitlines()]
    for number, row in enumerate(rows, start=1):
        assert row["epoch"] == number
        assert row["loss"] == pytest.approx(row["loss_labels"] + row["loss_kd"])
        assert row["lr"] == plain_rate(job.train, 4 * number - 1, 12, 4)
        assert 0 <= row["accuracy"] <= 1
        assert row["holdout_accuracy"] == 0.5
        assert row["images_per_second"] == pytest.approx(120 / row["seconds"])
    assert len(rows) == 3
    assert [steps for steps, _ in notes] == [2, 4, 6, 8, 10, 12]
    assert all(word in notes[0][1] for word in ("loss", "labels", "kd", "right", "images/s"))


def test_what_an_objective_learns_does_not_shorten_the_students_steps(make: Make, train: Train) -> None:
    """With a small learned part beside the loss, whose gradient is large, the student is clipped as without it."""

    class Beside(nn.Module):
        def __init__(self, size: float) -> None:
            super().__init__()
            self.size, self.learned = size, nn.Parameter(torch.zeros(1))

        def forward(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
            own = self.size * self.learned.sum()
            return {"labels": F.cross_entropy(student.logits, batch.labels), "own": own}

    clipped = train.with_(clip=0.05)
    small, large = (fit(make(False, objective=Beside(size), train=clipped)) for size in (0.0, 1000.0))
    for name, value in weights(small).items():
        torch.testing.assert_close(weights(large)[name], value, rtol=1e-4, atol=1e-6, msg=name)


def compiled_graphs(job: Job, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many graphs torch.compile makes of a training's step; they are run as they are."""
    graphs: list[object] = []

    def backend(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda step, dynamic, mode: compiled(step, dynamic=dynamic, backend=backend, fullgraph=True)
    )
    job.engine = dataclasses.replace(job.engine, compiled=True)
    fit(job)
    return len(graphs)


def test_a_step_is_compiled_once_for_each_size_of_batch(
    make: Make, teacher: LiveTeacher, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make(objective=KD(), teacher=teacher)
    index = job.pictures.fetch(torch.arange(4)).permute(0, 3, 1, 2).float() / 255
    job.evaluate = lambda network: {"asked": float(network(index).isfinite().all())}
    assert compiled_graphs(job, monkeypatch) == 2  # the last batch is smaller


def test_so_it_is_where_features_are_compared(
    make: Make, network: Callable[..., nn.Module], pictures: Dataset, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that is listened to is asked by others after each epoch; the step must not begin otherwise for it."""
    job = make(objective=KD())
    asked, objective = network("alexnet_cifar", seed=9), FitNet()
    picture = pictures.fetch(torch.zeros(1, dtype=torch.int64)).permute(0, 3, 1, 2)[0].float() / 255
    known = Known(job.network, asked, picture, pictures.labels, 32)
    job.taps, theirs = objective.taps(known)
    job.objective, job.teacher = objective.build(known), LiveTeacher(asked, engine, theirs)
    some = pictures.fetch(torch.arange(4)).permute(0, 3, 1, 2).float() / 255
    job.evaluate = lambda network: {"asked": float(network(some).isfinite().all())}
    assert compiled_graphs(job, monkeypatch) == 2


@pytest.mark.parametrize(("accumulate", "mode"), [(1, "reduce-overhead"), (2, "default")])
def test_compiling_changes_how_a_step_is_run_and_nothing_else(
    make: Make, monkeypatch: pytest.MonkeyPatch, train: Train, same_bits: Same, accumulate: int, mode: str
) -> None:
    """CUDA graphs reuse the gradients' memory: not while those add up. The compiler itself is stood in for."""
    compiled: list[dict[str, Any]] = []

    def stand_in(step: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        compiled.append(options)
        return step

    monkeypatch.setattr(torch, "compile", stand_in)
    monkeypatch.setattr(torch.compiler, "reset", lambda: None)
    plain, job = (make(train=train.with_(accumulate=accumulate)) for _ in range(2))
    job.engine = dataclasses.replace(job.engine, compiled=True)
    assert same_bits(fit(job), fit(plain))
    assert compiled == [{"dynamic": False, "mode": mode}]


def test_batch_normalisation_of_averaged_weights_has_the_statistics_of_these_weights(
    make: Make, network: Callable[..., nn.Module]
) -> None:
    """Those that were averaged on the way are of other weights: at this rate they are far off."""
    train = Train(epochs=3, batch_size=30, optimizer=SGD(lr=0.5), ema=0.98)
    job = make(train=train, views=Views(crop=2, flip=False))
    job.network = network("wrn_16_1")
    kept = fit(job)
    index = streams.order(job.seed, 2, len(job.pictures))
    views = make_views(job.pictures.fetch(index), index, job.views, job.view_seed, 2)
    first = next(module for module in kept.modules() if isinstance(module, nn.BatchNorm2d))
    seen: list[Tensor] = []
    with first.register_forward_pre_hook(lambda module, given: seen.append(given[0])), torch.no_grad():
        for part in views.split(30):
            kept(part.float() / 255)
    means = torch.stack([maps.mean((0, 2, 3)) for maps in seen]).mean(0)
    spreads = torch.stack([maps.var((0, 2, 3)) for maps in seen]).mean(0)
    assert torch.allclose(first.running_mean, means, atol=1e-5)
    assert torch.allclose(first.running_var, spreads, rtol=1e-4)
    assert not any(module.training for module in kept.modules())
    assert first.momentum == 0.1
