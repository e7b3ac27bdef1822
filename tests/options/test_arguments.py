"""A recipe's fields as options: by path, with types; and what is said of options that do not exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plain import PLAIN, at, parsed, refusal

from limbeck.options import RunOptions, parse
from limbeck.recipes import CATALOGUE
from limbeck.spec import Spec
from limbeck.teachers import Live


def changed(old: Any, new: Any, above: str = "") -> set[str]:
    """The paths at which two descriptions differ."""
    if not isinstance(old, Spec) or type(old) is not type(new):
        return set() if old == new else {above}
    return {
        path
        for field in type(old).model_fields
        for path in changed(getattr(old, field), getattr(new, field), f"{above}.{field}".strip("."))
    }


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


class TestRefusals:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (
                "--train.epochs -1",
                "--train.epochs -1: must be greater than or equal to 0. Passes over the training set. "
                "Now: --train.epochs 15",
            ),
            ("--train.epochs=-1", "--train.epochs -1: must be greater than or equal to 0. "),
            (
                "--train.epochs many",
                "--train.epochs many: must be a valid integer. Passes over the training set. Now: ",
            ),
            ("--teacher.student.width 0", "--teacher.student.width 0: must be greater than 0. "),
            ("--train.optimizer.lr nan", "--train.optimizer.lr nan: must be a finite number."),
            ("--train.schedule.decay cosin", "--train.schedule.decay cosin: must be 'constant', 'cosine', 'linear' or"),
            ("--train.schedule.milestones .5 2", "--train.schedule.milestones .5 2: must be less than or equal to 1."),
            ("--train.clip nothing", "--train.clip nothing: must be a valid number. Largest norm of the gradient; "),
            ("--views.flip=perhaps", "--views.flip perhaps: must be a valid boolean. Mirror left and right with "),
            ("--student.name nin", "--student.name nin: unknown model 'nin'. Did you mean 'nin_cifar'?"),
            ("--data.name cifar --train.epochs 3", "--data.name cifar: unknown data set 'cifar'. Did you mean "),
            ("--protocol.seeds 0 0", "--protocol.seeds 0 0: seeds must differ"),
            (
                "--train.epochs 3 --data.name digits --student.name net.pt2",
                "--student.name net.pt2: student.name = 'net.pt2' is a program, which cannot be trained",
            ),
            (
                "--teacher net.py:big --teacher.mean .5",
                "--teacher.mean .5: mean and std belong together; give both, each ",
            ),
            (
                "--teacher net.py:big --teacher.std 0 0 0",
                "--teacher.std 0 0 0: each number must be above 0; CIFAR-10's are 0.2470 0.2435 0.2616; mean and std b",
            ),
            ("--tracker --quiet", "--tracker needs a value. "),
            ("--alone kd", "--alone kd: alone = 'kd' needs a teacher"),
            (
                "--objective.weight 0 --train.epochs 3 --objective.labels 0",
                "--objective.weight 0, --objective.labels 0: weight and labels are both 0, so nothing would be ",
            ),
            (
                "--views.policy randaugment --views.policy.magnitude 31",
                "--views.policy.magnitude 31: must be less than or equal to 30. Strength of every operation, 0 to 30. "
                "Now: --views.policy.magnitude 9",
            ),
            ("--train.epochs", "--train.epochs needs a value. Passes over the training set. Now: --train.epochs 15"),
            ("--train.clip --quiet", "--train.clip needs a value. "),
        ],
    )
    def test_an_impossible_value_names_its_option(self, words: str, message: str) -> None:
        said = refusal(*words.split())
        assert said.startswith(message)
        assert "\n" not in said

    def test_what_cannot_be_read_is_not_counted_as_well(self) -> None:
        assert len(refusal("--protocol.seeds", "a").splitlines()) == 1
        assert refusal("--protocol.seeds").startswith("--protocol.seeds: it must have at least 1 item. Fixed before")

    def test_every_impossible_value_has_its_line(self) -> None:
        lines = refusal("--train.epochs", "x", "--train.ema", "2").splitlines()
        assert [line.partition(":")[0] for line in lines] == ["--train.epochs x", "--train.ema 2"]

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ("--train.epoch 3", "--train.epoch: there is no such option. Did you mean --train.epochs? Passes over"),
            (
                "--temperature 3",
                "--temperature: there is no such option. Did you mean --objective.temperature? Softens",
            ),
            ("--epochs 3", "--epochs: there is no such option. Did you mean --teacher.train.epochs or --train.epochs?"),
            ("--fres", "--fres: there is no such option. Did you mean --fresh? Start over"),
            ("--form onnx", "--form: there is no such option. Type --help"),
            ("--no-epochs", "--no-epochs: there is no such option."),
            ("--train.no-epochs", "--train.no-epochs: there is no such option. Did you mean --train.epochs?"),
            ("-x", "-x: there is no such option. Type --help to see them all."),
            ("--device cuda", "--device has options of its own. Type one of --device.name, --device.precision, "),
            (
                "--train.optimizer.beta1 0.5",
                "--train.optimizer.beta1 belongs to adamw; now --train.optimizer is sgd. "
                "Type --train.optimizer adamw --train.optimizer.beta1 VALUE",
            ),
            (
                "--views.policy.learned-on svhn",
                "--views.policy.learned-on belongs to autoaugment; now --views.policy is none. "
                "Type --views.policy autoaugment --views.policy.learned-on VALUE",
            ),
            (
                "--objective.label_smoothing 1 --views.policy randaugment",
                "--objective.label_smoothing belongs to cross_entropy; now --objective is kd. ",
            ),
            (
                "--views.policy.depth 3",
                "--views.policy.depth: there is no such option, because --views.policy is none.",
            ),
            (
                "--objective.temprature 3",
                "--objective.temprature: there is no such option. Did you mean --objective.te",
            ),
            ("stray", "stray: there is a recipe already, and no option that takes this word."),
            ("--train.epochs 3 4", "4: there is a recipe already, and no option that takes this word."),
            ("--fresh yes", "yes: there is a recipe already, and no option that takes this word."),
        ],
    )
    def test_an_option_that_does_not_exist(self, words: str, message: str) -> None:
        assert refusal(*words.split()).startswith(message)

    def test_an_option_of_what_is_inside(self) -> None:
        said = refusal("--objective", "standardised", "--objective.temperature", "2")
        assert said.startswith("--objective.temperature belongs to ")
        near = "Type --objective.of.temperature VALUE, or --objective kd --objective.temperature VALUE"
        assert said.rstrip().endswith(near)
