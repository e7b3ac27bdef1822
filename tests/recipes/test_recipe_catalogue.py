"""Recipes are found by name or in a file of one's own, and each of the catalogue is what it says."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import pytest

from limbeck.data.views import RandAugment
from limbeck.errors import LimbeckError
from limbeck.objectives import CrossEntropy
from limbeck.options import parse
from limbeck.recipes import CATALOGUE, Recipe, Training, describe, digits, find
from limbeck.recipes.recipe import from_json

NAMES = sorted(CATALOGUE)
OWN = """
from __future__ import annotations
from dataclasses import dataclass
from limbeck.recipes import Data, Recipe, digits
from limbeck.training import Train

@dataclass
class Wish:
    epochs: int = 7

def _helper():
    return None

def long(epochs: int):
    return Recipe(name="long", train=Train(epochs=epochs))

def short() -> Recipe:
    return Recipe(name="short", train=Train(epochs=Wish().epochs))
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


@pytest.mark.parametrize("name", NAMES)
class TestCatalogue:
    def test_it_is_found_and_bears_its_name(self, name: str) -> None:
        assert find(name) == CATALOGUE[name]()
        assert find(name).name == name

    def test_it_comes_back_from_json(self, name: str) -> None:
        recipe = find(name)
        assert from_json(recipe.model_dump_json(), "here") == recipe
        assert from_json(recipe.model_dump_json(), "here").digest() == recipe.digest()

    def test_it_is_described(self, name: str) -> None:
        first, *said = describe(name).splitlines()
        assert first == name
        assert len("".join(said)) > 100
        assert all(line.startswith("  ") or not line for line in said)
        assert inspect.cleandoc(CATALOGUE[name].__doc__ or "").splitlines()[0] in describe(name)


PAIRS = {
    "digits": ("alexnet_cifar", "nin_cifar"),
    "cifar10": ("alexnet_cifar", "nin_cifar"),
    "cifar10_cpu": ("alexnet_cifar", "nin_cifar"),
    "cifar10_best": ("wrn_28_10", "nin_cifar"),
    "cifar100": ("resnet32x4", "resnet8x4"),
    "cifar100_fast": ("resnet32x4", "resnet8x4"),
    "folder": ("vgg13", "vgg8"),
}


class TestEachRecipe:
    @pytest.mark.parametrize("name", sorted(set(NAMES) - {"lab3"}))
    def test_the_comparison_is_fair(self, name: str) -> None:
        """Several seeds, a held-out split, plain labels for the student alone, and a teacher of another network."""
        recipe = find(name)
        assert len(recipe.protocol.seeds) >= 3
        assert (recipe.protocol.holdout > 0) is (name != "cifar100")  # whose published settings choose nothing
        assert recipe.alone == CrossEntropy()
        assert recipe.objective.needs_teacher
        assert isinstance(recipe.teacher, Training)
        assert (recipe.teacher.student.name, recipe.student.name) == PAIRS[name]
        alone, distilled = recipe.students().values()
        assert (alone.train, alone.views, alone.student) == (distilled.train, distilled.views, distilled.student)

    def test_digits_are_not_mirrored(self) -> None:
        recipe = find("digits")
        assert recipe.data.name == "digits"
        assert isinstance(recipe.teacher, Training)
        assert not recipe.views.flip
        assert not recipe.teacher.views.flip
        assert recipe.student.width < 0.5

    def test_cifar10_is_the_labs_pair_whole(self) -> None:
        recipe = find("cifar10")
        assert recipe.data.test_sets() == ("cifar10", "cifar10_1")
        assert recipe.protocol.holdout == 5000
        assert recipe.student.width == 1
        assert isinstance(recipe.teacher, Training)
        assert isinstance(recipe.teacher.views.policy, RandAugment)

    def test_cifar10_best_keeps_the_labs_student(self) -> None:
        assert find("cifar10_best").student == find("cifar10").student

    def test_cifar10_cpu_is_the_pair_at_half_width(self) -> None:
        recipe = find("cifar10_cpu")
        assert recipe.data.test_sets() == ("cifar10", "cifar10_1")
        assert recipe.protocol.holdout == 5000
        assert recipe.student.width == 0.5
        assert recipe.student.batch_norm
        assert recipe.digest() == "44ef9570"  # whose figures its docstring and studies/flagship have


