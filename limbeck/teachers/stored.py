"""A teacher's answers kept epoch by epoch, so that other trainings on the same views need not ask again."""

from __future__ import annotations

import torch
from torch import Tensor

from limbeck.objectives import Outputs
from limbeck.processes import ranks
from limbeck.teachers.answers import Answers
from limbeck.training.job import LabelsViews


class StoredLogits:
    """Asks a teacher about each view once, and replays the answers to every training with the same view seed.

    Views are a function of (view seed, epoch, index), so one table of logits an epoch serves every seed, method and
    order. Answers are rounded to half precision at once, so that the first training sees what later ones will see.

    Args:
        teacher: who is asked where nothing is stored yet.
        answers: where the tables are kept, one an epoch.
    """

    def __init__(self, teacher: LabelsViews, answers: Answers) -> None:
        self._teacher, self._answers = teacher, answers
        self._epoch = -1
        self._table: Tensor | None = None
        self._missing: Tensor | None = None

    def outputs(self, index: Tensor, views_NCHW: Tensor, epoch: int) -> Outputs:
        """The teacher's logits, (B, C) float32, rounded to half precision."""
        if epoch != self._epoch:
            table = self._answers.read(of_epoch(epoch))
            self._epoch, self._missing = epoch, None
            self._table = table.to(index.device) if ranks.agreed(table is not None) and table is not None else None
        if self._table is not None and self._missing is None:
            return Outputs(self._table[index].float())
        logits = self._teacher.outputs(index, views_NCHW, epoch).logits.half()
        if self._table is None or self._missing is None:
            self._table = logits.new_empty(self._answers.shape)
            self._missing = torch.ones(len(self._table), dtype=torch.bool, device=logits.device)
        everybody = ranks.gathered(index)
        self._table[everybody] = ranks.gathered(logits)
        self._missing[everybody] = False
        if not self._missing.any():
            if ranks.first():
                self._answers.write(of_epoch(epoch), self._table)
            self._missing = None
        return Outputs(logits.float())


def of_epoch(epoch: int) -> str:
    """What the table of an epoch, counted from 0, is called."""
    return f"epoch{epoch + 1:04d}"
