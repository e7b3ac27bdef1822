"""Pictures of mixed sizes on the disk, more than would fit into memory: how much memory a training on them takes.

    python benchmarks/streaming.py                       # 100,000 pictures, half an hour on two cores, 3 GB of disk
    python benchmarks/streaming.py --pictures 5000

Makes a folder of pictures of ten classes: JPEG, PNG and WebP, grey, with alpha, turned by EXIF, 16 bits, of 48 to 640
pixels a side, and one in a thousand broken. Then, in a process of its own, looks at all of them, trains a student under
a teacher for an epoch, and judges it. Two peaks of that process's memory are compared: that of the same training on a
few chunks in memory, which is the models' share (weights, activations, views), and that of all from the disk.
"""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from PIL import Image

from limbeck import data, files
from limbeck.console import Console, size
from limbeck.data import Dataset, Reading
from limbeck.data.views import Views
from limbeck.environment import hardware
from limbeck.evaluation import predict
from limbeck.evaluation.metrics import accuracy
from limbeck.models.model import Model
from limbeck.objectives import KD
from limbeck.teachers import LiveTeacher
from limbeck.training import AdamW, Device, Job, Train, choose, fit

CLASSES = 10
BOUND = 2 << 30
"""Bytes beyond the models that a training may take."""
_BROKEN_ONE_IN = 1000
_ASKED_AT_ONCE = 1000  # pictures, by `predict`
_SIDES = (48, 640)
_KIB = 1024  # of Linux's ru_maxrss


@dataclass(frozen=True)
class Setting:
    """Measures the memory of a training on pictures that stay on the disk."""

    pictures: int = 100_000
    """Pictures that are made."""
    side: int = 64
    """Pixels that they are brought to."""
    batch_size: int = 128
    """Of the training."""
    chunk: int = 8
    """Batches that are made and labelled together, as limbeck has it."""
    folder: Path | None = None
    """Where the pictures are made and kept for the next time; by default a temporary folder."""
    out: Path | None = None
    """The JSON file to write; by default none."""


def make(folder: Path, pictures: int) -> int:
    """Writes so many pictures, with classes that can be told apart by their colours; returns how many are broken.

    A picture is a function of its number; those that are there already are left.
    """
    for label in range(CLASSES):
        (folder / f"class{label}").mkdir(parents=True, exist_ok=True)

    def write(number: int) -> None:
        suffix, content = picture(number)
        path = folder / f"class{number % CLASSES}" / f"{number:06d}.{suffix}"
        if not path.exists():
            path.write_bytes(content)

    with ThreadPoolExecutor() as pool, Console().bar("making pictures", pictures) as bar:
        for done, _ in enumerate(pool.map(write, range(pictures)), start=1):
            bar.update(done)
    return sum(is_broken(number) for number in range(pictures))


def is_broken(number: int) -> bool:
    """Whether the picture of that number is made to be refused."""
    return number % _BROKEN_ONE_IN == _BROKEN_ONE_IN // 2