@pytest.mark.parametrize("look_up", [find, describe])
def test_an_unknown_recipe(look_up: object) -> None:
    with pytest.raises(LimbeckError) as caught:
        look_up("cifar")  # type: ignore[operator]
    message = str(caught.value)
    assert message.startswith(
        f"unknown recipe 'cifar'. Did you mean 'cifar10'? Known: {', '.join(NAMES)}. Type `limbeck re"
    )
    assert ("recipe.py" in message) is (look_up is find)


class TestRecipeOfAnEarlierRun:
    def test_it_is_the_same(self, tmp_path: Path) -> None:
        recipe = digits().with_(train=digits().train.with_(epochs=3))
        (tmp_path / "recipe.json").write_text(recipe.model_dump_json(indent=2))
        assert find(str(tmp_path / "recipe.json")) == recipe

    def test_mistakes(self, tmp_path: Path) -> None:
        path = tmp_path / "recipe.json"
        with pytest.raises(LimbeckError, match=rf"^recipe file {path} does not exist\. Check the path"):
            find(str(path))
        path.write_text("{}")
        with pytest.raises(LimbeckError, match=rf"^{path} is not a recipe of this version of limbeck: Recipe\.name"):
            find(str(path))


class TestFileOfOnesOwn:
    def test_its_own_objective_is_an_option_like_any(self, own: Path) -> None:
        own.write_text(
            "from typing import Literal\n\nfrom limbeck.objectives import Objective\n"
            "from limbeck.recipes import Recipe\n\n\n"
            "class Nothing(Objective):\n    name: Literal['my_own_loss'] = 'my_own_loss'\n    depth: int = 3\n\n"
            "    def forward(self, student, teacher, batch):\n"
            "        return {'my_own_loss': student.logits.sum() * 0}\n\n\n"
            "def own():\n    return Recipe(name='own', objective=Nothing())\n"
        )
        recipe = parse(find(str(own)), ["--objective.depth", "5"], "limbeck run")[0]
        assert recipe.model_dump()["objective"] == {"name": "my_own_loss", "depth": 5}
        assert parse(digits(), ["--objective", "my_own_loss"], "limbeck run")[0].objective == recipe.objective.with_(
            depth=3
        )
        assert from_json(recipe.model_dump_json(), "here") == recipe

    def test_its_one_function(self, own: Path) -> None:
        """Neither what it imports, nor what begins with _, nor what takes something."""
        assert find(str(own)) == Recipe(name="short", train={"epochs": 7})

    def test_a_function_by_name(self, own: Path) -> None:
        own.write_text(OWN + "\ndef other():\n    return digits().with_(name='other')\n")
        assert find(f"{own}:other").name == "other"
        assert find(f"{own}:short").name == "short"

    def test_a_file_named_like_a_module(self, tmp_path: Path) -> None:
        path = tmp_path / "json.py"
        path.write_text(OWN)
        before = sys.modules["json"]
        assert find(str(path)).name == "short"
        assert sys.modules["json"] is before

    def test_it_is_read_anew_each_time(self, own: Path) -> None:
        assert find(str(own)).name == "short"
        own.write_text(OWN.replace('name="short"', 'name="changed"'))
        assert find(str(own)).name == "changed"

    def test_several_functions(self, own: Path) -> None:
        own.write_text(OWN + "\ndef other():\n    return digits()\n")
        with pytest.raises(LimbeckError) as caught:
            find(str(own))
        assert str(caught.value) == (
            f"recipe file {own} should have one public function that takes nothing and returns a Recipe, but has 2: "
            f"other, short. Type {own}:FUNCTION to choose one."
        )

    def test_no_function(self, own: Path) -> None:
        own.write_text("from limbeck.recipes import digits\n")
        with pytest.raises(LimbeckError, match=r"should have one public function .*, but has none\."):
            find(str(own))

    def test_a_function_that_is_not_there(self, own: Path) -> None:
        with pytest.raises(
            LimbeckError, match=rf"^unknown function in {own} 'shrot'\. Did you mean 'short'\? Known: short"
        ):
            find(f"{own}:shrot")

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        message = r"^file .*nowhere\.py does not exist\. Type `limbeck recipes`"
        for name in (tmp_path / "nowhere.py", f"{tmp_path / 'nowhere.py'}:short"):
            with pytest.raises(LimbeckError, match=message):
                find(str(name))

    @pytest.mark.parametrize(
        ("text", "where", "cause"),
        [
            ("import nothing_of_the_kind\n", ", line 1,", "ModuleNotFoundError: No module named 'nothing_of_the_kind'"),
            ("x = 1\n\ny = 1 / 0\n", ", line 3,", "ZeroDivisionError: division by zero"),
            ("def short(:\n", "", "SyntaxError: invalid syntax"),
            ("import sys\nsys.exit(0)\n", ", line 2,", "SystemExit: 0"),
            ("raise SystemExit\n", ", line 1,", "SystemExit: "),
            ("def short():\n    exit('enough')\n", ", line 2,", "SystemExit: enough"),
            ("def _half():\n    return 1 / 0\n\ndef short():\n    return _half()\n", ", line 2,", "ZeroDivisionError"),
            (
                "def short():\n    text = 'a'\n    return text.nothing\n",
                ", line 3,",
                "AttributeError: 'str' object has no",
            ),
        ],
    )
    def test_a_file_that_fails(self, own: Path, text: str, where: str, cause: str) -> None:
        own.write_text(text)
        with pytest.raises(LimbeckError) as caught:
            find(str(own))
        assert re.match(rf"{own}(:short)?{where} cannot be run: {re.escape(cause)}", str(caught.value))

    def test_the_line_is_named_where_the_path_is_relative(self, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        own.write_text("x = 1\n\ny = 1 / 0\n")
        monkeypatch.chdir(own.parent)
        with pytest.raises(LimbeckError, match=r"^own\.py, line 3, cannot be run: ZeroDivisionError"):
            find("own.py")

    def test_it_may_import_what_lies_beside_it(self, own: Path) -> None:
        """And is not taken for another file of its name in another folder."""
        other = own.parent / "other" / own.name
        other.parent.mkdir()
        for file, epochs in ((own, 3), (other, 4)):
            (file.parent / "lengths.py").write_text(f"EPOCHS = {epochs}\n")
            file.write_text(
                "from lengths import EPOCHS\nfrom limbeck import recipes\nfrom limbeck.training import Train\n"
                "def short():\n    return recipes.digits().with_(train=Train(epochs=EPOCHS))\n"
            )
        assert [find(str(file)).train.epochs for file in (own, other, own)] == [3, 4, 3]

    def test_an_interruption_is_no_mistake(self, own: Path) -> None:
        own.write_text("raise KeyboardInterrupt\n")
        with pytest.raises(KeyboardInterrupt):
            find(str(own))

    @pytest.mark.parametrize("at", ["", "def short():\n    return "])
    def test_an_impossible_value_in_it_is_named_as_anywhere(self, own: Path, at: str) -> None:
        own.write_text(f"from limbeck.training import Train\n{at}Train(epochs=-1)\n")
        message = r"own\.py(:short)?, line \d, cannot be run: Train\.epochs = -1 is not possible"
        with pytest.raises(LimbeckError, match=message):
            find(str(own))

    def test_something_else_than_a_recipe(self, own: Path) -> None:
        own.write_text("def short():\n    return 5\n")
        with pytest.raises(LimbeckError, match=rf"^{own}:short returned int, not a limbeck\.Recipe\.$"):
            find(str(own))
