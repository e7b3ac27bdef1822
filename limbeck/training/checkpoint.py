"""Checkpoints at epoch borders: everything that the next epoch depends on."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from limbeck import files
from limbeck.errors import LimbeckError


def save(path: Path, identity: str, state: dict[str, Any]) -> None:
    """Writes a checkpoint atomically.

    Args:
        path: the file.
        identity: what this training is (recipe, role, seed); checked when it is read again.
        state: tensors, numbers and texts, nested.
    """
    stream = io.BytesIO()
    torch.save({"identity": identity, **state}, stream)
    files.write_bytes(path, stream.getbuffer())


def load(path: Path, identity: str) -> dict[str, Any] | None:
    """Reads a checkpoint onto the CPU; None when there is none.

    Raises:
        LimbeckError: the file is damaged, or belongs to another training.
    """
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = state["identity"]
    except (RuntimeError, EOFError, KeyError, TypeError, OSError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise LimbeckError(
            f"checkpoint {path} is damaged ({str(error).splitlines()[0]}). Remove that file to train this network again "
            "from its start (all others are kept), or type --fresh to start the whole run over."
        ) from error
    if found != identity:
        raise LimbeckError(
            f"checkpoint {path} belongs to another training ({found}, not {identity}). "
            "Remove that file, or type --fresh to start the whole run over."
        )
    return state
