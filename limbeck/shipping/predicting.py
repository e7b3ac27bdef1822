"""What a trained student says of anybody's pictures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from limbeck import files, own
from limbeck.data.pictures.decoding import Broken, Fit, decode
from limbeck.data.pictures.files import SUFFIXES, files_below
from limbeck.errors import LimbeckError
from limbeck.judging.trained import reading_of
from limbeck.models.weights import load_network
from limbeck.shipping.graph import Session, can_run_onnx, read_labels
from limbeck.shipping.student import chosen_of_run

STDIN = "-"
_AT_ONCE = 64


class Classifier(NamedTuple):
    """A network that is ready to be asked.

    Attributes:
        network: float pictures (B, 3, side, side) in [0, 1] to logits.
        classes: their names in the order of the logits.
        side: pixels of the pictures that it was trained on.
        path: the file that it is from.
        fit: how pictures are brought to that size, as `Reading.fit` has it.
    """

    network: Callable[[Tensor], Tensor]
    classes: tuple[str, ...]
    side: int
    path: Path
    fit: Fit = "crop"


class Prediction(NamedTuple):
    """What is said of one picture: its name, and a probability for each class; or why nothing is."""

    name: str
    probabilities: tuple[float, ...] = ()
    broken: str | None = None


def classifier(what: Path, side: int | None = None, code: Sequence[Path] = ()) -> Classifier:
    """The network of a run, of a weights.safetensors or of an ONNX file that `limbeck export` wrote.

    Of a run it is the student that was exported, where there is one and the run still has the weights that it is of;
    else the student that `limbeck export` would take.

    Args:
        what: a run's folder, what `limbeck export` made of one, or a file.
        side: pixels that pictures are brought to; by default those that it was trained on.
        code: files of the user's own that the network is made by, and that may be run for it.

    Raises:
        LimbeckError: there is no such network, or its file does not say the pictures' size.
    """
    if not (what / "recipe.json").is_file() and (what / "student.onnx").is_file():
        what = what / "student.onnx"
    if what.is_dir():
        _, _, weights = chosen_of_run(what)
        onnx, told = what / "export" / "student.onnx", what / "export" / "export.json"
        if can_run_onnx() and onnx.exists() and told.exists() and _of(told) == files.digest(weights):
            return classifier(onnx, side)
        return classifier(weights, side, code)
    if what.suffix == ".onnx":
        if not can_run_onnx():
            raise LimbeckError(f"{what} needs onnx and onnxruntime. Type `pip install onnx onnxruntime`.")
        (classes, fit), session = read_labels(what), Session(what)
        if side not in (None, session.side):
            raise LimbeckError(f"{what} takes pictures of {session.side} pixels, not of {side}. Leave --size away.")
        return Classifier(session, classes, session.side, what, fit)
    saved = load_network(what, code)
    size = side or saved.side or _unknown_size(what)
    return Classifier(_asked(saved.network), saved.classes, size, what, reading_of(what).fit)


def predict(classifier: Classifier, pictures: Sequence[str | Path]) -> Iterator[Prediction]:
    """What the network says of each picture, in order; folders stand for the pictures in them, by name.

    Args:
        classifier: by `classifier`.
        pictures: files, folders, and "-" for one picture on the standard input.

    Raises:
        LimbeckError: a file or folder is not there, or a folder holds no picture.
    """
    waiting: list[tuple[str, Tensor | str]] = []
    for name, read in _contents(pictures):
        try:
            pixels = decode(read(), classifier.side, classifier.fit).pixels
            waiting.append((name, torch.tensor(pixels).permute(2, 0, 1).float().div_(255)))
        except Broken as error:
            waiting.append((name, str(error)))
        except OSError as error:
            waiting.append((name, f"cannot be read ({error.strerror})"))
        if len(waiting) == _AT_ONCE:
            yield from _answered(classifier, waiting)
            waiting = []
    yield from _answered(classifier, waiting)


def _answered(classifier: Classifier, waiting: Sequence[tuple[str, Tensor | str]]) -> Iterator[Prediction]:
    whole = [picture for _, picture in waiting if isinstance(picture, Tensor)]
    try:
        answers = iter(classifier.network(torch.stack(whole)).double().softmax(1).tolist() if whole else ())
    except RuntimeError as error:
        raise LimbeckError(
            f"{classifier.path} cannot look at pictures of {classifier.side} pixels: {own.said(error)}. "
            "Leave --size away."
        ) from error
    for name, picture in waiting:
        yield Prediction(name, tuple(next(answers))) if isinstance(picture, Tensor) else Prediction(name, (), picture)


def _contents(pictures: Sequence[str | Path]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """The name of each picture, and what reads it."""
    for given in pictures:
        if str(given) == STDIN:
            yield "the standard input", sys.stdin.buffer.read
            continue
        path = Path(given)
        if "://" in str(given):
            raise LimbeckError(
                f"{given} is an address, and nothing is fetched. Give the picture's file, or - and pipe it."
            )
        if not path.exists():
            raise LimbeckError(f"{path} does not exist. Give pictures, folders of pictures, or - for one on the input.")
        found = [path]
        if path.is_dir():
            found = [file for file in files_below(path) if file.suffix.lower() in SUFFIXES]
            if not found:
                raise LimbeckError(f"{path} holds no pictures (.jpg, .png, .webp, ...). Give another folder.")
        for file in found:
            yield str(file), file.read_bytes


def _asked(network: nn.Module) -> Callable[[Tensor], Tensor]:
    def ask(images: Tensor) -> Tensor:
        with torch.no_grad():
            return network(images)  # type: ignore[no-any-return]

    return ask


def _of(told: Path) -> str | None:
    """The digest of the weights that an export is of."""
    try:
        return str(files.read_json(told)["student"]["weights"])
    except (LimbeckError, KeyError, TypeError):
        return None


def _unknown_size(path: Path) -> int:
    raise LimbeckError(f"{path} does not say the size of its pictures. Type --size with their side in pixels.")
