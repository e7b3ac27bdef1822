"""What is trained already, judged: a run's networks, a weights file, or someone else's network."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from limbeck import data, files, own
from limbeck.console import Console
from limbeck.data import Dataset, Reading
from limbeck.errors import LimbeckError
from limbeck.evaluation import predict
from limbeck.evaluation.assessment import Corrupted, Who, assess
from limbeck.evaluation.calibration import fit_temperature
from limbeck.folders import changed, noted_change
from limbeck.judging import concluding, costing, portraits, robustness, trained
from limbeck.judging.concluding import Judged, Sets, Split
from limbeck.judging.trained import Known, Trained, answers_file, kept_answers
from limbeck.models.sources import Source, is_source
from limbeck.training import Engine


def evaluate(
    what: str | Path | Source,
    names: Sequence[str] = (),
    split: Split = "test",
    *,
    engine: Engine,
    console: Console,
    teacher: str | Path | Source | None = None,
    corruptions: bool = False,
    cost: bool = False,
    code: Sequence[Path] = (),
    side: int | None = None,
    broken: Literal["refuse", "skip"] | None = None,
) -> dict[str, Any]:
    """Judges what is already trained: all the networks of a run, the one of a weights file, or someone else's.

    Looks at test sets are logged in the run; those of a weights file in the run that it is a network of.

    Args:
        what: a run's folder, a weights.safetensors, or the name of a network, as `limbeck.models.sources` has them,
            whose code is then run.
        names: data sets; by default those that the run names, or the one that the file's network was trained on.
        split: of each data set.
        engine: device and precision.
        console: where progress goes.
        teacher: what the networks are compared with, where there is no teacher among them: a run's teacher, a weights
            file, or the name of a network.
        corruptions: whether the first seed's networks are asked about corrupted copies of the first data set, too. What
            a run has of it is kept in its folder, of pictures that are its own or the catalogue's, and not asked twice.
        cost: whether it is measured what these networks cost.
        code: files of the user's own that networks of limbeck's files are made by, and that may be run for it.
        side: pixels that pictures of one's own are brought to; none: as the networks were trained.
        broken: what is done about broken files among them; none: what was done then.

    Returns:
        the keys of results.json, ``recipe`` excepted, and as ``details`` those of details.json.

    Raises:
        LimbeckError: there is no such network, a data set cannot be had, or a network does not answer with its classes.
    """
    own.read_anew()
    found = _trained(what, code)
    names = tuple(names) or (found.tests if found else ())
    if not names:
        why = f"{what} does not say what it was trained on." if found else f"On which pictures is {_name(what)} judged?"
        raise LimbeckError(f"{why} Type --data with the name of a data set; `limbeck data list` shows them.")
    reading = _reading(found, split, {"size": side, "broken": broken})
    classes = len(data.resolve(names[0], reading(names[0])).classes)
    found = found or trained.of_source(_source(what), classes)
    if teacher is not None:
        if ("teacher", None) in found.networks:
            raise LimbeckError(f"{what} has a teacher of its own. Leave --teacher away.")
        found = _beside(found, _trained(teacher, code) or trained.of_source(_source(teacher), classes), _name(teacher))
    sets, not_measured = concluding.load_sets(names, split, engine, console, reading)
    if not sets:
        raise LimbeckError("\n".join(absent["why"] for absent in not_measured))
    for reason in engine.reasons:
        console.say(reason)
    networks = {who: engine.place(known.network) for who, known in found.networks.items()}
    notes = [*_notes(found, list(sets.values()), engine), *_of_changed(found, names, sets, reading)]
    drawn = [
        portraits.portrait(*who, known.title, known.network, portraits.training_rows(found.folder, *who))
        for who, known in found.networks.items()
    ]

    def answers(judged: Judged) -> Tensor:
        looked((judged.role, judged.seed), judged.dataset, judged.split)
        return predict(judged.network, judged.pictures, engine)

    def looked(who: Who, dataset: str, split: str) -> None:
        if logged := found.networks[who].logged:
            logged.look(dataset, split)

    corrupted: Corrupted = {}
    with _alone_in(found):
        if corruptions:
            asked = (data.title(names[0]), split)
            kept = _kept_in(found, names[0], sets.get(asked), reading)
            corrupted, absent = robustness.of_first_seed(networks, asked, sets, engine, console, kept, looked)
            not_measured += absent
        assessment = assess(concluding.asked(networks, sets, answers), _temperatures(found), corrupted)
    measured = None
    if cost:
        measured, absent = costing.cost_of(networks, next(iter(sets.values())).image_shape, engine, costing.IN_FULL)
        not_measured += absent
        if measured and found.folder is not None and found.folder.writable:
            with _alone_in(found):
                found.folder.renew_cost(measured)
    results, details = concluding.concluded(assessment, drawn, networks, sets, not_measured, measured)
    return {**results, "notes": [*results["notes"], *notes], "details": details}


def _beside(found: Trained, theirs: Trained, name: str) -> Trained:
    """The networks that are judged, and a teacher of others to compare them with, which ``name`` is typed for."""
    return found._replace(networks={("teacher", None): trained.teacher_of(theirs, name), **found.networks})


def _notes(found: Trained, sets: Sequence[Dataset], engine: Engine) -> list[str]:
    """What there is to say of the networks beforehand: what they are shown, and of looks that are not logged."""
    shown = [note for known in found.networks.values() for note in _fits(known, sets, engine)]
    unlogged = (said for known in found.networks.values() if known.logged for said in known.logged.run.unlogged())
    return [*shown, *dict.fromkeys(unlogged)]


def _reading(found: Trained | None, split: Split, changes: Mapping[str, Any]) -> Callable[[str], Reading]:
    """How pictures of one's own are read: as for training, and of others all are tested on."""
    given = {name: value for name, value in changes.items() if value is not None}
    read = Reading(**{**(found.reading.model_dump(include=set(Reading.model_fields)) if found else {}), **given})
    own = found.data if found else None
    return lambda name: read if split == "train" else read.of(name, own)


