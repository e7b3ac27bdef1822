"""Checkpoints at epoch borders: everything that the next epoch depends on."""

from __future__ import annotations

import io
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
        identity: what this training is (recipe, role, seed), parted by ", "; checked when it is read again.
        state: tensors, numbers and texts, nested.
    """
    stream = io.BytesIO()
    torch.save({"identity": identity, **state}, stream)
    with stream.getbuffer() as content:
        files.write_bytes(path, content)


def load(path: Path, identity: str) -> dict[str, Any] | None:
    """Reads a checkpoint onto the CPU; None when there is none.

    Raises:
        LimbeckError: the file is damaged (every byte is checked), or belongs to another training.
    """
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():  # torch.load does not look at the checksums
                raise zipfile.BadZipFile(f"{damaged} has another checksum")
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = state["identity"]
    except Exception as error:  # what a damaged file raises depends on where it is damaged
        raise unusable(path, "is damaged", error) from error
    if found != identity:
        raise unusable(path, "belongs to another training", _apart(str(found), identity))
    return state


def unusable(path: Path, fault: str, why: object) -> LimbeckError:
    """The error for a checkpoint that cannot be continued from."""
    first_line = (str(why) or type(why).__name__).splitlines()[0]
    return LimbeckError(
        f"checkpoint {path} {fault} ({first_line}). Remove that file to train this network again from its start (all "
        "others are kept), or start over (of a run: --fresh; of limbeck.distil: another folder)."
    )


def _apart(found: str, wanted: str) -> str:
    """In what two identities differ."""
    pairs = list(zip(found.split(", "), wanted.split(", "), strict=False))
    one, other = (", ".join(pair[side] for pair in pairs if pair[0] != pair[1]) for side in (0, 1))
    return f"{one}, not {other}" if one else f"{found}, not {wanted}"
