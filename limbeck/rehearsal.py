"""What could go wrong only after a teacher's training, tried before it: fresh networks, a few pictures, one look."""

from __future__ import annotations

import itertools

import torch
from torch import nn

from limbeck import data, objectives, own
from limbeck.data import Dataset
from limbeck.data.mixing import mix
from limbeck.data.views import make_views
from limbeck.distillation import introduced
from limbeck.errors import LimbeckError, concerning
from limbeck.judging import trained
from limbeck.models import state
from limbeck.models.ensemble import Ensemble
from limbeck.models.folding import folded
from limbeck.models.names import is_source
from limbeck.models.sources import Source
from limbeck.objectives import Batch, Known, Mixed, tapped
from limbeck.recipes.recipe import Data, Recipe, Teacher, Teachers, Training, Weights, chain
from limbeck.training.memory import enough_memory
from limbeck.training.team import refuse_parts, refuse_small_batches
from limbeck.workshop import Workshop

_PICTURES = 8


def refuse_absent_networks(recipe: Recipe) -> None:
    """Looks for all the networks of others that a recipe names, before anybody reads pictures for them.

    Raises:
        LimbeckError: one of them is not there.
    """
    for student in recipe.students().values():
        for above, how in student.chain():
            with concerning(_typed(how, above)):
                if isinstance(how, Training):
                    how.student.refuse_absent()
                elif isinstance(how, Source):
                    how.refuse_absent()
                else:
                    state.refuse_absent(how.path)
                    for file in how.code:
                        own.refuse_absent(file)


def _typed(how: Training | Weights | Source, above: str) -> str:
    """How the network is typed that one training is of, or that is trained already."""
    above, of_several, _ = above.partition("members.")  # which are typed together
    name = how.student.name if isinstance(how, Training) else how.path if isinstance(how, Weights) else how.name
    field = "student.name" if isinstance(how, Training) and not of_several else ""
    return f"--{above}{field}".rstrip(".") + f" {name}"


def rehearse(workshop: Workshop) -> None:
    """Calls every objective that has a teacher, with that teacher, and what is of the user's own.

    Raises:
        LimbeckError: one of them cannot do what the training will ask.
    """
    _refuse_empty_tests(workshop.recipe.data)
    _refuse_large_batches(workshop.recipe, len(workshop.pictures))
    _refuse_missing_labels(workshop.recipe, workshop.pictures)
    for student in workshop.recipe.students().values():
        for above, how in student.chain():
            if not isinstance(how, Training):
                continue
            if is_source(how.student.name) or how.student.weights:
                _try(workshop, how, above)
            if len(workshop.pictures) % how.train.batch_size == 1:
                _refuse_lone_picture(workshop, how, above)
            if how.teacher or own.classes(how):
                _rehearse(workshop, how, above)


def _refuse_empty_tests(wanted: Data) -> None:
    """Without labels nothing is kept for a test, and a folder may be there with nothing in it."""
    for name in wanted.test_sets():
        found = data.resolve(name, wanted.reading(name))
        if isinstance(found, data.Collection) and not found.packaged and not found.counts["test"]:
            raise LimbeckError(
                f"{name}: there are no pictures in its test split, so that nobody could be judged. Put labelled ones "
                "there, in a folder for each class, or type --data.tests with the name of another data set."
            )


def _refuse_missing_labels(recipe: Recipe, pictures: Dataset) -> None:
    """Who is taught by nobody needs labels."""
    if (pictures.labels >= 0).any():
        return
    without = f"no training picture of {pictures.name} has a label"
    for _, how in chain(recipe.listened_to):
        if isinstance(how, Training) and not how.objective.needs_teacher:
            raise LimbeckError(f"{without}, so that no teacher can be trained. Type --teacher FILE.safetensors")
    for role, student in recipe.students().items():
        if not student.objective.needs_teacher:
            remedy = "Type --alone none" if role == "alone" else "Type --objective kd"
            raise LimbeckError(f"{without}: nothing would be learned by the student {role}. {remedy}")


def _refuse_large_batches(recipe: Recipe, pictures: int) -> None:
    """A batch larger than the training set is a mistake, not a wish."""
    for above, training in recipe.chain():
        if isinstance(training, Training) and training.train.batch_size > pictures:
            raise LimbeckError(
                f"{above}train.batch_size = {training.train.batch_size} is larger than the training set of {pictures} "
                f"pictures. Type --{above}train.batch-size {min(128, pictures)}, or hold out fewer with "
                "--protocol.holdout."
            )
        if isinstance(training, Training):
            refuse_small_batches(training.train, above)