def _name(what: str | Path | Source) -> str:
    return what.name if isinstance(what, Source) else str(what)


def _source(what: str | Path | Source) -> Source:
    return what if isinstance(what, Source) else Source(name=str(what))


def _trained(what: str | Path | Source, code: Sequence[Path]) -> Trained | None:
    """The networks of a run or of a weights file; None for what is someone else's."""
    if isinstance(what, Source) or (is_source(str(what)) and not Path(what).is_dir()):
        return None
    path = Path(what)
    return trained.of_run(path, code) if path.is_dir() else trained.of_file(path, code)


def _fits(known: Known, sets: Sequence[Dataset], engine: Engine) -> list[str]:
    """Refuses a network that does not speak of the classes of these pictures; what is to be noted of the others."""
    notes: dict[str, None] = {}
    for pictures in sets:
        if known.classes is not None and known.weights is not None:
            trained.refuse_other_classes(known.weights, known.classes, pictures)
            continue
        note = trained.refuse_other_answers(known.title, known.network, pictures, engine)
        notes |= {note: None} if note else {}
    return list(notes)


def _homes(found: Trained) -> dict[Who, tuple[Path, str]]:
    """The folder of each network that limbeck wrote, and the digest of its weights."""
    return {
        who: (known.home, files.digest(known.weights))
        for who, known in found.networks.items()
        if known.home is not None and known.weights is not None
    }


def _kept_in(
    found: Trained, name: str, pictures: Dataset | None, reading: Callable[[str], Reading]
) -> dict[Who, tuple[Path, str]]:
    """The same of those in whose run figures of these pictures are kept, which its page then shows.

    They are those of a set that the run itself has, as it has it, or of one of the catalogue.
    """
    run = found.folder
    if run is None or pictures is None or not run.writable:
        return {}
    if name in data.CATALOGUE:
        known = data.shared_title({*_own(found), name}) is None
    else:
        known = _as_in_run(found, name, reading) and not changed(run.path, pictures)
    if not known:
        return {}
    return {who: place for who, place in _homes(found).items() if place[0].is_relative_to(run.path)}


def _own(found: Trained) -> set[str]:
    """The data sets that the networks were trained and judged on."""
    return {*found.tests, *([found.data] if found.data else [])}


def _as_in_run(found: Trained, name: str, reading: Callable[[str], Reading]) -> bool:
    """Whether pictures of one's own are among those, and read as they were there."""
    return name in _own(found) and reading(name) == found.reading.of(name, found.data)


def _of_changed(found: Trained, names: Sequence[str], sets: Sets, reading: Callable[[str], Reading]) -> list[str]:
    """What there is to say of pictures that are others than the run had."""
    if found.folder is None:
        return []
    by_title = {name: pictures for (name, _), pictures in sets.items()}
    there = [name for name in names if data.title(name) in by_title and _as_in_run(found, name, reading)]
    return [note for name in there for note in noted_change(found.folder.path, by_title[data.title(name)])]


def _alone_in(found: Trained) -> contextlib.AbstractContextManager[None]:
    """Keeps other processes out of the run, where there is one."""
    return contextlib.nullcontext() if found.folder is None else found.folder.alone()


def _temperatures(found: Trained) -> dict[Who, float | None]:
    """The temperature of each network whose answers on its run's held-out split are kept beside it."""
    temperatures = {}
    for who, (home, digest) in _homes(found).items():
        file = answers_file(home, data.title(found.networks[who].data or ""), "holdout")
        kept = kept_answers(file, digest) if file.exists() else None
        if kept and (kept[1] >= 0).any():
            temperatures[who] = fit_temperature(*kept)
    return temperatures
