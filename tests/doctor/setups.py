"""A sound setup, of which each test spoils one piece."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from limbeck.doctor import Report, check_setup

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLASSES = 8


def raw(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Pictures whose class is how bright they are, with a black and a white pixel each."""
    draws = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (count,), generator=draws)
    level = 0.25 + labels / 16
    pictures = (level[:, None, None, None] + 0.02 * torch.randn(count, 3, 8, 8, generator=draws)).clamp(0, 1)
    pictures[:, :, 0, 0], pictures[:, :, 0, 1] = 0, 1
    return pictures, labels


def normalised(pictures: Tensor) -> Tensor:
    return (pictures - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


class Knowing(nn.Module):
    """A teacher that was trained with ImageNet's normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)
        self.scale = nn.Parameter(torch.tensor(400.0))

    def forward(self, x: Tensor) -> Tensor:
        mean, std = (torch.tensor(each).view(3, 1, 1) for each in (MEAN, STD))
        bright = (x * std + mean)[:, :, 1:].mean((1, 2, 3))
        said: Tensor = self.drop(-self.scale * (bright[:, None] - (0.25 + torch.arange(CLASSES) / 16)).square())
        return said


class Setup:
    """A sound one, of which each test spoils one piece."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.teacher: nn.Module = Knowing().eval().requires_grad_(False)
        self.student: nn.Module = nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(192, CLASSES))
        pictures, labels = raw(256, 1)
        self.images, self.labels = normalised(pictures), labels
        self.loader: Any = DataLoader(TensorDataset(self.images, labels), 64, shuffle=True)
        tested, marks = raw(128, 2)
        self.tests: Dataset[Any] = TensorDataset(normalised(tested), marks)
        self.more: dict[str, Any] = {
            "test": DataLoader(self.tests, 64),
            "optimizer": torch.optim.SGD(self.student.parameters(), 0.1),
        }

    def check(self) -> Report:
        return check_setup(self.teacher, self.student, self.loader, **self.more)


def wrong(report: Report) -> set[str]:
    return {finding.question for finding in report.wrong}
