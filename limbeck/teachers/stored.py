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
        folder: where the tables are kept, one file an epoch: logits, (pictures, classes) float16.
        pictures: size of the training set.
    """

    def __init__(self, teacher: LabelsViews, folder: Path, pictures: int) -> None:
        self._teacher, self._folder, self._pictures = teacher, folder, pictures
        self._epoch = -1
        self._table: Tensor | None = None
        self._missing: Tensor | None = None

    def outputs(self, index: Tensor, views_NCHW: Tensor, epoch: int) -> Outputs:
        """The teacher's logits, (B, C) float32, rounded to half precision."""
        if epoch != self._epoch:
            self._epoch, self._table, self._missing = epoch, self._read(epoch, index.device), None
        if self._table is not None and self._missing is None:
            return Outputs(self._table[index].float())
        logits = self._teacher.outputs(index, views_NCHW, epoch).logits.half()
        if self._table is None or self._missing is None:
            self._table = logits.new_empty(self._pictures, logits.shape[1])
            self._missing = torch.ones(self._pictures, dtype=torch.bool, device=logits.device)
        self._table[index] = logits
        self._missing[index] = False
        if not self._missing.any():
            self._write(epoch, self._table)
            self._missing = None
        return Outputs(logits.float())

    def _path(self, epoch: int) -> Path:
        return self._folder / f"epoch{epoch + 1:04d}.npz"

    def _read(self, epoch: int, device: torch.device) -> Tensor | None:
        """The table of an epoch; None where it is missing or damaged, so that it is made again."""
        try:
            with self._path(epoch).open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
                table = stored["logits"]  # zip files carry checksums, and numpy compares them
        except Exception:  # what a damaged file raises depends on where it is damaged
            return None
        whole = table.ndim == 2 and len(table) == self._pictures and table.dtype == np.float16
        return torch.from_numpy(table).to(device) if whole else None

    def _write(self, epoch: int, table: Tensor) -> None:
        stream = io.BytesIO()
        np.savez(stream, logits=table.cpu().numpy())
        files.write_bytes(self._path(epoch), stream.getbuffer())
