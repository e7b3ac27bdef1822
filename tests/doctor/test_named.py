"""`limbeck check NAME`: what is found by its name, what is printed, and the code it ends with."""

from __future__ import annotations

from pathlib import Path

import pytest

from limbeck.cli import main
from limbeck.doctor import check
from limbeck.doctor.named import find
from limbeck.errors import LimbeckError

SOUND = "from limbeck.objectives import kd_loss\ndef loss(student, teacher): return kd_loss(student, teacher)\n"
LEAKY = "def leaky(student, teacher): return (student - teacher).square().mean()\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("mine.py")
    path.write_text(SOUND + LEAKY + "number = 3\n")
    return path


def test_exit_0_when_nothing_is_wrong(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "mine.py:loss"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("mine.py:loss(student, teacher)\n")
    assert said.endswith("Nothing is wrong.\n")


def test_exit_1_when_something_is(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "mine.py:loss", "mine.py:leaky"]) == 1
    said = capsys.readouterr().out
    assert "wrong  teacher's gradient" in said
    assert "mend: Write teacher.detach() in the loss" in said
    assert said.endswith("Wrong: teacher's gradient. To know: a constant added.\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "which loss? Type `limbeck check path/to/file.py:loss`"),
        (["mime.py:loss"], "file mime.py does not exist. Did you mean mine.py?"),
        (["mine.py:los"], "unknown name in mine.py: 'los'. Did you mean 'loss'? Known: leaky, loss."),
        (["mine.py"], "mine.py has 2 public functions: loss, leaky. Type `limbeck check mine.py:NAME`"),
        (["mine.py:number"], "mine.py:number is int, which cannot be called"),
        (["nosuch.module:loss"], "there is no module 'nosuch'"),
        (["limbeck.objectives:kd_los"], "Did you mean 'kd_loss'?"),
        ([":loss"], "names no file or module before the colon"),
        (["--classes"], "--classes: `limbeck check` has no such option"),
    ],
)
def test_exit_2_for_what_a_person_can_mend(
    file: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["check", *words]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert message in said.err
    assert said.out == ""


def test_a_wrong_signature(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("def loss(student): return student.mean()\n")
    assert main(["check", "mine.py"]) == 2
    assert "mine.py takes (student), where two sets of logits are needed" in capsys.readouterr().err


def test_a_file_that_cannot_be_run(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("x = 1\ny = x / 0\n")
    assert main(["check", "mine.py:loss"]) == 2
    assert "mine.py, line 2, cannot be run: ZeroDivisionError" in capsys.readouterr().err
    file.write_text("raise SystemExit(0)\n")
    assert main(["check", "mine.py:loss"]) == 2
    assert "cannot be run: SystemExit" in capsys.readouterr().err


def test_the_only_function_need_not_be_named(file: Path) -> None:
    file.write_text(SOUND)
    assert find("mine.py").__name__ == "loss"


def test_a_module_and_what_lies_beside_a_file(file: Path) -> None:
    assert find("limbeck.objectives:kd_loss").__name__ == "kd_loss"
    Path("beside.py").write_text("from mine import leaky\ndef loss(student, teacher): return leaky(student, teacher)\n")
    assert find("beside.py:loss").__name__ == "loss"


def test_classes_of_losses_are_made(file: Path) -> None:
    file.write_text(
        "from torch import nn\n"
        "class KD(nn.Module):\n"
        "    def __init__(self, T):\n        super().__init__()\n        self.T = T\n"
        "    def forward(self, y_s, y_t): return (y_s - y_t).square().mean()\n"
        "class Needy(KD):\n    def __init__(self, T, data): super().__init__(T)\n"
        "class Mute: pass\n"
    )
    assert type(find("mine.py:KD")).__name__ == "KD"
    with pytest.raises(LimbeckError, match=r"Needy is a class that needs data. Put `loss = Needy"):
        find("mine.py:Needy")
    with pytest.raises(LimbeckError, match="Mute is a class whose objects cannot be called"):
        find("mine.py:Mute")


METHODS = """
from typing import Literal
import torch.nn.functional as F
from limbeck.objectives import Featured, Taught

class Near(Taught):
    name: Literal["near to the teacher"] = "near to the teacher"
    def loss(self, student, teacher, batch, learned):
        return F.mse_loss(student.logits, teacher.logits.detach())

class Twice(Taught):
    name: Literal["softmax twice"] = "softmax twice"
    def loss(self, student, teacher, batch, learned):
        said, wanted = student.logits.softmax(1), teacher.logits.detach().softmax(1)
        return batch.over_labels(lambda labels: F.cross_entropy(said, wanted))

class Maps(Featured):
    name: Literal["of maps"] = "of maps"
"""


def test_a_method_of_limbecks_form_is_examined_by_its_teachers_term(tmp_path: Path) -> None:
    path = tmp_path / "methods.py"
    path.write_text(METHODS, encoding="utf-8")
    assert check(find(f"{path}:Near"), "near").ok
    assert not check(find(f"{path}:Twice"), "twice").ok
    with pytest.raises(LimbeckError, match=r"methods\.py:Maps compares features, and a check is of losses on logits"):
        find(f"{path}:Maps")
