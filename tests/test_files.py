"""Files are whole or not there, and what goes wrong is said."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import safetensors
import torch

from limbeck import files
from limbeck.errors import LimbeckError

HOLDER = """
import sys, time
from pathlib import Path
from limbeck import files
folder = Path(sys.argv[1])
with files.locked(folder / "lock"), files.replacing(folder / "weights") as stream:
    stream.write(b"half of the new")
    stream.flush()
    print("ready", flush=True)
    time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir())


class TestReplacing:
    def test_nothing_is_seen_before_the_end(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old")
        with files.replacing(path) as stream:
            stream.write(b"new")
            stream.flush()
            assert path.read_bytes() == b"old"
        assert path.read_bytes() == b"new"
        assert names(tmp_path) == ["file"]

    @pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, OSError])
    def test_after_a_failure_all_is_as_it_was(self, tmp_path: Path, failure: type[BaseException]) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old")

        def write() -> None:
            with files.replacing(path) as stream:
                stream.write(b"half of the new")
                raise failure

        with pytest.raises(failure):
            write()
        assert path.read_bytes() == b"old"
        assert names(tmp_path) == ["file"]

    def test_parents_are_made(self, tmp_path: Path) -> None:
        files.write_bytes(tmp_path / "a" / "b" / "file", memoryview(b"new"))
        assert (tmp_path / "a" / "b" / "file").read_bytes() == b"new"

    def test_everything_is_on_the_disk_before_the_name_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls: list[tuple[str, int]] = []
        rename = Path.replace

        def replace(old: Path, new: Path) -> Path:
            calls.append(("replace", old.stat().st_size))
            return rename(old, new)

        monkeypatch.setattr(os, "fsync", lambda handle: calls.append(("fsync", os.fstat(handle).st_size)))
        monkeypatch.setattr(Path, "replace", replace)
        files.write_bytes(tmp_path / "file", b"new content")
        assert calls == [("fsync", 11), ("replace", 11)]

    @pytest.mark.parametrize(
        ("code", "message"),
        [
            (errno.ENOSPC, "the disk is full; free some space and run the same command again"),
            (errno.EDQUOT, "the disk quota is used up; free some space"),
            (errno.EROFS, "the file system is read-only; choose another folder"),
            (errno.EACCES, "permission denied; choose a folder that you may use"),
            (errno.EPERM, "permission denied"),
            (errno.ENAMETOOLONG, "the name is too long; choose a shorter one"),
        ],
    )
    def test_what_a_user_can_mend_is_said(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, message: str
    ) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old")

        def fail(handle: int) -> None:
            raise OSError(code, "as the system says it")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(LimbeckError, match=f"^cannot write {path}: {message}"):
            files.write_bytes(path, b"new")
        assert path.read_bytes() == b"old"
        assert names(tmp_path) == ["file"]

    def test_a_name_that_is_too_long(self, tmp_path: Path) -> None:
        with pytest.raises(LimbeckError, match=r"^cannot write .*xxx: the name is too long; choose a shorter one"):
            files.write_bytes(tmp_path / ("x" * 300), b"new")
        assert names(tmp_path) == []

    def test_what_was_only_read_is_not_said_to_be_written(self, tmp_path: Path) -> None:
        denied = OSError(errno.EACCES, "denied")
        with (
            pytest.raises(LimbeckError, match=f"^cannot read {tmp_path}: permission"),
            files.mendable(tmp_path, "read"),
        ):
            raise denied

    def test_other_errors_of_the_system_are_not_hidden(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="input/output"), files.mendable(tmp_path):
            raise OSError(errno.EIO, "input/output")

    def test_a_folder_of_that_name(self, tmp_path: Path) -> None:
        (tmp_path / "taken").mkdir()
        with pytest.raises(LimbeckError, match=r"cannot write .*taken: a folder of that name is in the way; remove it"):
            files.write_bytes(tmp_path / "taken", b"new")
        assert names(tmp_path) == ["taken"]

    def test_a_file_where_a_folder_should_be(self, tmp_path: Path) -> None:
        (tmp_path / "taken").write_bytes(b"old")
        with pytest.raises(LimbeckError, match=r"cannot write .*taken: a file of that name is in the way"):
            files.make_folder(tmp_path / "taken")
        with pytest.raises(LimbeckError, match=r"a part of the path is a file, not a folder; choose another folder"):
            files.write_bytes(tmp_path / "taken" / "below" / "file", b"new")

    def test_a_link_that_leads_nowhere_or_round(self, tmp_path: Path) -> None:
        (tmp_path / "dangling").symlink_to(tmp_path / "gone" / "far")
        (tmp_path / "round").symlink_to(tmp_path / "round")
        for path, why in (
            (tmp_path / "dangling", "a file of that name is in the way"),
            (tmp_path / "round" / "below", "a link of the path leads back to itself; choose another folder"),
        ):
            with pytest.raises(LimbeckError, match=f"^cannot write {path}: {why}"):
                files.make_folder(path)

    @pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc here")
    def test_a_place_where_no_folder_can_be(self) -> None:
        with pytest.raises(
            LimbeckError, match=r"^cannot write /proc/x/y: there is no such folder and none can be made"
        ):
            files.make_folder(Path("/proc/x/y"))

    def test_a_folder_that_is_there_is_kept(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"old")
        assert files.make_folder(tmp_path) == tmp_path
        assert names(tmp_path) == ["file"]


