"""Mistakes in what is typed: each gets one clear message on the error output, exit code 2 and no traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from limbeck.recipes import Recipe

Fails = Callable[..., str]


UNKNOWN = {
    "rnu": "error: unknown command 'rnu'. Did you mean 'run'? Known: check, ",
    "run digitz": "error: unknown recipe 'digitz'. Did you mean 'digits'? Known: ",
    "run tiny --student.name nin_cifr": "error: --student.name nin_cifr: unknown model 'nin_cifr'. Did you mean ",
    "run tiny --teacher.student.name resnet": "error: --teacher.student.name resnet: unknown model "
    "'resnet'. Did you mean 'resnet8'? Known: alexnet_cifar, ",
    "run tiny --data.name cifar": "error: --data.name cifar: unknown data set 'cifar'. Did you mean 'cifar10'?",
    "run tiny --data.tests nothing": "error: --data.tests nothing: unknown data set 'nothing'. Known: cifar10",
    "run tiny --objective kdd": "error: --objective kdd: unknown objective 'kdd'. Did you mean 'kd'? Known: ",
    "run tiny --train.optimizer adam": "error: --train.optimizer adam: unknown optimizer 'adam'. Did you mean ",
    "run tiny --device.name tpu": "error: device 'tpu' is not available. On this machine: auto, ",
    "run tiny --device.name cuda:99": "error: device 'cuda:99' is not available",
    "run tiny --device.name cpu:3": "error: device 'cpu:3' is not available: there is one cpu. Type --device.name cpu",
    "run --student.nam nin_cifar": "error: --student.nam: there is no such option. Did you mean --student.name? ",
    "run tiny --bogus 3": "error: --bogus: there is no such option. ",
    "run tiny --train.epochs many": "error: --train.epochs many: must be a valid integer. ",
    "run --quiet nothing": "error: unknown recipe 'nothing'. ",
    "run tiny digits": "error: digits: there is a recipe already, and no option that takes this word. Type `limbeck ",
    "summary nin": "error: unknown model 'nin'. Did you mean 'nin_cifar'?",
    "summary nin_cifar --width 0": "error: --width 0: must be greater than 0. ",
    "summary nin_cifar --wide 2": "error: --wide: there is no such option. Did you mean --width? ",
    "recipes nothing": "error: unknown recipe 'nothing'. ",
    "recipes --all": "error: --all: `limbeck recipes` has no such option. It is typed: limbeck recipes [RECIPE...]\n",
    "data fetsch": "error: unknown action 'fetsch'. Did you mean 'fetch'?",
    "data fetch": "error: which data set? Known: ",
    "data list nothing": "error: unknown data set 'nothing'. Known: ",
    "data --all": "error: --all: `limbeck data` has no such option. It is typed: limbeck data [list|fetch|",
}

IMPOSSIBLE = {
    "--objective.temperature 0": "--objective.temperature 0: must be greater than 0. ",
    "--train.epochs -1": "--train.epochs -1: must be greater than or equal to 0. ",
    "--train.batch-size 0": "--train.batch-size 0: must be greater than or equal to 1. ",
    "--train.batch-size 89": "error: train.batch_size = 89 is larger than the training set of 88 pictures. Type "
    "--train.batch-size 88, or hold out fewer with --protocol.holdout.",
    "--teacher.train.batch-size 89": "error: teacher.train.batch_size = 89 is larger than the training set of 88 "
    "pictures. Type --teacher.train.batch-size 88",
    "--student.width 0": "--student.width 0: must be greater than 0. ",
    "--teacher.student.width -1": "--teacher.student.width -1: must be greater than 0. ",
    "--protocol.seeds 1 1": "--protocol.seeds 1 1: seeds must differ from each other",
    "--protocol.holdout 120": "cannot hold 120 pictures out of the 120 of few: give 0 to 119.",
    "--protocol.holdout -1": "--protocol.holdout -1: must be greater",
    "--train.optimizer.lr nan": "--train.optimizer.lr nan: must be a finite number. ",
    "--train.ema 1": "--train.ema 1: must be less than 1. ",
    "--device.threads 0": "--device.threads 0: must be greater than or equal to 1. ",
    "--teacher none": "--teacher none: the objective kd needs a teacher, and there is none. Type --objective ",
    "--teacher gone.safetensors": "weights file gone.safetensors does not exist. Check the path.",
}


@pytest.mark.parametrize("command", UNKNOWN)
def test_a_name_that_does_not_exist(fails: Fails, command: str) -> None:
    assert UNKNOWN[command] in fails(*command.split())


@pytest.mark.parametrize("options", IMPOSSIBLE)
def test_an_impossible_value(fails: Fails, options: str) -> None:
    said = fails("run", "tiny", "--quiet", *options.split())
    assert said.startswith("error: ")
    assert said.count("error") == 1
    assert IMPOSSIBLE[options] in said
    assert not list(Path().rglob("*.safetensors"))


def test_a_teacher_that_is_not_there_is_found_out_before_a_folder_is_made(fails: Fails) -> None:
    assert "weights file gone.safetensors does not exist" in fails("run", "tiny", "--teacher", "gone.safetensors")
    assert not list(Path().iterdir())


def test_a_batch_larger_than_the_data_of_a_teachers_teacher(tiny: Recipe, fails: Fails, tmp_path: Path) -> None:
    file = tmp_path / "assistants.py"
    file.write_text(
        "import limbeck\n"
        "def mine():\n"
        "    recipe = limbeck.recipes.find('tiny')\n"
        "    above = recipe.teacher.with_(train=recipe.teacher.train.with_(batch_size=99))\n"
        "    return recipe.with_(teacher=recipe.teacher.with_(teacher=above))\n"
    )
    assert "teacher.teacher.train.batch_size = 99 is larger than the training set of 88" in fails("run", str(file))


RECIPE_FILES = {
    "def broken(:\n": "cannot be run: SyntaxError",
    "import no_such_module\n": "cannot be run: ModuleNotFoundError: No module named 'no_such_module'",
    "x = 1\n": "should have one public function that takes nothing and returns a Recipe, but has none",
    "def one(): pass\ndef two(): pass\n": "but has 2: one, two. Type ",
    "def mine(): return 3\n": ":mine returned int, not a limbeck.Recipe.",
    "import limbeck\ndef mine(): return limbeck.Recipe(name='a b')\n": "Recipe.name = 'a b' is not possible",
    "import limbeck\ndef mine(): return limbeck.Recipe(name='a', epochs=3)\n": "Recipe.epochs: there is no such field",
}


@pytest.mark.parametrize("content", RECIPE_FILES)
def test_a_recipe_file_with_a_mistake(fails: Fails, tmp_path: Path, content: str) -> None:
    (tmp_path / "mine.py").write_text(content)
    assert RECIPE_FILES[content] in fails("run", str(tmp_path / "mine.py"))


def test_a_recipe_file_that_is_not_there(fails: Fails) -> None:
    assert "error: file gone.py does not exist. Type `limbeck recipes`" in fails("run", "gone.py")
