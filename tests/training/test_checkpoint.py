"""A checkpoint is read back bit for bit, or refused with a message."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from limbeck import files
from limbeck.errors import LimbeckError
from limbeck.teachers import Answers
from limbeck.training import checkpoint

_BYTES_IO = io.BytesIO


@pytest.fixture
def state() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    weights = {"a": torch.randn(40, 30, generator=generator), "b": torch.arange(5)}
    return {"epoch": 3, "network": weights, "average": None, "rows": [{"loss": 0.25, "name": "kd"}]}


def equal(found: Any, expected: dict[str, Any]) -> bool:
    return all(torch.equal(found["network"][name], tensor) for name, tensor in expected["network"].items()) and all(
        found[key] == expected[key] for key in ("epoch", "average", "rows")
    )


def test_what_is_saved_is_read_back(tmp_path: Path, state: dict[str, Any]) -> None:
    path = tmp_path / "folder" / "checkpoint.pt"
    checkpoint.save(path, "student, seed 0", state)
    assert equal(checkpoint.load(path, "student, seed 0"), state)
    assert [file.name for file in path.parent.iterdir()] == ["checkpoint.pt"]


def _a_table(folder: Path) -> None:
    Answers(folder, {}, (2, 3)).write("epoch0001", torch.zeros(2, 3))


def _a_checkpoint(folder: Path) -> None:
    checkpoint.save(folder / "checkpoint.pt", "student", {"epoch": 1})


@pytest.mark.parametrize("write", [_a_checkpoint, _a_table])
def test_a_write_that_fails_holds_no_memory(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else Python 3.13 complains when the stream goes before the error does, which remembers everything."""
    streams: list[io.BytesIO] = []

    def kept() -> io.BytesIO:
        streams.append(_BYTES_IO())
        return streams[-1]

    def full(path: Path, content: bytes | memoryview) -> None:
        if isinstance(content, memoryview):
            raise LimbeckError("the disk is full")

    monkeypatch.setattr(io, "BytesIO", kept)
    monkeypatch.setattr(files, "write_bytes", full)
    with pytest.raises(LimbeckError) as caught:
        write(tmp_path)
    streams[0].close()  # raises while somebody still looks into it
    assert caught.value


def test_none_is_none(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path / "checkpoint.pt", "student") is None


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path, state: dict[str, Any]) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, "recipe 1, student", state)
    with pytest.raises(LimbeckError) as refused:
        checkpoint.load(path, "recipe 2, student")
    assert str(refused.value) == (
        f"checkpoint {path} belongs to another training (recipe 1, not recipe 2). Remove that file to train "
        "this network again from its start (all others are kept), or start over (of a run: --fresh; of limbeck.distil: "
        "another folder)."
    )


@pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, state: dict[str, Any], share: float) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, "student", state)
    os.truncate(path, int(share * path.stat().st_size))
    with pytest.raises(LimbeckError, match=r"checkpoint .*checkpoint\.pt is damaged \(.+\)\. Remove that file"):
        checkpoint.load(path, "student")


def test_no_altered_byte_goes_unnoticed(tmp_path: Path, state: dict[str, Any]) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, "student", state)
    content = path.read_bytes()
    refused = 0
    for at in range(0, len(content), 13):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x41]) + content[at + 1 :])
        try:
            assert equal(checkpoint.load(path, "student"), state), f"byte {at}"
        except LimbeckError as error:
            assert "is damaged" in str(error)  # noqa: PT017 (padding may be altered without harm)
            refused += 1
    assert refused > 4800 / 13  # all the bytes of the weights, at least


class Evil:
    """Does something when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("done",)


def test_a_checkpoint_cannot_carry_code(tmp_path: Path, state: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"identity": "student", **state, "evil": Evil()}, "checkpoint.pt")
    Path("plain.pt").write_bytes(pickle.dumps({"identity": "student", "evil": Evil()}))
    for name in ("checkpoint.pt", "plain.pt"):
        with pytest.raises(LimbeckError, match="is damaged"):
            checkpoint.load(Path(name), "student")
    assert not Path("done").exists()
