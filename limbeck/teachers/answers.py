"""A teacher's answers on disk: one folder for everything that they depend on, one table a file."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from limbeck import files
from limbeck.errors import LimbeckError

_NOTE = "key.json"


class Answers:
    """Tables of logits in half precision, found again by whoever has the same question.

    Several processes may use a folder at once: a file is there whole or not at all, and who comes second leaves it.

    Args:
        folder: where answers are kept; those of this key in a folder of their own, called by its digest.
        key: all that they depend on, as JSON has it.
        shape: (pictures, classes) of every table.
        title: what key.json, which is there for people, says beside the key.
        say: told once of a table that cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        key: Mapping[str, Any],
        shape: tuple[int, int],
        title: str = "",
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        self.folder, self.shape = folder / self._digest, shape
        self._key, self._title, self._say, self._said = key, title, say, False

    def has(self, name: str) -> bool:
        """Whether there is a file of that table; whether it can be used is seen when it is read."""
        with files.mendable(self._path(name), "read"):
            return self._path(name).is_file()

    def read(self, name: str) -> Tensor | None:
        """A table, (pictures, classes) float16 on the CPU; None where it is missing, or is to be made again.

        It is to be made again where it is damaged, or has another shape or key.
        """
        if not self.has(name):
            return None
        try:
            with self._path(name).open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
                table, key = stored["logits"], str(stored["key"])  # zip files carry checksums, and numpy compares them
        except Exception:  # what a damaged file raises depends on where it is damaged
            why = "is damaged"
        else:
            if key == self._digest and table.shape == self.shape and table.dtype == np.float16:
                return torch.from_numpy(table)
            why = f"is {table.dtype} {table.shape}, not float16 {self.shape}"
            if key != self._digest:
                why = f"has the answers to something else (key {key[:16]})"
        if not self._said:
            self._say(f"{self._path(name)} {why}: the teacher is asked again wherever a table cannot be used")
        self._said = True
        return None

    def write(self, name: str, table: Tensor) -> None:
        """Keeps a table, (pictures, classes) float16, unless a good one is there by now.

        Raises:
            LimbeckError: it cannot be written.
        """
        if self.read(name) is not None:
            return  # so that a training that read it finds the same bits when it is continued
        self._note()
        stream = io.BytesIO()
        np.savez(stream, logits=table.cpu().numpy(), key=np.array(self._digest))
        with stream.getbuffer() as content:
            files.write_bytes(self._path(name), content)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"

    def _note(self) -> None:
        """Says in key.json what the tables are of."""
        path, content = self.folder / _NOTE, {"answers": self._title, **self._key}
        try:
            if path.exists() and files.read_json(path) == content:
                return
        except LimbeckError:
            pass  # it is damaged, and written anew
        files.write_json(path, content)
