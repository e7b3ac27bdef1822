"""A recipe's fields as options: by path, with types; and what is said of options that do not exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from limbeck.data.views import AutoAugment, RandAugment, TrivialAugment, Views
from limbeck.errors import LimbeckError
from limbeck.models.model import Model
from limbeck.objectives import KD, CrossEntropy
from limbeck.options import RunOptions, parse
from limbeck.recipes import CATALOGUE, Recipe, Training, Weights
from limbeck.spec import Spec
from limbeck.teachers import Live
from limbeck.training import SGD, AdamW, Train

PLAIN = Recipe(
    name="plain",
    views=Views(crop=3, flip=False),
    teacher=Training(student=Model(name="alexnet_cifar", width=0.5), train=Train(epochs=20)),
    train=Train(epochs=15, clip=2.0),
    objective=KD(),
)
AUGMENTED = PLAIN.with_(teacher=Training(views=Views(policy=RandAugment()), train=Train(optimizer=AdamW())))


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def parsed(*words: str, recipe: Recipe = PLAIN) -> Recipe:
    return parse(recipe, words, "limbeck run plain")[0]


def at(recipe: Recipe, path: str) -> Any:
    value: Any = recipe
    for part in path.split("."):
        value = getattr(value, part)
    return value


def refusal(*words: str, recipe: Recipe = PLAIN) -> str:
    """The message of a `LimbeckError`."""
    with pytest.raises(LimbeckError) as caught:
        parsed(*words, recipe=recipe)
    return str(caught.value)


class TestFields:
    @pytest.mark.parametrize("name", CATALOGUE)
    def test_nothing_typed_changes_nothing(self, name: str) -> None:
        recipe = CATALOGUE[name]()
        assert parse(recipe, [], f"limbeck run {name}") == (recipe, RunOptions())

    @pytest.mark.parametrize(
        ("words", "path", "value"),
        [
            ("--train.epochs 3", "train.epochs", 3),
            ("--train.epochs=3", "train.epochs", 3),
            ("--train.batch-size 32", "train.batch_size", 32),
            ("--train.batch_size 32", "train.batch_size", 32),
            ("--train.optimizer.no-nesterov", "train.optimizer.nesterov", False),
            ("--train.schedule.decay linear", "train.schedule.decay", "linear"),
            ("--train.schedule.milestones .5 .7 .9", "train.schedule.milestones", (0.5, 0.7, 0.9)),
            ("--train.clip none", "train.clip", None),
            ("--train.clip None", "train.clip", None),
            ("--train.ema 0.99", "train.ema", 0.99),
            ("--teacher.student.width 0.25", "teacher.student.width", 0.25),
            ("--student.name alexnet_cifar", "student.name", "alexnet_cifar"),
            ("--student.mean .5 .4 .3", "student.mean", (0.5, 0.4, 0.3)),
            ("--objective.temperature 2", "objective.temperature", 2.0),
            ("--views.flip", "views.flip", True),
            ("--views.padding reflect", "views.padding", "reflect"),
            ("--protocol.seeds 3 1 2 0", "protocol.seeds", (3, 1, 2, 0)),
            ("--data.tests digits", "data.tests", ("digits",)),
            ("--device.name cuda:1", "device.name", "cuda:1"),
            ("--device.threads 2", "device.threads", 2),
            ("--logits live", "logits", Live()),
            ("--name own", "name", "own"),
        ],
    )
    def test_one_field(self, words: str, path: str, value: object) -> None:
        recipe = parsed(*words.split())
        assert at(recipe, path) == value
        assert at(PLAIN, path) != value
        assert changed(PLAIN, recipe) == {path}

    def test_several_fields(self) -> None:
        recipe = parsed("--train.epochs", "3", "--objective.weight", "0.5", "--train.epochs", "4")
        assert (recipe.train.epochs, at(recipe, "objective.weight")) == (4, 0.5)

    def test_the_options_that_are_no_part_of_the_recipe(self) -> None:
        words = ["--out", "a folder/x", "--fresh", "--quiet", "--dry-run"]
        recipe, run = parse(PLAIN, words, "limbeck run")
        assert run == RunOptions(out=Path("a folder/x"), fresh=True, quiet=True, dry_run=True)
        assert recipe.digest() == PLAIN.digest()


class TestChoices:
    def test_the_objective(self) -> None:
        assert parsed("--objective", "cross_entropy") == PLAIN.with_(objective=CrossEntropy())
        assert parsed("--objective", "kd", recipe=PLAIN.with_(objective=KD(temperature=9))).objective == KD(
            temperature=9
        )

    def test_the_objective_and_its_fields(self) -> None:
        recipe = parsed(
            "--objective", "kd", "--objective.temperature", "2", recipe=PLAIN.with_(objective=CrossEntropy())
        )
        assert recipe.objective == KD(temperature=2)

    @pytest.mark.parametrize(
        "words",
        [
            "--train.optimizer adamw --train.optimizer.lr 1e-3 --train.optimizer.beta1 0.8",
            "--train.optimizer.lr 1e-3 --train.optimizer.beta1 0.8 --train.optimizer=adamw",
        ],
    )
    def test_the_optimizer_in_any_order(self, words: str) -> None:
        recipe = parsed(*words.split())
        assert recipe.train.optimizer == AdamW(lr=1e-3, beta1=0.8)
        assert recipe.teacher == PLAIN.teacher
        assert recipe.train.epochs == PLAIN.train.epochs

    def test_the_teachers_optimizer(self) -> None:
        recipe = parsed("--teacher.train.optimizer", "sgd", "--teacher.train.optimizer.lr", "0.5", recipe=AUGMENTED)
        assert at(recipe, "teacher.train.optimizer") == SGD(lr=0.5)
        assert recipe.train == AUGMENTED.train

    @pytest.mark.parametrize(
        ("words", "policy"),
        [
            ("randaugment --views.policy.magnitude 5", RandAugment(magnitude=5)),
            ("autoaugment --views.policy.learned-on imagenet", AutoAugment(learned_on="imagenet")),
            ("trivialaugment", TrivialAugment()),
            ("none", None),
        ],
    )
    def test_the_policy(self, words: str, policy: object) -> None:
        recipe = parsed("--views.policy", *words.split())
        assert recipe.views == PLAIN.views.with_(policy=policy)

    def test_a_policy_of_the_recipe_is_changed_or_left_out(self) -> None:
        assert (
            at(parsed("--teacher.views.policy.magnitude", "3", recipe=AUGMENTED), "teacher.views.policy.magnitude") == 3
        )
        assert at(parsed("--teacher.views.policy", "none", recipe=AUGMENTED), "teacher.views.policy") is None

    def test_weights_as_the_teacher(self) -> None:
        recipe = parsed("--teacher", "runs/x/teacher/weights.safetensors")
        assert recipe == PLAIN.with_(teacher=Weights(path=Path("runs/x/teacher/weights.safetensors")))

    def test_no_teacher(self) -> None:
        recipe = parsed("--teacher", "none", "--objective", "cross_entropy")
        assert recipe == PLAIN.with_(teacher=None, objective=CrossEntropy())
        assert refusal("--teacher", "none").startswith(
            "Recipe is not possible: objective 'kd' needs a teacher; give one"
        )

    @pytest.mark.parametrize("teacher", ["none", "w.safetensors"])
    @pytest.mark.parametrize("choice", ["--teacher.train.optimizer, adamw", "--teacher.objective, kd"])
    def test_a_teacher_that_is_not_trained_has_no_choices(
        self, teacher: str, choice: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            parsed(*choice.split(", "), "--teacher", teacher, "--objective", "cross_entropy")
        assert caught.value.code == 2
        assert f"Unrecognized options: {choice}" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (
                "--objective kdd",
                "unknown objective 'kdd'. Did you mean 'kd'? Known: cross_entropy, double_softmax, kd, ",
            ),
            ("--objective none", "unknown objective 'none'. Known: cross_entropy, double_softmax, kd, "),
            ("--train.optimizer adam", "unknown train.optimizer 'adam'. Did you mean 'adamw'? Known: adamw, sgd."),
            (
                "--views.policy randaug",
                "unknown views.policy 'randaug'. Did you mean 'randaugment'? "
                "Known: autoaugment, none, randaugment, trivialaugment.",
            ),
            ("--teacher alexnet", "unknown teacher 'alexnet'. Known: FILE.safetensors, none."),
            ("--logits cached", "unknown logits 'cached'. Known: in_train_mode, live, stored."),
            *(
                (words, "--train.optimizer needs a name. Known: sgd, adamw. Type --train.optimizer sgd")
                for words in ("--train.optimizer", "--train.optimizer --quiet", "--train.optimizer=")
            ),
        ],
    )
    def test_a_name_that_does_not_exist(self, words: str, message: str) -> None:
        """Other tests have objectives of their own, so that not all the names of a family are known here."""
        assert refusal(*words.split()).startswith(message)


class TestRefusals:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ("--train.epochs -1", "Train.epochs = -1 is not possible: should be greater than or equal to 0."),
            ("--train.batch-size 0", "Train.batch_size = 0 is not possible: should be greater than or equal to 1."),
            ("--objective.temperature 0", "KD.temperature = 0.0 is not possible: should be greater than 0."),
            ("--objective.temperature nan", "KD.temperature = nan is not possible: should be a finite number."),
            ("--student.name nin", "unknown model 'nin'. Did you mean 'nin_cifar'?"),
            ("--data.name cifar", "unknown data set 'cifar'. Did you mean 'cifar10'?"),
            ("--protocol.seeds 0 0", "Protocol.seeds = (0, 0) is not possible: seeds must differ"),
            ("--alone kd", "Recipe is not possible: alone = 'kd' needs a teacher"),
            ("--views.policy randaugment --views.policy.magnitude 31", "RandAugment.magnitude = 31 is not possible"),
        ],
    )
    def test_an_impossible_value_names_its_field(self, words: str, message: str) -> None:
        assert refusal(*words.split()).startswith(message)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("--train.epoch 3", ("Unrecognized options: --train.epoch", "--train.epochs INT")),
            ("--temperature 3", ("Unrecognized options: --temperature", "--objective.temperature FLOAT")),
            ("--fres", ("Unrecognized options: --fres", "--fresh")),
            ("--device cuda", ("Unrecognized options: --device", "--device.name STR")),
            ("--student nin_cifar", ("Unrecognized options: --student", "--student.name STR")),
            ("--train.optimizer.beta1 0.5", ("Unrecognized options: --train.optimizer.beta1", "--train.optimizer.")),
            ("--nothing.of.the kind", ("Unrecognized options: --nothing.of.the",)),
            ("stray", ("Unrecognized options: stray",)),
            ("--train.epochs many", ("Error parsing --train.epochs", "'many'")),
            ("--train.epochs", ("--train.epochs",)),
        ],
    )
    def test_a_mistyped_option_ends_with_2_and_shows_the_near_one(
        self, words: str, said: tuple[str, ...], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            parsed(*words.split())
        assert caught.value.code == 2
        error = capsys.readouterr().err
        for part in said:
            assert part in error
        assert "limbeck run plain --help" in error


class TestHelp:
    def help(self, capsys: pytest.CaptureFixture[str], *words: str, recipe: Recipe = PLAIN) -> str:
        with pytest.raises(SystemExit) as caught:
            parsed(*words, "--help", recipe=recipe)
        assert caught.value.code == 0
        return capsys.readouterr().out

    def test_options_have_types_defaults_and_explanations(self, capsys: pytest.CaptureFixture[str]) -> None:
        text = self.help(capsys)
        assert text.startswith("usage: limbeck run plain ")
        assert "An experiment: a network distilled from a teacher" in text
        assert "--train.epochs INT" in text
        assert f"Passes over the training set. (default: {PLAIN.train.epochs})" in text
        assert "--train.clip none|FLOAT" in text
        assert "--out none|PATH" in text
        assert "Throw away what the folder has and start over." in text

    def test_what_is_chosen_by_name_is_shown_with_its_names(self, capsys: pytest.CaptureFixture[str]) -> None:
        text = self.help(capsys)
        for line in (
            "--objective {cross_entropy,kd,",
            "--train.optimizer {sgd,adamw}",
            "--views.policy {randaugment,autoaugment,trivialaugment,none}",
            "--teacher {FILE.safetensors,none}",
            "--teacher.train.optimizer {sgd,adamw}",
        ):
            assert line in text
        assert "--student {" not in text
        assert "--device {" not in text

    def test_it_speaks_of_what_was_chosen(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert "--objective.temperature" in self.help(capsys)
        text = self.help(capsys, "--objective", "cross_entropy", "--train.optimizer", "adamw")
        assert "--objective.temperature" not in text
        assert "--train.optimizer.beta1 FLOAT" in text
        assert "--train.optimizer.momentum" not in text
        assert "--teacher.train.optimizer.momentum" in text

    def test_the_name_that_tells_descriptions_apart_is_no_option(self, capsys: pytest.CaptureFixture[str]) -> None:
        text = self.help(capsys, recipe=AUGMENTED)
        for path in ("objective", "train.optimizer", "teacher.views.policy"):
            assert f"--{path}.name" not in text

    def test_a_recipe_without_a_word_about_it(self, capsys: pytest.CaptureFixture[str]) -> None:
        class Wordless(Recipe):
            pass

        Wordless.__doc__ = None
        assert "--train.epochs INT" in self.help(capsys, recipe=Wordless(name="own"))


def changed(old: Any, new: Any, above: str = "") -> set[str]:
    """The paths at which two descriptions differ."""
    if not isinstance(old, Spec) or type(old) is not type(new):
        return set() if old == new else {above}
    return {
        path
        for field in type(old).model_fields
        for path in changed(getattr(old, field), getattr(new, field), f"{above}.{field}".strip("."))
    }
