"""The flagship's student as it is handed over: rounded, judged after that, and written last."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from limbeck.cli import main
from limbeck.console import Console
from limbeck.errors import LimbeckError
from limbeck.files import read_tensors
from limbeck.judging import evaluating
from limbeck.models.weights import load_network
from limbeck.recipes import Recipe


def test_a_student_is_released(
    study: Callable[[str], ModuleType], tiny: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["run", "tiny", "--out", "run", "--protocol.seeds", "0", "--quiet"]) == 0
    release, said = study("flagship/release"), io.StringIO()
    setting = release.Setting(run=Path("run"), data=tiny.data.name, out=Path("weights/student.safetensors"))
    release.main(setting, Console(file=said))
    assert "weights/student.safetensors" in said.getvalue()
    floats = [tensor.dtype for tensor in read_tensors(setting.out).values() if tensor.is_floating_point()]
    assert floats
    assert set(floats) == {torch.float16}
    pictures = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    whole = load_network(Path("run/seed0/distilled/weights.safetensors")).network.eval()
    torch.testing.assert_close(
        load_network(setting.out).network.eval()(pictures), whole(pictures), rtol=0.02, atol=0.02
    )
    assert '"distilled, half precision"' in Path("run/evaluations.jsonl").read_text()

    def broken(*what: object, **how: object) -> None:
        raise LimbeckError("it cannot be judged")

    before = setting.out.read_bytes()
    monkeypatch.setattr(evaluating, "evaluate", broken)
    Path("run/seed0/distilled/weights.safetensors").write_bytes(
        Path("run/seed0/alone/weights.safetensors").read_bytes()
    )
    with pytest.raises(LimbeckError, match="cannot be judged"):
        release.main(setting, Console(file=said))
    assert setting.out.read_bytes() == before
