"""Code of the user's own: an edit makes another run, and a mistake in it is told in one message before the training."""

from __future__ import annotations

import json
import linecache
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from limbeck import experiment, own, recipes, start
from limbeck.cli import main
from limbeck.errors import LimbeckError
from limbeck.objectives import KD, Batch, Known, Objective, Outputs, Taught, rehearse
from limbeck.recipes import Recipe, find

Fails = Callable[..., str]
FILE = """
from typing import ClassVar, Literal

import torch

from limbeck.objectives import Objective
from limbeck.recipes import find


class Mine(Objective):
    name: Literal["mine"] = "mine"
    needs_teacher: ClassVar[bool] = True

{body}


def taught():
    return find("tiny").with_(name="taught", objective=Mine())
"""
PLAIN = "    def forward(self, student, teacher, batch):\n        return {'mine': student.logits.square().mean()}\n"
CUBIC = PLAIN.replace("square().mean()", "pow(4).mean()")


def returning(text: str) -> str:
    return f"    def forward(self, student, teacher, batch):\n        return {text}\n"


def typed(text: str, file: str) -> type[Objective]:
    """The class Mine of a text that is in no file."""
    names: dict[str, Any] = {"__name__": file}
    exec(compile(text, file, "exec"), names)
    return names["Mine"]


@pytest.fixture
def write(tiny: Recipe) -> Callable[[str], str]:
    """Writes mine.py with an objective of that body; returns the file's name."""

    def written(body: str) -> str:
        Path("mine.py").write_text(FILE.format(body=body))
        return "mine.py"

    return written


class TestDigest:
    def test_an_edit_of_an_own_class_makes_another_run(self, write: Callable[[str], str]) -> None:
        digests = [find(write(body)).digest() for body in (PLAIN, CUBIC, PLAIN)]
        assert digests[0] == digests[2] != digests[1]

    def test_wherever_in_the_recipe_it_is(self, tiny: Recipe, write: Callable[[str], str]) -> None:
        def digest(body: str) -> str:
            mine = find(write(body)).objective
            assert isinstance(tiny.teacher, recipes.Training)
            return tiny.with_(teacher=tiny.teacher.with_(teacher=tiny.teacher, objective=mine)).digest()

        assert digest(PLAIN) != digest(CUBIC)
        assert digest(PLAIN) != tiny.digest()

    def test_what_it_inherits_from_counts(self, tmp_path: Path, tiny: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(str(tmp_path))
        (tmp_path / "own_base.py").write_text(
            "from limbeck.objectives import Objective\n\n\nclass Base(Objective):\n    def help(self):\n        pass\n"
        )
        Path("heir.py").write_text(
            "from own_base import Base\nfrom limbeck.recipes import find\n\n\n"
            f"class Heir(Base):\n    name: str = 'heir'\n\n{PLAIN}\n\n"
            "def taught():\n    return find('tiny').with_(objective=Heir())\n"
        )
        kinds = own.classes(find("heir.py"))
        assert [Path(own.file(kind)).name for kind in kinds] == ["heir.py", "own_base.py"]

    def test_a_file_that_defines_no_class_does_not_count(self, tiny: Recipe) -> None:
        text = "from limbeck.recipes import find\n\n\ndef same():\n    return find('tiny')\n"
        Path("same.py").write_text(text)
        assert find("same.py").digest() == tiny.digest()
        Path("same.py").write_text(f"# another remark\n{text}")
        assert find("same.py").digest() == tiny.digest()

    def test_limbecks_own_recipes_keep_theirs(self) -> None:
        """They depend on fields alone: a new version of limbeck continues the runs of the one before."""
        assert own.classes(recipes.lab3()) == []
        assert own.classes(recipes.digits()) == []

    def test_it_does_not_change_under_a_run(self, write: Callable[[str], str]) -> None:
        recipe = find(write(PLAIN))
        before = recipe.digest()
        write(CUBIC)
        assert recipe.digest() == before  # what runs is still the text that was read

    def test_the_cell_of_a_notebook_is_its_text(self, monkeypatch: pytest.MonkeyPatch) -> None:
        text = FILE.format(body=PLAIN).replace("mine", "of_a_cell")
        monkeypatch.setitem(linecache.cache, "<cell 1>", (len(text), None, text.splitlines(True), "<cell 1>"))
        kind = typed(text, "<cell 1>")
        assert own.file(kind) == "<cell 1>"
        assert own.source(kind) == text

    def test_a_class_that_nobody_can_read_is_like_no_other(self) -> None:
        text = FILE.format(body=PLAIN).replace("mine", "of_a_prompt")
        first, second = typed(text, "<stdin>"), typed(text, "<stdin>")
        assert own.source(first) == own.source(first) != own.source(second)


def test_an_edited_objective_is_never_answered_with_the_old_result(
    write: Callable[[str], str], fails: Fails, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("run", write(PLAIN), "--quiet", "--protocol.seeds", "0")
    assert main(words) == 0
    assert main([*words, "--out", "out"]) == 0
    (first,) = Path("runs").iterdir()
    write(CUBIC)
    said = fails(*words, "--out", "out")
    assert said.startswith(f"error: {Path('mine.py').absolute()} was edited since the run in out was started (recipe ")
    assert "Type --fresh to start over there" in said
    assert main(words) == 0
    assert main([*words, "--out", "out", "--fresh"]) == 0
    (second,) = set(Path("runs").iterdir()) - {first}
    losses = {}
    for folder in (first, second, Path("out")):
        row = (folder / "seed0" / "distilled" / "metrics.jsonl").read_text().splitlines()[-1]
        losses[folder] = json.loads(row)["loss_mine"]
    assert losses[first] != losses[second] == losses[Path("out")]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (returning("{}"), "forward returned {}. "),
        (returning("None"), "forward returned None. "),
        (returning("student.logits.mean()"), "forward returned a tensor of shape () and type float32. "),
        (returning("{'a': 0.5}"), "forward returned 'a' as float 0.5. "),
        (
            returning("{'a': student.logits}"),
            "forward returned 'a' as a tensor of shape (8, 10) and type float32: take its mean over the batch. ",
        ),
        (returning("{'a': batch.labels.sum()}"), "forward returned 'a' as a tensor of shape () and type int64. "),
        (returning("student.logits.detach().float().numpy()"), "forward returned ndarray array([["),
        (returning("[student.logits.mean()]"), "forward returned list [tensor("),
        (returning("{3: student.logits.mean()}"), "forward returned a dictionary with the name 3, which is no text. "),
        (
            returning("{'a': torch.zeros(())}"),
            "forward returned 'a' as a loss that does not depend on the student, so that it teaches nothing. ",
        ),
        (
            returning("{'a': student.logits.mean(), 'b': student.logits.detach().mean()}"),
            "forward returned 'b' as a loss that does not depend on the student, so that it teaches nothing. ",
        ),
        ("    pass\n", "has no forward. "),
        (
            "    def build(self, known=None):\n        return torch.nn.Identity\n",
            "build returned type <class 'torch.nn.modules.",
        ),
        (
            "    def build(self, known=None):\n        return torch.nn.Module()\n",
            "cannot be used: NotImplementedError: Module [Mod",
        ),
        (
            "    def forward(self, student):\n        return {}\n",
            "cannot be used: TypeError: Mine.forward() takes 2 pos",
        ),
    ],
)
def test_an_objective_that_does_not_do_what_it_must(
    write: Callable[[str], str], fails: Fails, body: str, said: str
) -> None:
    message = fails("run", write(body), "--quiet")
    assert message.startswith(f"error: objective 'mine' (class Mine in {Path('mine.py').absolute()})")
    assert said in message
    if "build returned" not in said:
        assert "forward(student, teacher, batch) must return a dictionary of named losses" in message
    assert message.count("\n") == 1
    assert not Path("runs").exists()  # nor is a teacher trained in vain


