"""A trained student written in every form that others can use, each judged on the pictures that it was judged on.

The keys of export.json::

    schema    1
    title     of the student
    student   {role, seed, weights}: which one, and the SHA-256 of its weights file
    dataset   whose test split the forms are judged on
    n         its pictures
    picture   [height, width]
    device    with which times are measured, in float32 or in what the form computes in
    batch     pictures in a large batch
    forms     [{name, file, bytes, accuracy, same_answers, difference, latency_ms, latency_95_ms, images_per_second}],
              the original first: it stays where it is, and has no file here
    notes     what a reader has to know

bytes are on disk. same_answers is the share of the pictures on which a form answers as the original does (top-1),
difference the largest one between their logits. Everything is measured on the CPU, in this process and in turn.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from limbeck import data, files
from limbeck.console import Console
from limbeck.data import Dataset
from limbeck.data.views import make_views
from limbeck.environment import hardware
from limbeck.errors import LimbeckError
from limbeck.evaluation import predict
from limbeck.evaluation.cost import Cost, costs
from limbeck.evaluation.metrics import accuracy
from limbeck.folders import UNFINISHED_FOLDER, noted_change, refuse_foreign
from limbeck.judging import trained
from limbeck.models.programs import program
from limbeck.runs import RunFolder
from limbeck.shipping.card import model_card
from limbeck.shipping.graph import Session, needs_onnx, write_onnx
from limbeck.shipping.plain import Plain, plain
from limbeck.shipping.program import write_program
from limbeck.shipping.quantised import write_dynamic, write_static
from limbeck.shipping.student import Student, chosen, told
from limbeck.training import Device, Engine, choose

_CALIBRATED_BY = 1024  # views
_SECONDS = 2.0  # of timing, for each form
_FLOAT_POINTS, _INT8_POINTS = 1e-4, 0.01
_WEIGHTS, _PLAIN, _PROGRAM, _ONNX = "student.safetensors", "student.py", "student.pt2", "student.onnx"
_DYNAMIC, _STATIC = "student-int8-dynamic.onnx", "student-int8.onnx"
_ORIGINAL, _CARD, _TOLD = "original", "README.md", "export.json"
# In the order in which they are put into a folder, and, backwards, taken out of it: where that is cut short, the last
# never speaks of other files than those beside it.
_FILES = (_ONNX, _DYNAMIC, _STATIC, _PROGRAM, _PLAIN, _WEIGHTS, _CARD, _TOLD)


class Exported(NamedTuple):
    """The folder that holds the forms, and the content of its export.json (keys: see this module)."""

    folder: Path
    results: dict[str, Any]


class Form(NamedTuple):
    """One way to keep the network.

    Attributes:
        name, file: what it is called, and the file that it lies in.
        read: makes a module of what lies in a folder.
        exact: whether its logits have to be the original's.
    """

    name: str
    file: str
    read: Callable[[Path], nn.Module]
    exact: bool = True


def export(
    what: str | Path,
    out: str | Path | None = None,
    role: str | None = None,
    seed: int | None = None,
    console: Console | None = None,
    code: Sequence[Path] = (),
) -> Exported:
    """Writes a student as plain PyTorch, exported program and ONNX, in floats and in eight bits, and judges each.

    Args:
        what: a run's folder, or a weights.safetensors.
        out: the folder to write to; by default ``export`` in the run's, or beside the file.
        role: which network of a run: distilled, alone or teacher; by default the distilled student, or else the one
            that there is.
        seed: which one; by default the first.
        console: where progress goes.
        code: files of the user's own that the network is made by, and that may be run for it.

    Raises:
        LimbeckError: there is no such network, a package is missing, or a float form does not answer as the original
            does. What was in the folder before is left as it was then.
    """
    needs_onnx()
    console, run = console or Console(), Path(what) if Path(what).is_dir() else None
    with RunFolder(run).alone() if run and (run / "recipe.json").is_file() else nullcontext():
        student = chosen(Path(what), role, seed, code)
        folder = Path(out) if out else student.home
        refuse_foreign(folder, "student that was exported", _TOLD, _FILES)
        for left in folder.glob(f"{UNFINISHED_FOLDER}*"):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        return _exported(student, files.make_folder(folder), console)


def _exported(student: Student, folder: Path, console: Console) -> Exported:
    """Writes, judges and times the forms, and puts them into the folder where they are as they should be."""
    engine = choose(Device(name="cpu", precision="fp32", compile="off"))
    test = data.load(student.test, "test", console, student.reading.of(student.test, student.learned[0]))
    trained.refuse_other_classes(student.weights, student.saved.classes, test)
    known, network = told(student), engine.place(student.saved.network).eval()
    with tempfile.TemporaryDirectory(prefix=UNFINISHED_FOLDER, dir=folder) as name:
        place = Path(name)
        forms, notes = _written(place, student, test, engine, console)
        modules = {_ORIGINAL: network, **{form.name: form.read(place) for form in forms}}
        logits = _answers(modules, forms, student, test, engine, console)
        timed = costs(modules, test.image_shape, engine, seconds=_SECONDS)
        paths = {_ORIGINAL: student.weights, **{form.name: place / form.file for form in forms}}
        rows = [_row(form, paths[form], logits, test, timed[form]) for form in modules]
        results = {
            "schema": 1,
            "title": student.saved.model.title(),
            "student": {"role": student.role, "seed": student.seed, "weights": files.digest(student.weights)},
            "dataset": test.name,
            "n": len(test),
            "picture": list(test.image_shape[:2]),
            "device": hardware(engine.device),
            "batch": timed[_ORIGINAL].batch,
            "forms": rows,
            "notes": [
                *notes,
                *_losses(rows),
                *(noted_change(student.run.path, test) if student.run else ()),
                *(student.logged.run.unlogged() if student.logged else ()),
            ],
        }
        files.write_bytes(place / _CARD, model_card(results, student.saved.classes, **known).encode())
        files.write_json(place / _TOLD, results)
        _put(place, folder)
    return Exported(folder, results)


def _answers(
    modules: Mapping[str, nn.Module],
    forms: Sequence[Form],
    student: Student,
    test: Dataset,
    engine: Engine,
    console: Console,
) -> dict[str, Tensor]:
    """The logits of each module, by name; the original's first, which those of exact forms have to be."""
    logits, named = dict[str, Tensor](), {form.name: form for form in forms}
    with console.bar("judging the forms", len(modules)) as bar:
        for done, (name, module) in enumerate(modules.items(), start=1):
            student.looked_at(name)
            logits[name] = predict(module, test, engine)
            if name in named and named[name].exact:
                _refuse_other_answers(named[name], logits[name], logits[_ORIGINAL])
            bar.update(done, name)
    return logits


