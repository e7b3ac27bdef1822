"""What the readers of a page are taken to have: files, and names in the lines of Python that are shown in passing."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from limbeck import recipes, start
from limbeck.data import Dataset, digits
from limbeck.models import libraries

NET = """
import torch
from torch import nn


def _net(num_classes):
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
                         nn.Linear(16, num_classes))


def small(num_classes):
    return _net(num_classes)


def trained(num_classes):
    torch.manual_seed(0)
    return _net(num_classes)


big = make = trained
"""
RECIPE = """
from limbeck import recipes


def mine():
    return recipes.digits()
"""
LOSS = """
from limbeck.objectives import kd_loss


def my_loss(student_logits, teacher_logits):
    return kd_loss(student_logits, teacher_logits, temperature=4)
"""


@functools.cache
def few(split: str, count: int = 160) -> Dataset:
    """A few digits."""
    return digits.read(Path(), split).subset(torch.arange(count))


def pictures(place: Path) -> None:
    """Three classes of twenty pictures, of one size."""
    some = few("train")
    for number in range(60):
        path = place / ("cat", "dog", "horse")[number % 3] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(some.images[number].numpy()).save(path)


def picture(place: Path) -> None:
    Image.fromarray(few("test").images[0].numpy()).save(place)


def written(text: str, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")


def program(place: Path) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10)).eval()
    shapes = ({0: torch.export.Dim("batch")},)
    torch.export.save(torch.export.export(network, (torch.rand(2, 3, 32, 32),), dynamic_shapes=shapes), place)


def weights_of(name: str, place: Path) -> None:
    classes = 3 if Path("pictures").exists() else 10
    torch.manual_seed(0)
    torch.save(libraries.build(name, classes, False, 64, True).network.state_dict(), place)


def a_run(place: Path) -> None:
    start.run(recipes.CATALOGUE["digits"](), place)


GIVEN: dict[str, Callable[[Path], None]] = {
    "pictures": pictures,
    "newer": pictures,
    "path/to/pictures": pictures,
    "more": pictures,
    "cat.png": picture,
    "photo.jpg": picture,
    "path/to/recipe.py": functools.partial(written, RECIPE),
    "net.py": functools.partial(written, NET),
    "net.pt2": program,
    "teacher.pth": functools.partial(weights_of, "timm/test_resnet"),
    "vit.pth": functools.partial(weights_of, "timm/test_vit"),
    "runs/one": a_run,
    "runs/another": a_run,
    "train.py": functools.partial(written, LOSS),
}
"""What readers are taken to have, and how it is made when a page first speaks of it."""

NAMES: dict[str, Callable[[], Any]] = {
    "student_logits": lambda: torch.randn(8, 10, requires_grad=True),
    "teacher_logits": lambda: torch.randn(8, 10),
    "dataset": lambda: few("train"),
    "teacher": lambda: nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10)),
    "student": lambda: nn.Sequential(nn.Conv2d(3, 2, 3, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(128, 10)),
}
"""What README's lines of Python use without having made it."""
