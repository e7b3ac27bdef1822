"""The forms in which the CIFAR data sets are handed round, and their conversion to records of the binary version.

A record is a byte for each label (CIFAR-10 has one, CIFAR-100 group and class), then 1,024 red, 1,024 green and 1,024
blue values in row-major order (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", technical report,
University of Toronto, 2009).
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32


def record_bytes(labels: int = 1) -> int:
    """The bytes of a record that begins with so many labels."""
    return labels + 3 * SIDE * SIDE


def decode(batches: Sequence[bytes], labels: int = 1) -> tuple[Tensor, Tensor]:
    """Pictures uint8 (N, 32, 32, 3) and labels int64 (N,) of binary batches, one behind the other.

    Args:
        batches: their contents.
        labels: the labels that a record begins with; the last of them is given.
    """
    size = record_bytes(labels)
    counts = [len(batch) // size for batch in batches]
    images_NHWC = np.empty((sum(counts), SIDE, SIDE, 3), np.uint8)
    targets = np.empty(sum(counts), np.int64)
    begin = 0
    for batch, count in zip(batches, counts, strict=True):
        records, here = np.frombuffer(batch, np.uint8).reshape(count, size), slice(begin, begin + count)
        targets[here] = records[:, labels - 1]
        images_NHWC[here] = records[:, labels:].reshape(count, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
        begin += count
    return torch.from_numpy(images_NHWC), torch.from_numpy(targets)


def encode(planes: np.ndarray, *labels: Sequence[int]) -> bytes:
    """The binary batch of pictures uint8 (N, 3072), red, green and blue planes, and lists of their N labels."""
    columns = [np.asarray(column, np.uint8)[:, None] for column in labels]
    return np.concatenate([*columns, planes], axis=1).tobytes()


def from_pickle(content: bytes, labels: Sequence[str] = ("labels",)) -> bytes:
    """The binary batch of a batch of the python version. ``content`` must have been verified before.

    Args:
        content: the pickle.
        labels: the names of its lists of labels, in the order of a record's bytes.

    Raises:
        pickle.UnpicklingError: the pickle names anything but a numpy array's own parts.
    """
    batch = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    return encode(batch[b"data"], *(batch[name.encode()] for name in labels))


_ARRAY_PARTS = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Makes plain values and numpy arrays, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ARRAY_PARTS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"a batch of pictures has no use for {module}.{name}") from None


def from_png(content: bytes, labels: Sequence[int]) -> bytes:
    """The binary batch of a PNG of N rows and 1,024 columns, a picture in each row, and their N labels."""
    with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
        pixels = np.asarray(picture)
    return encode(pixels.transpose(0, 2, 1).reshape(len(pixels), -1), labels)