def _row(name: str, path: Path, logits: Mapping[str, Tensor], test: Dataset, cost: Cost) -> dict[str, Any]:
    """What export.json says of the original or a form, which lies in that file."""
    said, original = logits[name], logits[_ORIGINAL]
    return {
        "name": name,
        "file": None if name == _ORIGINAL else path.name,
        "bytes": path.stat().st_size,
        "accuracy": accuracy(said, test.labels),
        "same_answers": float((said.argmax(1) == original.argmax(1)).double().mean()),
        "difference": float((said - original).abs().max()),
        "latency_ms": cost.latency_ms,
        "latency_95_ms": cost.latency_95_ms,
        "images_per_second": cost.images_per_second,
    }


def _losses(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each form that is clearly worse than the original, which is the first."""
    lost = {row["name"]: rows[0]["accuracy"] - row["accuracy"] for row in rows[1:]}
    return [f"{name} loses {100 * much:.2f} points of accuracy." for name, much in lost.items() if much > _INT8_POINTS]


def _put(place: Path, folder: Path) -> None:
    """Puts the files of an export, all of which are there, in place of an earlier one's."""
    with files.mendable(folder):
        for name in reversed(_FILES):
            (folder / name).unlink(missing_ok=True)
        for name in _FILES:
            if (place / name).exists():
                (place / name).replace(folder / name)


def _written(
    place: Path, student: Student, test: Dataset, engine: Engine, console: Console
) -> tuple[list[Form], list[str]]:
    """Writes every form into a folder; returns what was written, and why something was not."""
    network, classes, notes, forms = student.saved.network, student.saved.classes, list[str](), list[Form]()
    some = engine.pictures(test.fetch(torch.arange(min(4, len(test)))).permute(0, 3, 1, 2)).contiguous()
    with console.bar("writing the forms", 5) as bar:
        try:
            written = plain(network, student.saved.model.title(), classes, _WEIGHTS)
            files.write_tensors(place / _WEIGHTS, written.tensors)
            files.write_bytes(place / _PLAIN, written.text.encode())
            forms.append(Form("plain PyTorch", _WEIGHTS, _plain_from))
        except LimbeckError as error:
            notes.append(f"There is no {_PLAIN}: {error}.")
        bar.update(1, _PLAIN)
        write_program(place / _PROGRAM, network, some)
        forms.append(Form("exported program", _PROGRAM, lambda folder: program(folder / _PROGRAM)))
        bar.update(2, _PROGRAM)
        write_onnx(place / _ONNX, network, some, classes, student.reading.fit)
        threads = torch.get_num_threads()
        forms.append(Form("ONNX", _ONNX, lambda folder: Session(folder / _ONNX, threads)))
        bar.update(3, _ONNX)
        write_dynamic(place / _DYNAMIC, place / _ONNX)
        forms.append(Form("ONNX, int8 dynamic", _DYNAMIC, lambda folder: Session(folder / _DYNAMIC, threads), False))
        bar.update(4, _DYNAMIC)
        write_static(place / _STATIC, place / _ONNX, _views(student, engine, console))
        if student.run is None:
            notes.append("The ranges of eight bits are those of crop and flip: its file does not say how it learned.")
        forms.append(Form("ONNX, int8 static", _STATIC, lambda folder: Session(folder / _STATIC, threads), False))
        bar.update(5, _STATIC)
    return forms, notes


def _plain_from(folder: Path) -> nn.Module:
    return Plain((folder / _PLAIN).read_text(encoding="utf-8"), files.read_tensors(folder / _WEIGHTS)).build()


def _views(student: Student, engine: Engine, console: Console) -> Tensor:
    """Some views such as the student was trained on."""
    learned = student.learned
    whole = data.load(learned.data, "train", console, student.reading)
    own_split = "val" in data.resolve(learned.data, student.reading).splits
    kept, _ = data.hold_out(whole, 0 if own_split else learned.holdout)
    index = kept[torch.linspace(0, len(kept) - 1, min(_CALIBRATED_BY, len(kept))).long()]  # of every class
    views = make_views(whole.fetch(index), index, learned.views, learned.view_seed, 0)
    return engine.pictures(views).contiguous()


def _refuse_other_answers(form: Form, logits: Tensor, original: Tensor) -> None:
    """Refuses a float form whose logits or first answers are others than the original's."""
    allowed = _FLOAT_POINTS * max(1.0, float(original.abs().max()))
    difference = float((logits - original).abs().max())
    others = int((logits.argmax(1) != original.argmax(1)).sum())
    if not difference <= allowed or others:
        raise LimbeckError(
            f"{form.file} does not answer as the network does: logits differ by up to {difference:.2g} (allowed: "
            f"{allowed:.2g}), and {others} of {len(original):,} first answers are others. Nothing was exported. Please "
            "report it with the run's recipe.json."
        )
