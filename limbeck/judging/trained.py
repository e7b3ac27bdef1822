"""What is trained already: the networks of a run, or of a weights file, and the answers that were kept of them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from limbeck import files, own, streams
from limbeck.data import Dataset, Reading, title
from limbeck.errors import LimbeckError
from limbeck.evaluation.assessment import Who
from limbeck.models.names import is_library
from limbeck.models.normalised import Normalised
from limbeck.models.sources import Source, refuse_what_does_not_answer
from limbeck.models.weights import load_network
from limbeck.recipes.recipe import Recipe, Weights
from limbeck.runs import RunFolder
from limbeck.spec import SpecError
from limbeck.training import Engine

_TRIED_ON = 3  # pictures; more than the one that an example often has


class Planned(NamedTuple):
    """What a run's recipe says of its networks.

    Attributes:
        folder: the run's.
        data: the data set that is trained on.
        tests: the names of the test sets.
        seeds: of the students.
        teacher: a weights file from elsewhere, where that is the teacher.
        reading: how pictures of one's own were read.
    """

    folder: RunFolder
    data: str
    tests: tuple[str, ...]
    seeds: tuple[int, ...]
    teacher: Path | None
    reading: Reading = Reading()

    def sets(self) -> list[tuple[str, str]]:
        """(data set, split) of all that the networks are judged on, as results call them."""
        return [(title(self.data), "holdout"), *((title(name), "test") for name in self.tests)]

    def everybody(self) -> list[Who]:
        """All networks that there may be, the teacher first."""
        return [("teacher", None), *((role, seed) for seed in self.seeds for role in ("alone", "distilled"))]

    def weights(self, role: str, seed: int | None) -> Path:
        """The weights file of a network, whether it is there or not."""
        here = self.folder.network(role, seed) / "weights.safetensors"
        return self.teacher if role == "teacher" and self.teacher and not here.exists() else here

    def finished(self) -> dict[Who, Path]:
        """The weights files that are there, and the teacher's from elsewhere in any case."""
        paths = {who: self.weights(*who) for who in self.everybody()}
        return {who: path for who, path in paths.items() if path.exists() or path == self.teacher}


class Logged(NamedTuple):
    """Where looks of a network at test sets are logged: in its run, under the role and the seed that it has there."""

    run: RunFolder
    role: str
    seed: int | None

    def look(self, dataset: str, split: str, form: str = "") -> None:
        """Logs that the network, or a form of it, is about to be shown a set of pictures."""
        self.run.note_evaluation(f"{self.role}, {form}" if form else self.role, self.seed, dataset, split)


class Known(NamedTuple):
    """A network that is there to be judged, and what is known of it.

    Attributes:
        network: on the CPU.
        title: what tables call it.
        classes: the names of its classes, where it says so.
        weights: its file, where limbeck wrote it.
        home: the folder of that file's network, where its answers are kept.
        data: the data set that it was trained on, where it says so.
        logged: where its looks at test sets are logged, where it is a run's.
    """

    network: nn.Module
    title: str
    classes: tuple[str, ...] | None = None
    weights: Path | None = None
    home: Path | None = None
    data: str | None = None
    logged: Logged | None = None


class Trained(NamedTuple):
    """Networks that are there to be judged.

    Attributes:
        networks: by role and seed.
        tests: the names of the test sets that go with them.
        folder: of the run that they belong to.
        reading: how those of them were read that are pictures of one's own.
        data: the name of the one that was trained on, where it is known.
    """

    networks: dict[Who, Known]
    tests: tuple[str, ...] = ()
    folder: RunFolder | None = None
    reading: Reading = Reading()
    data: str | None = None


def planned(recipe: Recipe, folder: RunFolder) -> Planned:
    """What a recipe says of its networks."""
    teacher = recipe.teacher.path if isinstance(recipe.teacher, Weights) else None
    return Planned(folder, recipe.data.name, recipe.data.test_sets(), recipe.protocol.seeds, teacher, recipe.data)


def read_plan(path: Path) -> Planned:
    """The same of a run's folder. Its recipe is read as it stands: it may name what another file defines.

    Raises:
        LimbeckError: it is no run's folder, or its recipe.json is none.
    """
    if not (path / "recipe.json").is_file():
        above = next((folder for folder in path.parents if (folder / "recipe.json").is_file()), None)
        near = f"It lies in that of {above}. " if above else ""
        raise LimbeckError(
            f"{path} is not the folder of a run: it has no recipe.json. {near}Give another, or a weights file."
        )
    remedy = "Type the command that started the run once more: it writes that file anew. Or give a weights file."
    recipe = files.read_json(path / "recipe.json", {"data": dict, "protocol": dict}, remedy)
    try:
        name, tests = recipe["data"]["name"], tuple(recipe["data"]["tests"])
        seeds, teacher = tuple(recipe["protocol"]["seeds"]), (recipe["teacher"] or {}).get("path")
        reading = Reading(**{key: recipe["data"][key] for key in Reading.model_fields if key in recipe["data"]})
    except (KeyError, TypeError, AttributeError, SpecError) as error:
        raise LimbeckError(f"{path / 'recipe.json'} is not a recipe: {own.said(error)}. {remedy}") from error
    return Planned(RunFolder(path), name, tests or (name,), seeds, Path(teacher) if teacher else None, reading)