@pytest.mark.parametrize(
    ("body", "line", "said"),
    [
        (returning("{'mine': student.logits.nothing}"), 15, "AttributeError: 'Tensor' object has no attribute 'nothin"),
        (returning("{'mine': teacher.nothing}"), 15, "AttributeError: 'Outputs' object has no attribute 'nothing'"),
        (returning("{'mine': student.logits @ student.logits}"), 15, "RuntimeError: mat1 and mat2 shapes cannot be mu"),
        (returning("exit(3)"), 15, "SystemExit: 3. "),
        ("    def build(self, known=None):\n        raise KeyError\n", 15, "KeyError. "),
    ],
)
def test_an_objective_that_fails(write: Callable[[str], str], fails: Fails, body: str, line: int, said: str) -> None:
    where = f"{Path('mine.py').absolute()}:{line}"
    message = fails("run", write(body), "--quiet")
    assert message.startswith(f"error: {where}: {said}")
    assert message.endswith(f"limbeck's own pieces run; mend {where}.\n")
    assert message.count("\n") == 1
    assert not Path("runs").exists()


def test_an_objective_that_fails_later(write: Callable[[str], str], fails: Fails) -> None:
    body = PLAIN.replace("return", "assert batch.step < 4, 'that was enough'\n        return")
    message = fails("run", write(body), "--quiet", "--out", "out")
    assert message.startswith(f"error: {Path('mine.py').absolute()}:15: AssertionError: that was enough. ")
    assert Path("out/teacher/weights.safetensors").exists()


def test_an_objective_that_changes_its_terms(write: Callable[[str], str], fails: Fails) -> None:
    body = PLAIN.replace("{'mine'", "{'mine' if batch.step < 4 else 'other'")
    assert fails("run", write(body), "--quiet", "--out", "out") == (
        "error: the objective returned the losses mine at first and other later (out/seed0/distilled). Let its forward "
        "return the same names, in the same order, at every step; a loss that is out of use is 0.\n"
    )


POLICY = """
from limbeck.data.views import Policy, Views
from limbeck.recipes import find
from limbeck.training import AdamW


class Upside(Policy):
    name: str = "upside"

    def build(self, known=None):
        return lambda pictures: pictures.nothing


class Lazy(AdamW):
    name: str = "lazy"

    def build(self, parameters):
        return parameters.nothing


def views():
    return find("tiny").with_(views=Views(policy=Upside()))


def optimizer():
    recipe = find("tiny")
    return recipe.with_(train=recipe.train.with_(optimizer=Lazy()))
"""


