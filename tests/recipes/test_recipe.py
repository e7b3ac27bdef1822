"""The recipe: what it refuses, what stands for it, and that it comes back from JSON."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limbeck import start
from limbeck.console import Console
from limbeck.data.views import RandAugment, Views
from limbeck.errors import LimbeckError
from limbeck.models.model import Model
from limbeck.objectives import KD, CrossEntropy, TfKD
from limbeck.planning import plan
from limbeck.recipes import Data, Protocol, Recipe, Teachers, Training, Weights, digits, find
from limbeck.recipes.recipe import from_json
from limbeck.spec import Spec
from limbeck.training import AdamW, Device, Schedule, Train

TEACHER = Training(student=Model(name="alexnet_cifar"), train=Train(epochs=3))


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(
        name="own",
        data=Data(name="cifar10", tests=("cifar10", "cifar10_1")),
        views=Views(policy=RandAugment(magnitude=5)),
        teacher=TEACHER,
        student=Model(name="nin_cifar", width=0.5, mean=(0.1, 0.2, 0.3)),
        train=Train(optimizer=AdamW(lr=0.002), schedule=Schedule(milestones=(0.3,)), ema=0.99),
        objective=KD(temperature=2),
        alone=CrossEntropy(label_smoothing=0.1),
        protocol=Protocol(seeds=(4, 5), holdout=5000),
        device=Device(threads=2),
    )


class TestTeacher:
    def test_a_whole_recipe_gives_its_training(self, recipe: Recipe) -> None:
        """Data, protocol and device are those of the recipe that it teaches in."""
        assistant = Recipe(name="other", teacher=recipe, objective=KD())
        assert type(assistant.teacher) is Training
        assert assistant.teacher == Training(**{name: getattr(recipe, name) for name in Training.model_fields})
        assert assistant.data == Data()

    def test_a_teacher_may_have_a_teacher(self, recipe: Recipe) -> None:
        born_again = Recipe(name="third", objective=KD(), teacher=Recipe(name="second", objective=KD(), teacher=recipe))
        assert isinstance(born_again.teacher, Training)
        assert isinstance(born_again.teacher.teacher, Training)
        assert born_again.teacher.teacher.teacher == TEACHER
        assert from_json(born_again.model_dump_json(), "here") == born_again

    @pytest.mark.parametrize("given", [Weights(path=Path("a/w.safetensors")), {"path": "a/w.safetensors"}])
    def test_weights(self, given: Any) -> None:
        recipe = Recipe(name="own", teacher=given, objective=KD())
        assert recipe.teacher == Weights(path=Path("a/w.safetensors"))
        assert from_json(recipe.model_dump_json(), "here") == recipe

    @pytest.mark.parametrize("make", [Training, functools.partial(Recipe, name="own")])
    def test_an_objective_that_needs_one(self, make: Callable[..., Training]) -> None:
        with pytest.raises(LimbeckError, match=r"objective 'kd' needs a teacher; give one, or choose cross_entropy\.$"):
            make(objective=KD())
        assert make(objective=CrossEntropy()).teacher is None

    def test_the_student_alone_has_none(self, recipe: Recipe) -> None:
        with pytest.raises(LimbeckError, match=r"^Recipe is not possible: alone = 'kd' needs a teacher; choose cross"):
            recipe.with_(alone=KD())

    def test_how_the_student_alone_is_trained(self, recipe: Recipe) -> None:
        alone = recipe.students()["alone"]
        assert type(alone) is Training
        assert alone.teacher is None
        assert alone.objective == CrossEntropy(label_smoothing=0.1)
        assert (alone.views, alone.student, alone.train) == (recipe.views, recipe.student, recipe.train)

    def test_which_students_are_trained(self, recipe: Recipe) -> None:
        assert list(recipe.students()) == ["alone", "distilled"]
        distilled = recipe.students()["distilled"]
        assert (distilled.teacher, distilled.objective) == (recipe.teacher, recipe.objective)
        assert list(recipe.with_(alone=None).students()) == ["distilled"]
        without = recipe.with_(teacher=None, objective=recipe.alone)
        assert list(without.students()) == ["alone"]
        assert list(without.with_(objective=TfKD()).students()) == ["alone", "distilled"]
        assert list(without.with_(alone=None).students()) == ["distilled"]


def test_the_chain_of_teachers(recipe: Recipe) -> None:
    weights = Weights(path=Path("w.safetensors"))
    assert isinstance(recipe.teacher, Training)
    taught = recipe.with_(teacher=recipe.teacher.with_(teacher=weights))
    assert list(taught.chain()) == [("", taught), ("teacher.", taught.teacher), ("teacher.teacher.", weights)]
    assert [above for above, _ in recipe.with_(teacher=None, objective=CrossEntropy()).chain()] == [""]


def test_a_teacher_is_listened_to_where_a_student_learns_from_it(recipe: Recipe) -> None:
    assert recipe.listened_to == recipe.teacher
    assert recipe.with_(objective=TfKD()).listened_to is None
    assert recipe.with_(teacher=None, objective=CrossEntropy()).listened_to is None


class TestJson:
    def test_it_comes_back(self, recipe: Recipe) -> None:
        again = from_json(recipe.model_dump_json(), "here")
        assert again == recipe
        assert type(again) is Recipe
        assert again.digest() == recipe.digest()
        assert from_json(recipe.model_dump_json(indent=2), "here") == recipe

    @pytest.mark.parametrize(
        ("change", "cause"),
        [
            (lambda fields: fields.update(colour="red"), "Recipe.colour: there is no such field"),
            (lambda fields: fields["train"].update(epochs=-1), "Train.epochs = -1 is not possible"),
            (lambda fields: fields["objective"].update(name="dkdd"), "unknown objective 'dkdd'"),
            (lambda fields: fields.pop("name"), "Recipe.name: this field must be given"),
            (lambda fields: fields["student"].update(name="vgg"), "unknown model 'vgg'"),
        ],
    )
    def test_another_versions_recipe(
        self, recipe: Recipe, change: Callable[[dict[str, Any]], object], cause: str
    ) -> None:
        fields = json.loads(recipe.model_dump_json())
        change(fields)
        self.refused(json.dumps(fields), cause)

    @pytest.mark.parametrize(
        ("text", "cause"), [("", "Expecting value: line 1"), ('{"name": "x"', "Expecting ',' delimiter: line 1")]
    )
    def test_what_is_cut_off(self, text: str, cause: str) -> None:
        with pytest.raises(LimbeckError) as caught:
            from_json(text, "runs/x/recipe.json")
        assert str(caught.value).startswith(f"runs/x/recipe.json is damaged: it is not JSON ({cause}")
        assert str(caught.value).endswith("The command that started its run writes it anew.")

    @pytest.mark.parametrize("text", ["[1]", "3", "null"])
    def test_what_is_no_recipe(self, text: str) -> None:
        self.refused(text, "mapping")

    def refused(self, text: str, cause: str) -> None:
        with pytest.raises(LimbeckError) as caught:
            from_json(text, "runs/x/recipe.json")
        message = str(caught.value)
        assert message.startswith("runs/x/recipe.json is not a recipe of this version of limbeck: ")
        assert cause in message


class TestDigest:
    def test_it_is_eight_characters_and_the_same_for_equal_recipes(self, recipe: Recipe) -> None:
        assert len(recipe.digest()) == 8
        assert int(recipe.digest(), 16) >= 0
        assert recipe.with_(name="own").digest() == recipe.digest()

    @pytest.mark.parametrize(
        "change",
        [
            {"name": "other"},
            {"views": Views(crop=3)},
            {"teacher": TEACHER.with_(train=Train(epochs=4))},
            {"teacher": Weights(path=Path("w.safetensors"))},
            {"student": Model(name="nin_cifar", width=0.25)},
            {"train": Train(batch_size=64)},
            {"objective": KD(temperature=3)},
            {"alone": CrossEntropy()},
            {"logits": "live"},
            {"data": Data(name="cifar10")},
            {"protocol": Protocol(seeds=(4, 6), holdout=5000)},
            {"protocol": Protocol(seeds=(4, 5), view_seed=1, holdout=5000)},
            {"device": Device(threads=1)},
        ],
        ids=lambda change: "-".join(change),
    )
    def test_everything_counts(self, recipe: Recipe, change: dict[str, Any]) -> None:
        assert recipe.with_(**change).digest() != recipe.digest()


def test_a_recipe_for_anybodys_pictures_wants_them_named(tmp_path: Path) -> None:
    """Before anything is made; and once they are named, it is the run that it was when it named some itself."""
    quiet = Console(quiet=True)
    for use in (lambda: start.run("folder", tmp_path / "out", console=quiet), lambda: plan(find("folder"), quiet)):
        with pytest.raises(LimbeckError, match=r"^no pictures are named, .* Type --data\.name FOLDER with a folder of"):
            use()
    assert list(tmp_path.iterdir()) == []
    assert find("folder").with_(data=Data(name="digits")).digest() == "705a6ff5"


def test_the_test_sets_are_the_training_sets_own_unless_named() -> None:
    assert Data(name="cifar10").test_sets() == ("cifar10",)
    assert Data(name="cifar10", tests=("cifar10_1",)).test_sets() == ("cifar10_1",)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (Data, {"name": "cifar"}, r"^unknown data set 'cifar'\. Did you mean 'cifar10'\? Known: cifar10, .*digits"),
        (
            Data,
            {"name": "digits", "tests": ("digits", "cifar10")},
            r"^Data is not possible: test set cifar10 has other classes \(airplane, .*, \.\.\.\) than the training",
        ),
        (Data, {"tests": ("digits", "cifer10")}, r"^unknown data set 'cifer10'\. Did you mean 'cifar10'\?"),
        (Protocol, {"seeds": (1, 2, 1)}, r"^Protocol\.seeds = \(1, 2, 1\) is not possible: seeds must differ"),
        (Protocol, {"seeds": ()}, r"^Protocol\.seeds = \(\) is not possible: .* at least 1 item"),
        (
            Protocol,
            {"holdout": -1},
            r"^Protocol\.holdout = -1 is not possible: should be greater than or equal to 0",
        ),
        (
            Data,
            {"name": "cifar10_1"},
            r"^Data\.name = 'cifar10_1' is not possible: cifar10_1 has no train split; choose",
        ),
        (
            Recipe,
            {"name": "x", "student": Model(name="nin_cifar", mean=(0.5,))},
            r"^Recipe is not possible: student\.mean has 1 numbers, but the pictures of digits have 3 channels; give",
        ),
        (
            Recipe,
            {"name": "x", "teacher": Training(teacher=Training(student=Model(name="nin_cifar", std=(0.5,) * 4)))},
            r"^Recipe is not possible: teacher\.teacher\.student\.std has 4 numbers, but the pictures of digits have 3",
        ),
        (Recipe, {}, r"^Recipe\.name: this field must be given\.$"),
        (Recipe, {"name": "a/b"}, r"^Recipe\.name = 'a/b' is not possible: .* pattern"),
        (Recipe, {"name": ""}, r"^Recipe\.name = '' is not possible: .* pattern"),
        (
            Recipe,
            {"name": "x", "logits": "cached"},
            r"^unknown labelling 'cached'\. Known: in_train_mode, live, stored, table\.$",
        ),
        (Recipe, {"name": "x", "studnet": 1}, r"^Recipe\.studnet: there is no such field\. Did you mean 'student'\?"),
        (Recipe, {"name": "x", "teacher": 5}, r"^Recipe\.teacher\.training = 5 is not possible"),
        (Weights, {}, r"^Weights\.path: this field must be given\.$"),
    ],
)
def test_impossible_recipes_are_refused(kind: type[Spec], fields: dict[str, Any], message: str) -> None:
    with pytest.raises(LimbeckError, match=message):
        kind(**fields)


def test_several_teachers_may_be_whole_recipes_and_come_back_from_json() -> None:
    recipe = digits().with_(teacher=[digits(), digits().teacher])
    assert isinstance(recipe.teacher, Teachers)
    assert [type(member) for member in recipe.teacher.members] == [Training, Training]
    assert recipe == digits().with_(teacher=Teachers(members=(digits(), digits().teacher)))
    assert from_json(recipe.model_dump_json(), "it") == recipe
    assert [above for above, _ in recipe.chain()][:3] == ["", "teacher.members.0.", "teacher.members.0.teacher."]
    with pytest.raises(LimbeckError, match="at least 2"):
        digits().with_(teacher=[digits().teacher])
