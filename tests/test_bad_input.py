"""Mistakes in what is typed: each gets one clear message on the error output, exit code 2 and no traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from limbeck.recipes import Recipe

Fails = Callable[..., str]


UNKNOWN = {
    "rnu": "error: unknown command 'rnu'. Did you mean 'run'? Known: data, evaluate, recipes, run, summary. ",
    "run digitz": "error: unknown recipe 'digitz'. Did you mean 'digits'? Known: ",
    "run tiny --student.name nin_cifr": "error: unknown model 'nin_cifr'. Did you mean 'nin_cifar'? Known: alexnet",
    "run tiny --teacher.student.name resnet": "error: unknown model 'resnet'. Known: alexnet_cifar, nin_cifar",
    "run tiny --data.name cifar": "error: unknown data set 'cifar'. Did you mean 'cifar10'? Known: cifar10, cifar10_1",
    "run tiny --data.tests nothing": "error: unknown data set 'nothing'. Known: cifar10, cifar10_1, digits",
    "run tiny --objective kdd": "error: unknown objective 'kdd'. Did you mean 'kd'? Known: ",
    "run tiny --train.optimizer adam": "error: unknown train.optimizer 'adam'. Did you mean 'adamw'? Known: adamw, sgd",
    "run tiny --device.name tpu": "error: device 'tpu' is not available. On this machine: auto, ",
    "run tiny --device.name cuda:99": "error: device 'cuda:99' is not available",
    "run tiny --device.name cpu:3": "error: device 'cpu:3' is not available: there is one cpu. Type --device.name cpu",
    "run --student.nam nin_cifar": "--student.name",
    "run tiny --bogus 3": "Unrecognized options: --bogus",
    "run tiny --train.epochs many": "--train.epochs",
    "summary": "error: which model? Known: alexnet_cifar, nin_cifar, ",
    "summary nin": "error: unknown model 'nin'. Did you mean 'nin_cifar'?",
    "summary nin_cifar --width 0": "error: width must be above 0 and at most 100, not 0.0.",
    "summary nin_cifar --wide 2": "Unrecognized options: --wide",
    "recipes nothing": "error: unknown recipe 'nothing'. ",
    "recipes --all": "error: `limbeck recipes` has no option '--all'. Usage: limbeck recipes [RECIPE...]",
    "data fetsch": "error: unknown action 'fetsch'. Did you mean 'fetch'?",
    "data fetch": "error: which data set? Known: ",
    "data list nothing": "error: unknown data set 'nothing'. Known: ",
    "data --all": "error: `limbeck data` has no option '--all'. Usage: limbeck data list|fetch|verify [NAME...]",
}

IMPOSSIBLE = {
    "--objective.temperature 0": "KD.temperature = 0.0 is not possible: should be greater than 0.",
    "--train.epochs -1": "Train.epochs = -1 is not possible: should be greater than or equal to 0.",
    "--train.batch-size 0": "Train.batch_size = 0 is not possible: should be greater than or equal to 1.",
    "--train.batch-size 89": "error: train.batch_size = 89 is larger than the training set of 88 pictures. Type "
    "--train.batch-size 88, or hold out fewer with --protocol.holdout.",
    "--teacher.train.batch-size 89": "error: teacher.train.batch_size = 89 is larger than the training set of 88 "
    "pictures. Type --teacher.train.batch-size 88",
    "--student.width 0": "Model.width = 0.0 is not possible: should be greater than 0.",
    "--teacher.student.width -1": "Model.width = -1.0 is not possible",
    "--protocol.seeds 1 1": "Protocol.seeds = (1, 1) is not possible: seeds must differ from each other",
    "--protocol.holdout 120": "cannot hold 120 pictures out of the 120 of few: give 0 to 119.",
    "--protocol.holdout -1": "Protocol.holdout = -1 is not possible",
    "--train.optimizer.lr nan": "SGD.lr = nan is not possible: should be a finite number.",
    "--train.ema 1": "Train.ema = 1.0 is not possible: should be less than 1.",
    "--device.threads 0": "Device.threads = 0 is not possible",
    "--teacher none": "objective 'kd' needs a teacher; give one, or choose cross_entropy",
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
    assert "error: recipe file gone.py does not exist. Check the path" in fails("run", "gone.py")
