"""One network taught by another: the step that a run repeats, and that stands on its own as `limbeck.distil`."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor, nn

from limbeck import files, own, streams
from limbeck.console import Console
from limbeck.data import Dataset
from limbeck.data.views import Views
from limbeck.errors import LimbeckError
from limbeck.evaluation import predict
from limbeck.evaluation.calibration import nll
from limbeck.evaluation.metrics import accuracy
from limbeck.models.folding import folded
from limbeck.models.identity import made_by, weights_of
from limbeck.objectives import KD, Known, Objective
from limbeck.processes import ranks
from limbeck.teachers import Assignment, Labelling, Live, Stored
from limbeck.training import Device, Engine, Job, Train, choose, fit
from limbeck.training.team import refuse_parts, refuse_small_batches


def distil(
    teacher: nn.Module | None,
    student: nn.Module,
    dataset: Dataset,
    objective: Objective | None = None,
    *,
    train: Train | None = None,
    views: Views | None = None,
    held_out: Dataset | None = None,
    seed: int = 0,
    device: Device | None = None,
    folder: Path | str | None = None,
    console: Console | None = None,
) -> nn.Module:
    """Trains a student of one's own under a teacher of one's own, on pictures of one's own.

    Both are plain modules: float pictures (B, 3, H, W) in [0, 1] to logits (B, C). One that wants them normalised is
    wrapped in `limbeck.models.Normalised(network, mean, std)`. Neither needs a change for objectives on features. Where
    torchrun started several processes, each of them calls this; all get the same student, the first one's at the start.

    Args:
        teacher: frozen and set to eval mode here; none where the objective needs nobody.
        student: trained in place, on the chosen device; what is returned may be more than it (simkd adds layers).
        dataset: see `limbeck.data.Dataset` and `limbeck.data.from_pairs`; labels of -1 are allowed.
        objective: by default KD at temperature 4, .9 teacher and .1 labels.
        train: how long and by which steps; by default `Train`'s own.
        views: augmentation; by default crop and flip.
        held_out: pictures to judge the student on after every epoch, for metrics.jsonl.
        seed: of order, dropout and views, and of what the objective learns.
        device: where and how to compute; by default the best there is.
        folder: keeps metrics.jsonl and a checkpoint that the same call continues from, whatever the student's weights
            are by then; by default nothing is kept.
        console: where progress goes.

    Returns:
        the student in eval mode; the average of its weights where ``train`` asks for one.

    Raises:
        LimbeckError: what is given does not fit together; the training diverged; the folder has the checkpoint of
            another training, such as one with an earlier text of the loss; or another process is working there.
    """
    objective, train = objective or KD(), train or Train()
    if train.batch_size > len(dataset):
        raise LimbeckError(f"batch_size = {train.batch_size} is larger than the {len(dataset)} pictures. Lower it.")
    refuse_small_batches(train)
    if folder is None:
        train = train.with_(checkpoint_seconds=1e9)  # nobody could continue from it
    engine = choose(device or Device())
    student, pictures = engine.place(student), dataset.to(engine.device)
    with ExitStack() as stack:
        place = Path(folder or stack.enter_context(tempfile.TemporaryDirectory()))
        if ranks.first():  # the one that writes
            busy = f"another process is distilling in {place}. Wait until it has ended, or give another folder."
            stack.enter_context(files.locked(place / "lock", busy))
        job = prepared(
            student,
            teacher and engine.place(teacher),
            objective,
            pictures,
            views=views or Views(),
            train=train,
            engine=engine,
            seed=seed,
            folder=files.make_folder(place),
            identity="",
        )
        job.identity = _identity(job, objective, teacher) if folder else ""
        if held_out is not None:
            judged = held_out.to(engine.device)
            job.evaluate = lambda network: figures(network, judged, engine)
        title = f"distilling {type(student).__name__}"
        told = (console or Console()) if ranks.first() else Console(quiet=True)
        with told.bar(title, job.steps_per_epoch * train.epochs) as bar:
            job.progress = bar.update
            return folded(fit(job))


def prepared(
    student: nn.Module,
    teacher: nn.Module | None,
    objective: Objective,
    pictures: Dataset,
    *,
    views: Views,
    train: Train,
    engine: Engine,
    seed: int,
    folder: Path,
    identity: str,
    view_seed: int | None = None,
    labelling: Labelling | None = None,
    answers: Path | None = None,
    console: Console | None = None,
    evaluate: Callable[[nn.Module], dict[str, float]] = lambda network: {},
    another: Callable[[], nn.Module] | None = None,
) -> Job:
    """The training of one network, with what its objective taps and learns; the networks are on the engine's device.

    Args:
        student, teacher, objective, pictures, views, train, engine, seed, folder, identity, evaluate: as in `Job`.
        view_seed: by default ``seed``.
        labelling: how the teacher is asked; by default live where features are needed, pictures are mixed or answers
            are not kept.
        answers: where the teacher's answers may be kept, for this training and others.
        console: where progress goes before the training.
        another: makes a network like the student with fresh weights; by default each layer's ``reset_parameters`` does.

    Raises:
        LimbeckError: the objective does not fit the networks, or how the teacher is asked.
    """
    view_seed = seed if view_seed is None else view_seed
    with streams.seeded(seed, "objective"):
        known = introduced(student, teacher, objective, pictures, train, engine, another)
        refuse_parts(train, objective, known)
        module = engine.place(objective.build(known))
    ours, theirs = objective.taps(known)
    how = labelling or (Live() if theirs or views.mix or answers is None else Stored())
    labels_views = None
    if teacher is not None:
        place, said = answers or folder / "answers", console or Console(quiet=True)
        asked = Assignment(teacher, engine, pictures, views, view_seed, place, said, theirs)
        how.check(asked)
        labels_views = how.build(asked)
    return Job(
        network=known.student_network,
        objective=module,
        taps=ours,
        teacher=labels_views,
        pictures=pictures,
        views=views,
        train=train,
        engine=engine,
        seed=seed,
        view_seed=view_seed,
        folder=folder,
        identity=identity,
        evaluate=evaluate,
    )


def introduced(
    student: nn.Module,
    teacher: nn.Module | None,
    objective: Objective,
    pictures: Dataset,
    train: Train,
    engine: Engine,
    another: Callable[[], nn.Module] | None,
) -> Known:
    """What an objective is told of a training; the student is the one that the objective makes of it.

    Raises:
        LimbeckError: the objective does not fit the networks.
    """
    picture = engine.pictures(pictures.fetch(torch.zeros(1, dtype=torch.int64)).permute(0, 3, 1, 2))[0]
    known = Known(student, teacher, picture, pictures.labels, train.batch_size, another, engine.precision)
    return known.of(engine.place(objective.student(known)))


def figures(network: nn.Module, pictures: Dataset, engine: Engine) -> dict[str, float]:
    """Accuracy and nll on held-out pictures, as metrics.jsonl has them; nothing where none has a label."""
    if not (pictures.labels >= 0).any():
        return {}
    logits: Tensor = predict(network, pictures, engine)
    return {
        "holdout_accuracy": accuracy(logits, pictures.labels),
        "holdout_nll": nll(logits, pictures.labels),
    }


def _identity(job: Job, objective: Objective, teacher: nn.Module | None) -> str:
    """What tells this training's checkpoint from another's: all that it is given but the student's first weights."""
    student, specs = job.network, {"objective": objective, "views": job.views, "train": job.train}
    parts = {
        **{name: [spec.model_dump(mode="json"), *own.texts(spec)] for name, spec in specs.items()},
        "teacher": teacher and [made_by(teacher), weights_of(teacher)],
        "student": [made_by(student), repr(student), [(n, [*t.shape]) for n, t in student.state_dict().items()]],
        "pictures": job.pictures.fingerprint,
    }
    stamps = [hashlib.sha256(json.dumps(part).encode()).hexdigest()[:12] for part in parts.values()]
    stamped = [f"{name} {stamp}" for name, stamp in zip(parts, stamps, strict=True)]
    return ", ".join([*stamped, f"precision {job.engine.dtype()}", f"seed {job.seed}"])
