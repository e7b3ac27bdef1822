"""Networks asked about corrupted copies of a set of pictures: one copy at a time, and what was asked is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from torch import nn

from limbeck import files
from limbeck.console import Console
from limbeck.data import Dataset, Streamed
from limbeck.errors import LimbeckError
from limbeck.evaluation import predict
from limbeck.evaluation.assessment import Corrupted, Who, of_one_seed
from limbeck.evaluation.corruptions import (
    KINDS,
    KINDS_AND_SEVERITIES,
    SEVERITIES,
    CorruptionAccuracy,
    averaged,
    corrupted_set,
)
from limbeck.evaluation.metrics import accuracy
from limbeck.training import Engine

CORRUPTIONS = "corruptions"
_Figures = dict[str, list[float]]  # kind -> the accuracies so far, from severity 1 on


class Place(NamedTuple):
    """Where a network's figures are kept, and the digest of the weights that they are of."""

    path: Path
    weights: str


def of_first_seed(
    networks: Mapping[Who, nn.Module],
    asked: tuple[str, str],
    sets: Mapping[tuple[str, str], Dataset],
    engine: Engine,
    console: Console,
    kept: Mapping[Who, tuple[Path, str]],
    looked: Callable[[Who, str, str], None] = lambda who, dataset, split: None,
) -> tuple[Corrupted, list[dict[str, str]]]:
    """What the first seed's networks get right of corrupted copies of one set, and why nothing where there is none.

    Args:
        asked: the set's key.
        kept: of each network the folder that its figures are kept in, and the digest of its weights.
        looked: is told who is about to be asked, and about what.
    """
    pictures = sets.get(asked)
    if pictures is None or not (pictures.labels >= 0).any():
        why = f"{asked[0]} cannot be had." if pictures is None else f"No picture of {asked[0]} has a label."
        return {}, [{"what": CORRUPTIONS, "why": why}]

    if isinstance(pictures, Streamed):
        why = f"{asked[0]} is too large to be kept in memory. Raise --data.memory to have it there."
        return {}, [{"what": CORRUPTIONS, "why": why}]

    places = {who: Place(figures_file(home, *asked), digest) for who, (home, digest) in kept.items()}
    found = corruption_accuracies(
        of_one_seed(networks),
        *(pictures, engine, console, places),
        lambda who: looked(who, asked[0], f"{asked[1]}, corrupted"),
    )
    return {(*who, *asked): accuracy for who, accuracy in found.items()}, []


def corruption_accuracies(
    networks: Mapping[Who, nn.Module],
    pictures: Dataset,
    engine: Engine,
    console: Console,
    kept: Mapping[Who, Place] | None = None,
    looked: Callable[[Who], None] = lambda who: None,
) -> dict[Who, CorruptionAccuracy]:
    """What each network gets right of the 75 corrupted copies of a set of pictures.

    Args:
        networks: on the engine's device.
        pictures: there, too; at least one has a label.
        engine, console: device and precision, and where progress goes.
        kept: where each network's figures are kept after every copy, so that nothing is asked twice of the same
            weights and pictures in the same precision; none: nothing is kept.
        looked: is called once for each network that is about to be asked.
    """
    kept = kept or {}
    figures: dict[Who, _Figures] = {}
    for who in networks:
        begun = _read(kept[who], pictures, engine) if who in kept else None
        if begun is None:
            looked(who)
            if who in kept:
                _write(kept[who], pictures, engine, {})
        figures[who] = begun or {}
    if any(len(_flat(figures[who])) < len(KINDS_AND_SEVERITIES) for who in networks):
        with console.bar(f"{pictures.name}: corrupted pictures", len(KINDS_AND_SEVERITIES)) as bar:
            for done, (kind, severity) in enumerate(KINDS_AND_SEVERITIES, start=1):
                asked = {who: networks[who] for who in networks if len(figures[who].get(kind, ())) < severity}
                if asked:
                    copy = corrupted_set(pictures, kind, severity)
                    for who, network in asked.items():
                        right = accuracy(predict(network, copy, engine), copy.labels)
                        figures[who].setdefault(kind, []).append(right)
                        if who in kept:
                            _write(kept[who], pictures, engine, figures[who])
                    del copy
                bar.update(done, f"{kind} {severity}")
    return {who: averaged(of) for who, of in figures.items()}


def kept_corruptions(place: Path, weights: str | None) -> CorruptionAccuracy | None:
    """The means of a file of figures; None where it is not there, not finished, or of other weights.

    Args:
        place: by `figures_file`.
        weights: the digest of the network's weights file; None believes whatever is there.
    """
    if not place.is_file():
        return None
    content = _content(place)
    figures = _plausible(content.get("accuracy"))
    if (weights and content.get("weights") != weights) or len(_flat(figures)) < len(KINDS_AND_SEVERITIES):
        return None
    return averaged(figures)


def figures_file(home: Path, dataset: str, split: str) -> Path:
    """Where the figures of the network in that folder are kept."""
    return home / f"corruptions-{dataset}-{split}.json"


def _flat(figures: _Figures) -> list[float]:
    return [value for values in figures.values() for value in values]


def _read(place: Place, pictures: Dataset, engine: Engine) -> _Figures | None:
    """What there is of these weights and pictures in this precision; None where nobody has begun with them."""
    content = _content(place.path) if place.path.is_file() else {}
    same = all(content.get(name) == value for name, value in _whose(place, pictures, engine).items())
    return _plausible(content.get("accuracy")) if same else None


def _content(path: Path) -> dict[str, object]:
    """What a file of figures holds; nothing where it is damaged: it is then asked again."""
    try:
        content = files.read_json(path)
    except LimbeckError:
        return {}
    return content if isinstance(content, dict) else {}


def _plausible(figures: object) -> _Figures:
    """The figures, where they are such: kinds with up to five shares each."""
    if not isinstance(figures, dict):
        return {}
    known = [kind for family in KINDS.values() for kind in family]
    fits = all(
        kind in known
        and isinstance(values, list)
        and len(values) <= len(SEVERITIES)
        and all(isinstance(value, (int, float)) and 0 <= value <= 1 for value in values)
        for kind, values in figures.items()
    )
    return figures if fits else {}


def _write(place: Place, pictures: Dataset, engine: Engine, figures: _Figures) -> None:
    files.write_json(place.path, {**_whose(place, pictures, engine), "accuracy": figures}, indent=None)


def _whose(place: Place, pictures: Dataset, engine: Engine) -> dict[str, str]:
    """What figures are of: others are not believed."""
    return {"weights": place.weights, "precision": engine.dtype(), "pictures": pictures.fingerprint}