@pytest.mark.parametrize(("function", "line"), [("views", 11), ("optimizer", 18)])
def test_other_pieces_that_fail(tiny: Recipe, fails: Fails, function: str, line: int) -> None:
    Path("pieces.py").write_text(POLICY)
    message = fails("run", f"pieces.py:{function}", "--quiet")
    assert message.startswith(f"error: {Path('pieces.py').absolute()}:{line}: AttributeError: ")
    assert message.endswith(f"mend {Path('pieces.py').absolute()}:{line}.\n")
    assert not Path("runs").exists()


def test_the_dry_run_finds_it_too(write: Callable[[str], str], fails: Fails) -> None:
    assert "forward returned None" in fails("run", write(returning("None")), "--dry-run")


def test_an_error_of_limbecks_own_is_not_blamed_on_the_user(
    write: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("limbeck's mistake")

    recipe = find(write(PLAIN))
    monkeypatch.setattr(experiment, "fit", broken)
    with pytest.raises(RuntimeError, match="limbeck's mistake"):
        start.run(recipe, "out")


class Random(Objective):
    """Learns something that begins at random, and counts how often it is asked."""

    name: str = "random"

    def build(self, known: Known | None = None) -> torch.nn.Module:
        return Learns()


class Learns(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(1))

    def forward(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        return {"random": (student.logits * self.weight * torch.rand(1)).mean()}


KNOWN = Known(torch.nn.Identity(), torch.nn.Identity(), torch.zeros(3, 4, 4), torch.zeros(2, dtype=torch.int64), 2)


def test_a_rehearsal_leaves_no_trace() -> None:
    now = torch.tensor(0.0)
    batch = Batch(torch.arange(2), torch.zeros(2, 3, 4, 4), torch.zeros(2, dtype=torch.int64), now, now, now)
    student = Outputs(torch.randn(2, 10))
    before = torch.get_rng_state()
    for objective, teacher in ((Random(), None), (KD(), Outputs(torch.randn(2, 10)))):
        state = torch.get_rng_state()
        rehearse(objective, KNOWN, student, teacher, batch)
        assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(before, torch.get_rng_state())  # by the test's own teacher
    assert student.logits.grad is None
    assert not student.logits.requires_grad


def test_what_is_said_of_an_exception() -> None:
    assert own.said(KeyError()) == "KeyError"
    assert own.said(ValueError("one\ntwo")) == "ValueError: one"


def test_only_what_passes_through_the_users_file_is_theirs(write: Callable[[str], str]) -> None:
    recipe = find(write(PLAIN))
    with pytest.raises(ZeroDivisionError), own.blamed(recipe):
        _ = 1 / 0
    with pytest.raises(LimbeckError, match="as it is"), own.blamed(recipe):
        raise LimbeckError("as it is")


def test_a_taught_objective_is_told_of_its_loss() -> None:
    class Silent(Taught):
        name: Literal["silent"] = "silent"

        def loss(self, student: Outputs, teacher: Outputs, batch: Batch, learned: torch.nn.Module) -> torch.Tensor:
            return None  # type: ignore[return-value]

    now = torch.tensor(0.0)
    batch = Batch(torch.arange(2), torch.zeros(2, 3, 4, 4), torch.zeros(2, dtype=torch.int64), now, now, now)
    said = Outputs(torch.randn(2, 10))
    with pytest.raises(LimbeckError, match=r"'silent' .* loss\(student, .*\) must return one float"):
        rehearse(Silent(), KNOWN, said, said, batch)


FORGETFUL = """
from typing import Literal
from limbeck.objectives import Taught
from limbeck.recipes import find

class Mine(Taught):
    name: Literal["forgetful"] = "forgetful"
    def loss(self, student, teacher, batch, learned):
        {body}

def forgetful():
    return find("tiny").with_(name="forgetful", objective=Mine())
"""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("student.logits.mean()", "loss returned None; is the return missing?"),
        ("return student.logits.detach().mean()", "loss returned 'forgetful' as a loss that does not depend on the"),
        ("return student.logits.mean(1)", "loss returned 'forgetful' as a tensor of shape (8,) and type float32: take"),
    ],
)
def test_a_method_that_forgets_something_is_told_before_anything_is_trained(fails: Fails, body: str, said: str) -> None:
    Path("mine.py").write_text(FORGETFUL.format(body=body), encoding="utf-8")
    assert said in fails("run", "mine.py")
    assert not Path("runs").exists()


def test_files_in_two_folders_each_import_what_lies_beside_them(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "made_beside.py").write_text(f"NAME = {folder!r}", encoding="utf-8")
        (tmp_path / folder / "net.py").write_text("from made_beside import NAME", encoding="utf-8")
    found = [own.run_file(tmp_path / folder / "net.py", "tests", "").NAME for folder in ("one", "two", "one")]
    assert found == ["one", "two", "one"]