def _try(workshop: Workshop, how: Training, above: str) -> None:
    """Asks a student that limbeck did not make about a few pictures."""
    engine, title = workshop.engine, how.student.title()
    memory = enough_memory(f"a student's first pictures ({title})", how.train, how.objective)
    fork = torch.random.fork_rng(devices=engine.generators())
    with concerning(_typed(how, above)), own.blamed(how), memory, fork:
        trained.refuse_other_answers(title, workshop.fresh(how.student).eval(), workshop.pictures, engine)


def _refuse_lone_picture(workshop: Workshop, how: Training, above: str) -> None:
    """Refuses a last batch of one picture to networks that normalise over what is one value there."""
    with own.blamed(how), torch.random.fork_rng(devices=workshop.engine.generators()):
        network, picture = workshop.fresh(how.student).train(), _batch(workshop, how, 1).images
        try:
            with torch.no_grad(), workshop.engine.precision():
                network(picture)
        except ValueError as error:
            wanted = next(
                size for size in itertools.count(how.train.batch_size + 1) if len(workshop.pictures) % size != 1
            )
            raise LimbeckError(
                f"the last batch of an epoch has a single picture, which {how.student.title()} cannot learn from "
                f"({error}). Type --{above}train.batch-size {wanted}"
            ) from error


def _rehearse(workshop: Workshop, how: Training, above: str) -> None:
    engine = workshop.engine
    memory = enough_memory(f"a student's first pictures ({how.student.title()})", how.train, how.objective)
    with own.blamed(how), memory, torch.random.fork_rng(devices=engine.generators()):
        how.train.optimizer.build([nn.Parameter(torch.zeros(1))])
        known = _known(workshop, how, above)
        refuse_parts(how.train, how.objective, known, above)
        taps = how.objective.taps(known)
        if known.teacher_network is not None and workshop.recipe.logits:
            workshop.recipe.logits.check(workshop.assignment(how, known.teacher_network, taps[1]))
        networks = [network for network in (known.student_network, known.teacher_network) if network is not None]
        listening, tried = list(zip(networks, taps, strict=False)), []
        for size in _sizes(how, len(workshop.pictures)):
            batch = _batch(workshop, how, size)
            with torch.no_grad(), engine.precision():
                tried.append((batch, [tapped(network, taps, batch.images) for network, taps in listening]))
    for batch, said in tried:
        objectives.rehearse(how.objective, known, said[0], said[1] if len(said) > 1 else None, batch, engine.place)


def _sizes(how: Training, pictures: int) -> list[int]:
    """Of the batches to try: some pictures, and as few as the last batch of an epoch has."""
    whole, last = how.train.batch_size, pictures % how.train.batch_size
    return sorted({min(_PICTURES, size) for size in (whole, last) if size}, reverse=True)


def _batch(workshop: Workshop, how: Training, size: int) -> Batch:
    """The first pictures as the training's first batch."""
    engine, pictures, view_seed = workshop.engine, workshop.pictures, workshop.recipe.protocol.view_seed
    index = torch.arange(size, device=engine.device)
    views, mixture = make_views(pictures.fetch(index), index, how.views, view_seed, epoch=0), None
    if how.views.mix:
        views, mixture = mix(how.views.mix, views, view_seed, step=0)
    labels, now = pictures.labels[index], torch.zeros((), device=engine.device)
    mixed = Mixed(labels[mixture.partner], now + mixture.share) if mixture else None
    return Batch(index, engine.pictures(views), labels, step=now, epoch=now, progress=now, mixed=mixed)


def _known(workshop: Workshop, how: Training, above: str) -> Known:
    """What an objective is told, of networks that are not trained yet."""
    teacher = stand_in(workshop, how.teacher, f"{above}teacher.") if how.teacher else None

    def another() -> nn.Module:
        return workshop.fresh(how.student)

    return introduced(another(), teacher, how.objective, workshop.pictures, how.train, workshop.engine, another)


def stand_in(workshop: Workshop, how: Teacher, above: str) -> nn.Module:
    """A network such as this teacher will be, in eval mode; ``above`` stands before its fields' names."""
    if isinstance(how, Teachers):
        members = [stand_in(workshop, member, f"{above}members.{n}.") for n, member in enumerate(how.members)]
        return Ensemble(members).eval()
    if isinstance(how, Training):
        return folded(_known(workshop, how, above).student_network.eval())
    with concerning(_typed(how, above)):
        if isinstance(how, Weights):
            return workshop.kept(how)
        return workshop.given(how)
