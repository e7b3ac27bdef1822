"""A teacher's answers to all the views that there are of the pictures, where those can be counted."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from limbeck.data.views import Views, drawn_variants, make_variants, variants
from limbeck.objectives import Outputs
from limbeck.teachers.answers import Answers
from limbeck.teachers.assignment import Assignment
from limbeck.training.job import LabelsViews

_AT_ONCE = 1024  # pictures, in their own order: who asks first makes no difference to the bits


class ViewTable:
    """Looks up what a teacher says of a view, by the picture and by which of its crops and flips is shown.

    Args:
        table: (variants, pictures, classes) float16, as `every_answer` makes it.
        views, view_seed: what is shown; only cropped and flipped.
    """

    def __init__(self, table: Tensor, views: Views, view_seed: int) -> None:
        self._table, self._views, self._view_seed = table, views, view_seed

    def outputs(self, index: Tensor, views_NCHW: Tensor, epoch: int) -> Outputs:
        """The teacher's logits, (B, C) float32, rounded to half precision; the views themselves are not looked at."""
        number = drawn_variants(index, self._views, self._view_seed, epoch)
        return Outputs(self._table[number, index].float())


def every_answer(teacher: LabelsViews, answers: Answers, asked: Assignment) -> Tensor:
    """What a teacher says of every crop and flip of every picture, asked for where it is not kept yet.

    Args:
        teacher: who is asked.
        answers: where it is kept, one table a variant, so that what was stopped goes on where it was.
        asked: the pictures, the views, and where progress goes.

    Returns:
        (variants, pictures, classes) float16, on the pictures' device.
    """
    pictures, number = asked.pictures, variants(asked.views)
    assert number is not None
    whole = torch.empty((number, len(pictures), len(pictures.classes)), dtype=torch.float16, device=asked.engine.device)
    missing = []
    for variant in range(number):
        table = answers.read(of_variant(variant))
        if table is None:
            missing.append(variant)
        else:
            whole[variant] = table
    if missing:
        label = f"teacher asked about {len(missing)} views of each picture"
        with asked.console.bar(label, len(missing) * len(pictures)) as bar:
            for done, variant in enumerate(missing):
                for index, logits in _asked(teacher, asked, variant):
                    whole[variant, index] = logits
                    bar.update(done * len(pictures) + int(index[-1]) + 1)
                answers.write(of_variant(variant), whole[variant])
    return whole


def of_variant(number: int) -> str:
    """What the table of a variant is called."""
    return f"view{number:04d}"


def _asked(teacher: LabelsViews, asked: Assignment, variant: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Indices of pictures, and what the teacher says of one variant of them, in half precision."""
    chunks = torch.arange(len(asked.pictures), device=asked.engine.device).split(_AT_ONCE)
    for index, images in zip(chunks, asked.pictures.each(chunks), strict=True):
        views_NHWC = make_variants(images, torch.full_like(index, variant), asked.views)
        yield index, teacher.outputs(index, views_NHWC.permute(0, 3, 1, 2), 0).logits.half()