def picture(number: int) -> tuple[str, bytes]:
    """The suffix and the content of the picture of that number."""
    draws = np.random.default_rng(number)
    width, height = (int(side) for side in np.exp(draws.uniform(*np.log(_SIDES), 2)))
    hue = 2 * np.pi * (number % CLASSES) / CLASSES
    colours = 128 + 90 * np.cos(hue + np.arange(3) * 2 * np.pi / 3)
    coarse = (colours + draws.normal(0, 25, (8, 8, 3))).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    stream, kind = io.BytesIO(), int(draws.integers(8))
    if kind == 0:
        suffix, how = "png", {}
        image = image.convert("L")
    elif kind == 1:
        suffix, how = "png", {}
        image.putalpha(200)
    elif kind == 2:
        suffix, how = "png", {}
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    elif kind == 3:
        suffix, how = "webp", {"quality": 80}
    else:
        suffix, turned = "jpg", Image.Exif()
        turned[0x0112] = int(draws.integers(1, 9))
        how = {"quality": 85, "exif": turned}
    image.save(stream, {"jpg": "jpeg"}.get(suffix, suffix), **how)
    content = stream.getvalue()
    if is_broken(number):
        content = content[: len(content) // 2] if number % (2 * _BROKEN_ONE_IN) < _BROKEN_ONE_IN else b""
    return suffix, content


def peak() -> int:
    """The most memory that this process has had so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB


def trained(pictures: Dataset, setting: Setting, folder: Path) -> Callable[[Dataset], torch.Tensor]:
    """Trains a student under a teacher for an epoch; returns what asks it about pictures."""
    engine = choose(Device(compile="off"))
    classes, statistics = len(pictures.classes), pictures.statistics()
    student, teacher = (Model(name="resnet8x4", width=width).build(classes, statistics) for width in (0.25, 0.5))
    job = Job(
        network=engine.place(student),
        objective=KD(temperature=4).build(),
        teacher=LiveTeacher(teacher, engine),
        pictures=pictures.to(engine.device),
        views=Views(crop=4),
        train=Train(
            epochs=1,
            batch_size=setting.batch_size,
            optimizer=AdamW(lr=2e-3),
            chunk=setting.chunk,
            checkpoint_seconds=1e9,
        ),
        engine=engine,
        seed=0,
        view_seed=0,
        folder=folder,
        identity="streaming",
    )
    with Console().bar("training", job.steps_per_epoch) as bar:
        job.progress = bar.update
        network = fit(job)
    return lambda judged: predict(network, judged.to(engine.device), engine)


def measured(folder: Path, setting: Setting) -> dict[str, object]:
    """What one training on the folder takes; alone in a process."""
    with tempfile.TemporaryDirectory() as place:
        side, count = setting.side, max(2 * setting.chunk * setting.batch_size, _ASKED_AT_ONCE)
        few = Dataset(
            "few",
            tuple(map(str, range(CLASSES))),
            torch.randint(256, (count, side, side, 3), dtype=torch.uint8),
            torch.arange(count) % CLASSES,
        )
        trained(few, setting, Path(place) / "few")(few)
        models_alone, began = peak(), time.monotonic()
        reading = Reading(size=side, memory=0, broken="skip", val_share=0, test_share=0.1)
        pictures = data.load(str(folder), "train", Console(), reading)
        looked, at_first = time.monotonic() - began, peak()
        began = time.monotonic()
        ask = trained(pictures, setting, Path(place) / "streamed")
        seconds = time.monotonic() - began
        tests = data.load(str(folder), "test", Console(), reading)
        right = accuracy(ask(tests), tests.labels)
    (broken,) = (note for note in pictures.notes if "broken" in note)
    return {
        "pictures": len(pictures) + len(tests),
        "broken": broken,
        "look_seconds": looked,
        "looked_at_a_second": (len(pictures) + len(tests)) / looked,
        "trained_a_second": len(pictures) / seconds,
        "accuracy": right,
        "memory": {"models": models_alone, "after_the_look": at_first, "peak": peak()},
        "beyond_the_models": peak() - models_alone,
        "hardware": hardware(choose(Device()).device),
    }


def main(setting: Setting) -> int:
    """Makes the pictures, measures, and says what was found; 1 where it is more than the bound."""
    with tempfile.TemporaryDirectory(prefix="limbeck-") as place:
        folder = setting.folder or Path(place) / "pictures"
        broken = make(folder, setting.pictures)
        amount = sum(path.stat().st_size for path in folder.rglob("*.*"))
        own = {**os.environ, "LIMBECK_DATA": str(Path(place) / "cache")}  # nobody has looked at them yet
        code = "import sys, streaming; streaming.alone(*sys.argv[1:])"
        words = [
            str(folder.absolute()),
            json.dumps({**vars(setting), "folder": None, "out": None}),
            str(Path(place) / "found.json"),
        ]
        subprocess.run([sys.executable, "-c", code, *words], check=True, cwd=Path(__file__).parent, env=own)
        found = files.read_json(Path(place) / "found.json")
    found |= {"made": setting.pictures, "made_broken": broken, "disk": amount, "side": setting.side}
    memory = found["memory"]
    print(
        f"{found['pictures']:,} pictures of {size(amount)} at {setting.side} pixels, on {found['hardware']}\n"
        f"  a second: {found['looked_at_a_second']:,.0f} looked at, {found['trained_a_second']:,.0f} trained on\n"
        f"  {found['broken'][:100]} ... ({broken:,} were made so)\n"
        f"  memory: {size(memory['models'])} with the models alone, {size(memory['peak'])} at the most: "
        f"{size(found['beyond_the_models'])} for the pictures (bound: {size(BOUND)})"
    )
    if setting.out is not None:
        files.write_json(setting.out, found)
    return 0 if found["beyond_the_models"] < BOUND and found["pictures"] == setting.pictures - broken else 1


def alone(folder: str, setting: str, out: str) -> None:
    """`measured`, in a process that has done nothing else; what is found is written to a file."""
    files.write_json(Path(out), measured(Path(folder), Setting(**json.loads(setting))))


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Setting)))
