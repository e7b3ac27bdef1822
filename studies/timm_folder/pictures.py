"""CIFAR-10 as an engineer would have it: a folder of PNG files, train and test, one folder a class.

python studies/timm_folder/pictures.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import torch
from PIL import Image

from limbeck import data
from limbeck.console import Console
from limbeck.errors import LimbeckError


def write(name: str, split: Literal["train", "test"], folder: Path, console: Console) -> int:
    """Writes a split as FOLDER/SPLIT/CLASS/NUMBER.png; returns how many pictures it has."""
    pictures = data.load(name, split, console)
    homes = [folder / split / label for label in pictures.classes]
    for home in homes:
        home.mkdir(parents=True, exist_ok=True)
    labels = pictures.labels.tolist()
    with console.bar(f"writing {split}", len(pictures)) as bar:
        for number, label in enumerate(labels):
            pixels = pictures.fetch(torch.tensor([number]))[0].numpy()
            Image.fromarray(pixels).save(homes[label] / f"{number:05d}.png")
            bar.update(number + 1)
    return len(labels)


def main(words: list[str]) -> int:
    """The command; returns its exit code."""
    if len(words) != 1:
        print("which folder? Type: python studies/timm_folder/pictures.py FOLDER", file=sys.stderr)
        return 2
    try:
        console = Console()
        count = sum(write("cifar10", split, Path(words[0]), console) for split in ("train", "test"))
        console.show(f"{count:,} pictures in {words[0]}")
    except LimbeckError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
