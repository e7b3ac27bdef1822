"""What a teacher is to label, and what its answers depend on."""

from __future__ import annotations

import hashlib
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from limbeck import own
from limbeck.console import Console
from limbeck.data.dataset import Dataset
from limbeck.data.views import Views
from limbeck.models.composed import described
from limbeck.models.identity import made_by, weights_of
from limbeck.training.device import Engine

_FORM = 1  # of the tables; to be raised, too, where limbeck's own networks or views become others


@dataclass(frozen=True)
class Assignment:
    """A teacher, and the views that it is to label for one training.

    Attributes:
        network: the teacher, on the engine's device.
        engine: device and precision to call it with.
        pictures: the training set, on the engine's device.
        views, view_seed: what is shown of them.
        folder: where answers may be kept, beside those to other questions, until the run is complete.
        console: where progress goes.
        taps: submodules of the teacher whose outputs the objective needs.
    """

    network: nn.Module
    engine: Engine
    pictures: Dataset
    views: Views
    view_seed: int
    folder: Path
    console: Console
    taps: tuple[str, ...] = ()

    def title(self) -> str:
        """Who answers about what, in words."""
        model = described(self.network)
        return f"{model.title() if model else type(self.network).__name__} on {self.pictures.name}"

    def key(self) -> dict[str, Any]:
        """All that the logits depend on but the epoch, as JSON has it, in what it is and not in where it lies.

        That is the network by its tensors and by what makes it (of files of one's own, the text), the pictures by their
        content and order, the views and their seed, and precision, kind of device and libraries. What a file of one's
        own imports from others does not count.
        """
        views, versions = self.views, {"torch": str(torch.__version__)}
        if views.policy:
            versions["torchvision"] = importlib.metadata.version("torchvision")
        return {
            "form": _FORM,
            "teacher": {**made_by(self.network), "weights": weights_of(self.network)},
            "pictures": {"count": len(self.pictures), "sha256": self.pictures.fingerprint},
            "views": views.model_dump(mode="json"),
            "view_seed": self.view_seed,
            "own_code": [_sha256(text.encode()) for text in own.texts(views)],
            "computed": {"device": self.engine.device.type, "precision": self.engine.dtype(), **versions},
        }


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
