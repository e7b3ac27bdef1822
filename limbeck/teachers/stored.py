"""A teacher's answers kept on disk, so that other trainings on the same views need not ask again."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from limbeck import files
from limbeck.objectives import Outputs
from limbeck.training.loop import LabelsViews


class StoredLogits:
    """Asks a teacher about each view once, and replays the answers to every training with the same view seed.

    Views are a function of (view seed, epoch, index), so one table of logits an epoch serves every seed, method and
    order. Answers are rounded to half precision at once, so that the first training sees what later ones will see.

    Args:
        teacher: who is asked where nothing is stored yet.
        folder: where the tables are kept, one file an epoch: (pictures, classes) float16.
        pictures: size of the training set.
    """

    def __init__(self, teacher: LabelsViews, folder: Path, pictures: int) -> None:
        self._teacher, self._folder, self._pictures = teacher, folder, pictures
        self._epoch = -1
        self._table: Tensor | None = None
        self._labelled = 0

    def outputs(self, index: Tensor, views_NCHW: Tensor, epoch: int) -> Outputs:
        """The teacher's logits, (B, C) float32, rounded to half precision."""
        if epoch != self._epoch:
            self._epoch, self._table, self._labelled = epoch, self._read(epoch, index.device), 0
        if self._table is not None and not self._labelled:
            return Outputs(self._table[index].float())
        logits = self._teacher.outputs(index, views_NCHW, epoch).logits.half()
        if self._table is None:
            self._table = torch.empty(self._pictures, logits.shape[1], dtype=torch.float16, device=logits.device)
        self._table[index] = logits
        self._labelled += len(index)
        if self._labelled == self._pictures:
            self._write(epoch, self._table)
            self._labelled = 0
        return Outputs(logits.float())

    def _path(self, epoch: int) -> Path:
        return self._folder / f"epoch{epoch + 1:04d}.npy"

    def _read(self, epoch: int, device: torch.device) -> Tensor | None:
        """The table of an epoch; None where it is missing or damaged, so that it is made again."""
        try:
            table = np.load(self._path(epoch), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        whole = table.ndim == 2 and len(table) == self._pictures and table.dtype == np.float16
        return torch.from_numpy(table).to(device) if whole else None

    def _write(self, epoch: int, table: Tensor) -> None:
        stream = io.BytesIO()
        np.save(stream, table.cpu().numpy())
        files.write_bytes(self._path(epoch), stream.getbuffer())
