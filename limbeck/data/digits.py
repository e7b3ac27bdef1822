"""scikit-learn's hand-written digits: in its wheel, so that limbeck runs without a network."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

from limbeck.data.dataset import Dataset, hold_out
from limbeck.data.entry import Entry
from limbeck.errors import LimbeckError

_SHA256 = "65e5b4619795efb40c1082f4c350c049e4ad552200d369b6ae99e21eef5e72c5"
_CLASSES = tuple("0123456789")
_SIDE, _SCALE, _TEST, _SEED = 8, 4, 360, 0


def read(folder: Path, split: str) -> Dataset:
    """The digits, scaled to 32x32x3: 1,437 pictures to train on, and a fixed test split of 360.

    Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.

    Args:
        folder: not used: the pictures lie in scikit-learn.
        split: "train" or "test".

    Raises:
        LimbeckError: the installed scikit-learn has other pictures.
    """
    from sklearn.datasets import load_digits  # a second to import, needed by nothing else

    bunch = load_digits()
    grey, labels = bunch.images.astype(np.uint8), bunch.target.astype(np.int64)
    if hashlib.sha256(grey.tobytes() + labels.astype("<i8").tobytes()).hexdigest() != _SHA256:
        raise LimbeckError(
            "scikit-learn's digits are not the published ones. Type `pip install --force-reinstall scikit-learn`."
        )
    images = torch.from_numpy(enlarge(grey))[..., None].expand(-1, -1, -1, 3)
    whole = Dataset("digits", _CLASSES, images, torch.from_numpy(labels))
    kept, held = hold_out(whole, _TEST, _SEED)
    return whole.subset(kept if split == "train" else held)


def enlarge(grey: np.ndarray) -> np.ndarray:
    """Bilinear enlargement (half-pixel centres) of values 0 to 16, (N, 8, 8), to uint8 0 to 255, (N, 32, 32).

    In integers, so that every machine makes the same pixels.
    """
    weights = np.zeros((_SIDE * _SCALE, _SIDE), np.int64)
    for row in range(_SIDE * _SCALE):
        below, eighths = divmod(2 * row + 1 - _SCALE, 2 * _SCALE)  # the centre of this row, in source pixels
        weights[row, max(below, 0)] += 2 * _SCALE - eighths
        weights[row, min(below + 1, _SIDE - 1)] += eighths
    values, unit = weights @ grey.astype(np.int64) @ weights.T, 16 * (2 * _SCALE) ** 2
    return ((values * 255 + unit // 2) // unit).astype(np.uint8)


ENTRY = Entry(
    name="digits",
    description="hand-written digits, in scikit-learn: no network",
    classes=_CLASSES,
    counts={"train": 1437, "test": 360},
    download=0,
    read=read,
)