class TestJson:
    def test_what_is_written_is_read(self, tmp_path: Path) -> None:
        content = {"mean": 0.1, "ci95": None, "what": "± naïve", "seeds": [0, 1]}
        files.write_json(tmp_path / "file.json", content)
        assert files.read_json(tmp_path / "file.json") == content
        text = (tmp_path / "file.json").read_text(encoding="utf-8")
        assert text.startswith('{\n  "mean": 0.1,')
        assert text.endswith("}\n")
        assert "± naïve" in text

    def test_on_one_line(self, tmp_path: Path) -> None:
        files.write_json(tmp_path / "file.json", {"counts": [1, 2]}, indent=None)
        assert (tmp_path / "file.json").read_text() == '{"counts": [1, 2]}\n'

    def test_what_json_does_not_have_is_not_written(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="not JSON compliant"):
            files.write_json(tmp_path / "file.json", {"nll": float("nan")})
        assert names(tmp_path) == []

    @pytest.mark.parametrize("content", [b'{"a": 1', b"", b"\xff\xfe", None])
    def test_a_damaged_or_missing_file(self, tmp_path: Path, content: bytes | None) -> None:
        path = tmp_path / "file.json"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(LimbeckError, match=rf"^cannot read {path}: .*\. Remove that file and run again\.$"):
            files.read_json(path)

    @pytest.mark.parametrize("content", ["{}", "[]", "3", "null", '{"starts": 3}'])
    def test_a_file_without_what_it_must_have(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "file.json"
        path.write_text(content)
        with pytest.raises(LimbeckError) as caught:
            files.read_json(path, {"starts": list}, "Make it anew.")
        assert str(caught.value) == (
            f"cannot read {path}: it has no 'starts', or not as limbeck writes it. Make it anew."
        )
        path.write_text('{"starts": [], "more": 1}')
        assert files.read_json(path, {"starts": list}) == {"starts": [], "more": 1}


class TestTensors:
    @pytest.fixture
    def tensors(self) -> dict[str, torch.Tensor]:
        weight = torch.arange(2 * 3 * 4 * 5.0).view(2, 3, 4, 5)
        return {
            "weight": weight.contiguous(memory_format=torch.channels_last).requires_grad_(),
            "half": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
            "count": torch.tensor(7),
            "part": torch.arange(10)[::2],
        }

    def test_what_is_written_is_read(self, tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
        path = tmp_path / "file.safetensors"
        files.write_tensors(path, tensors, {"model": "nin"})
        read = files.read_tensors(path)
        assert read.keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert read[name].dtype == tensor.dtype
            assert torch.equal(read[name], tensor)
        with safetensors.safe_open(path, framework="pt") as opened:
            assert opened.metadata() == {"model": "nin"}

    def test_equal_tensors_and_metadata_make_equal_files(
        self, tmp_path: Path, tensors: dict[str, torch.Tensor]
    ) -> None:
        """safetensors itself shuffles the metadata."""
        metadata = {name: f"± {name}" for name in "abcdefgh"}
        files.write_tensors(tmp_path / "a", tensors, metadata)
        plain = {name: value.detach().contiguous() for name, value in reversed(tensors.items())}
        files.write_tensors(tmp_path / "b", plain, dict(reversed(metadata.items())))
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
        with safetensors.safe_open(tmp_path / "a", framework="pt") as opened:
            assert opened.metadata() == metadata
        header = int.from_bytes((tmp_path / "a").read_bytes()[:8], "little")
        assert header % 8 == 0  # so that what is mapped into memory is aligned

    @pytest.mark.parametrize("keep", [0, 4, 100, -1])
    def test_a_truncated_file(self, tmp_path: Path, tensors: dict[str, torch.Tensor], keep: int) -> None:
        path = tmp_path / "file.safetensors"
        files.write_tensors(path, tensors)
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(LimbeckError, match=rf"^weights file {path} is damaged \(.*good copy; if a run made it"):
            files.read_tensors(path)

    def test_a_file_of_another_kind(self, tmp_path: Path) -> None:
        """Nobody is told to remove a file that never was weights."""
        torch.save({"weight": torch.zeros(3)}, tmp_path / "file.safetensors")
        (tmp_path / "recipe.json").write_text('{"name": "digits"}')
        (tmp_path / "own.py").write_text("import limbeck\n")
        (tmp_path / "empty.py").write_text("")
        for path in sorted(tmp_path.iterdir()):
            with pytest.raises(LimbeckError) as caught:
                files.read_tensors(path)
            assert str(caught.value) == (
                f"{path} is not a weights file: it is no safetensors file. Type the path of a weights.safetensors in a "
                "run's folder."
            )

    def test_a_folder(self, tmp_path: Path) -> None:
        message = rf"^{tmp_path} is a folder, not a weights file\. Type the path of a weights\.safetensors in a run's"
        with pytest.raises(LimbeckError, match=message):
            files.read_tensors(tmp_path)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        path = tmp_path / "file.safetensors"
        with pytest.raises(LimbeckError, match=rf"^weights file {path} does not exist\. Check the path\.$"):
            files.read_tensors(path)


class TestDigest:
    @pytest.mark.parametrize("algorithm", ["sha256", "md5", "sha1"])
    def test_it_is_hashlibs(self, tmp_path: Path, algorithm: str) -> None:
        content = bytes(range(256)) * (5 << 11)
        (tmp_path / "file").write_bytes(content)
        read: list[int] = []
        assert files.digest(tmp_path / "file", algorithm, read.append) == hashlib.new(algorithm, content).hexdigest()
        assert read == [1 << 20, 2 << 20, 5 << 19]
        assert files.digest(tmp_path / "file", algorithm) == hashlib.new(algorithm, content).hexdigest()

    def test_of_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        assert files.digest(tmp_path / "file") == hashlib.sha256().hexdigest()


class TestLocked:
    def test_a_second_is_refused_while_the_first_holds_it(self, tmp_path: Path) -> None:
        path = tmp_path / "folder" / "lock"
        with files.locked(path, "busy"), pytest.raises(LimbeckError, match=r"^somebody works here$"):  # noqa: SIM117
            with files.locked(path, "somebody works here"):
                pytest.fail("two hold the lock")
        with files.locked(path, "busy"):
            pass
        assert path.exists()

    def test_it_is_given_back_after_a_failure(self, tmp_path: Path) -> None:
        with pytest.raises(KeyError), files.locked(tmp_path / "lock", "busy"):
            raise KeyError
        with files.locked(tmp_path / "lock", "busy"):
            pass

    def test_without_a_refusal_the_second_waits(self, tmp_path: Path) -> None:
        order: list[str] = []
        held = threading.Event()

        def hold() -> None:
            with files.locked(tmp_path / "lock"):
                held.set()
                order.append("first took")
                second_waits.wait(0.2)
                order.append("first gave")

        second_waits = threading.Event()
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(10)
        with files.locked(tmp_path / "lock"):
            order.append("second took")
        thread.join()
        assert order == ["first took", "first gave", "second took"]

    def test_a_lock_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "lock").mkdir()
        with pytest.raises(LimbeckError, match=r"cannot write .*lock: a folder of that name is in the way"):  # noqa: SIM117
            with files.locked(tmp_path / "lock", "busy"):
                pytest.fail("a folder was locked")


def test_a_process_that_is_killed_leaves_neither_a_lock_nor_half_a_file(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "weights", b"old")
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(LimbeckError, match=r"^busy$"), files.locked(tmp_path / "lock", "busy"):
            pytest.fail("two processes hold the lock")
        process.kill()
    with files.locked(tmp_path / "lock", "busy"):
        assert (tmp_path / "weights").read_bytes() == b"old"
        files.write_json(tmp_path / "weights", {"now": "new"})
    assert json.loads((tmp_path / "weights").read_text()) == {"now": "new"}


def test_a_line_is_added_and_one_that_is_torn_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "new" / "log"
    files.add_line(path, "a")
    files.add_line(path, "b")
    path.write_bytes(path.read_bytes() + b"to")
    files.add_line(path, "c")
    assert path.read_text() == "a\nb\nto\nc\n"