def of_file(path: Path, code: Sequence[Path] = ()) -> Trained:
    """The network of a weights file; ``code`` as for `load_network`.

    Raises:
        LimbeckError: it is none.
    """
    known = _known(path, path.parent, code)._replace(logged=logged_of(path))
    names = (known.data,) if known.data else ()
    return Trained({("network", None): known}, names, None, reading_of(path), known.data)


def logged_of(path: Path) -> Logged | None:
    """Where looks of the network of a weights file are logged: in the nearest run above it that it is a network of."""
    path = path.resolve()
    for folder in path.parents:
        if (folder / "recipe.json").is_file():
            with contextlib.suppress(LimbeckError):
                plan = read_plan(folder)
                for role, seed in plan.everybody():
                    home = plan.folder.network(role, seed).resolve()
                    if path.name == "weights.safetensors" and path.is_relative_to(home):
                        part = "/".join(path.parent.relative_to(home).parts)  # "1": of several teachers
                        return Logged(plan.folder, f"{role}/{part}" if part else role, seed)
    return None


def reading_of(path: Path) -> Reading:
    """How the pictures were read that the network of a weights file was trained on, where they are one's own."""
    said = files.read_metadata(path).get("reading")
    return Reading.model_validate_json(said) if said else Reading()


def of_run(path: Path, code: Sequence[Path] = ()) -> Trained:
    """The finished networks of a run; ``code`` as for `load_network`.

    Raises:
        LimbeckError: it is no run's folder, has no finished network, or one was altered.
    """
    plan = read_plan(path)
    weights, networks = plan.finished(), {}
    if not weights:
        raise LimbeckError(f"{path} has no finished network. Type `limbeck run {path}/recipe.json --out {path}` first.")
    for who, file in weights.items():
        known = _known(file, plan.folder.network(*who), code)
        networks[who] = known._replace(data=plan.data, logged=Logged(plan.folder, *who))
        plan.folder.compare(file)
    return Trained(networks, plan.tests, plan.folder, plan.reading, plan.data)


def of_source(source: Source, classes: int) -> Trained:
    """Someone else's network, which is not tried yet; a library's gets so many classes.

    Raises:
        LimbeckError: as `Source.build` raises it.
    """
    return Trained({("network", None): Known(source.build(classes), source.title())})


def given(source: Source, pictures: Dataset, engine: Engine) -> Normalised:
    """Someone else's network as the teacher of a run on these pictures, on the engine's device.

    Raises:
        LimbeckError: as `Source.build` raises it; or it does not answer with the classes of the pictures.
    """
    with streams.seeded(0, "given"):
        network = source.build(len(pictures.classes))
    engine.place(network)
    try:
        note = refuse_other_answers(source.title(), network, pictures, engine)
    except LimbeckError as error:
        train = " Or have it trained here, with --teacher.student.name and, where there are, its weights."
        raise LimbeckError(f"{error}{train if is_library(source.name) else ''}") from error
    network.notes = (*network.notes, *([note] if note else []))
    return network


def teacher_of(found: Trained, name: str) -> Known:
    """The teacher of a run, or the one network that there is.

    Raises:
        LimbeckError: the run has no teacher.
    """
    who: Who = ("teacher", None) if found.folder else ("network", None)
    if who not in found.networks:
        raise LimbeckError(f"--teacher {name}: this run has no teacher. Give the weights file of one of its networks.")
    return found.networks[who]


def _known(weights: Path, home: Path, code: Sequence[Path]) -> Known:
    saved = load_network(weights, code)
    return Known(saved.network, saved.model.title(), saved.classes, weights, home, saved.data)


def answers_file(home: Path, dataset: str, split: str) -> Path:
    """Where the answers of the network in that folder are kept."""
    return home / f"logits-{dataset}-{split}.safetensors"


def kept_answers(path: Path, weights: str | None) -> tuple[Tensor, Tensor] | None:
    """Logits and labels of a file of answers; None where it is not there, or of other weights.

    Args:
        path: by `answers_file`.
        weights: the digest of the network's weights file; None believes whatever is there.
    """
    if not path.exists() or (weights and files.read_metadata(path).get("weights") != weights):
        return None
    tensors = files.read_tensors(path)
    return tensors["logits"], tensors["labels"]


def keep_answers(path: Path, logits: Tensor, labels: Tensor, weights: str) -> None:
    """Writes what `kept_answers` reads."""
    files.write_tensors(path, {"logits": logits, "labels": labels}, {"weights": weights})


def refuse_other_classes(path: Path, classes: Sequence[str], pictures: Dataset) -> None:
    """Refuses to let a network speak of pictures whose classes, or their order, are not its own."""
    if tuple(classes) != pictures.classes:
        raise LimbeckError(
            f"the network in {path} knows the {len(classes)} classes {_few(classes)}, but {pictures.name} has the "
            f"{len(pictures.classes)} classes {_few(pictures.classes)}. Choose another data set or file."
        )


def refuse_other_answers(title: str, network: nn.Module, pictures: Dataset, engine: Engine) -> str | None:
    """As `refuse_what_does_not_answer`, on some pictures; both are on the engine's device, the network in eval mode."""
    some = engine.pictures(pictures.fetch(torch.arange(min(_TRIED_ON, len(pictures)))).permute(0, 3, 1, 2))
    with engine.precision():
        return refuse_what_does_not_answer(title, network, some, (pictures.name, len(pictures.classes)))


def _few(classes: Sequence[str]) -> str:
    return ", ".join(classes[:3]) + (", ..." if len(classes) > 3 else "")
