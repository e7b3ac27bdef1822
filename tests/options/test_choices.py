"""What is chosen by name: the choice first, then its own options; and what is said of names that do not exist."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from plain import AUGMENTED, PLAIN, at, parsed, refusal

from limbeck.data.views import AutoAugment, RandAugment, TrivialAugment
from limbeck.models.model import Model
from limbeck.models.sources import Source
from limbeck.objectives import DIST, KD, RKD, CrossEntropy, Sum
from limbeck.recipes import Recipe, Teachers, Weights
from limbeck.training import SGD, AdamW


def test_the_objective() -> None:
    assert parsed("--objective", "cross_entropy") == PLAIN.with_(objective=CrossEntropy())
    assert parsed("--objective", "kd", recipe=PLAIN.with_(objective=KD(temperature=9))).objective == KD(temperature=9)


def test_a_sum_of_objectives() -> None:
    assert parsed("--objective", "kd+rkd+dist").objective == Sum(terms=(KD(), RKD(), DIST()), weights=(1, 1, 1))
    assert parsed("--objective=kd+crd").objective.needs_teacher
    assert refusal("--objective", "kd+rdk").startswith("--objective rdk: unknown objective 'rdk'. Did you mean 'rkd'?")
    assert "a name is missing beside a +" in refusal("--objective", "kd+")
    assert " sum," not in refusal("--objective", "sums")


def test_the_objective_and_its_fields() -> None:
    recipe = parsed("--objective", "kd", "--objective.temperature", "2", recipe=PLAIN.with_(objective=CrossEntropy()))
    assert recipe.objective == KD(temperature=2)


@pytest.mark.parametrize(
    "words",
    [
        "--train.optimizer adamw --train.optimizer.lr 1e-3 --train.optimizer.beta1 0.8",
        "--train.optimizer.lr 1e-3 --train.optimizer.beta1 0.8 --train.optimizer=adamw",
    ],
)
def test_the_optimizer_in_any_order(words: str) -> None:
    recipe = parsed(*words.split())
    assert recipe.train.optimizer == AdamW(lr=1e-3, beta1=0.8)
    assert recipe.teacher == PLAIN.teacher
    assert recipe.train.epochs == PLAIN.train.epochs


def test_the_teachers_optimizer() -> None:
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
def test_the_policy(words: str, policy: object) -> None:
    recipe = parsed("--views.policy", *words.split())
    assert recipe.views == PLAIN.views.with_(policy=policy)


def test_a_policy_of_the_recipe_is_changed_or_left_out() -> None:
    assert at(parsed("--teacher.views.policy.magnitude", "3", recipe=AUGMENTED), "teacher.views.policy.magnitude") == 3
    assert at(parsed("--teacher.views.policy", "none", recipe=AUGMENTED), "teacher.views.policy") is None


def test_weights_as_the_teacher(run_folder: Path) -> None:
    file = run_folder / "teacher" / "weights.safetensors"
    assert parsed("--teacher", str(file)) == PLAIN.with_(teacher=Weights(path=file))


def test_a_folder_as_the_teacher(run_folder: Path) -> None:
    (run_folder / "empty").mkdir()
    assert refusal("--teacher", "runs/x") == (
        "--teacher runs/x is a folder. Type one of its weights files: runs/x/seed0/alone/weights.safetensors, "
        "runs/x/teacher/weights.safetensors"
    )
    assert "weights file runs/x/empty is a folder without a weights.safetensors" in refusal("--teacher", "runs/x/empty")


def test_a_teacher_that_is_not_there(run_folder: Path) -> None:
    expected = "--teacher gone.safetensors: weights file gone.safetensors does not exist. "
    assert refusal("--teacher", "gone.safetensors") == (f"{expected}There are: runs/x/teacher/weights.safetensors.")
    shutil.rmtree(run_folder)
    assert refusal("--teacher=gone.safetensors") == f"{expected}Check the path."


def test_no_teacher() -> None:
    alone = PLAIN.with_(teacher=None, objective=CrossEntropy())
    assert parsed("--teacher", "none", "--objective", "cross_entropy") == alone
    needs = "the objective kd needs a teacher, and there is none. Type --objective cross_entropy, or --teacher FILE"
    assert refusal("--teacher", "none").startswith(f"--teacher none: {needs}")
    assert refusal("--objective", "kd", recipe=alone).startswith(f"--objective kd: {needs}")
    assert "Type --teacher.objective cross_entropy, or --teacher.teacher FILE" in refusal("--teacher.objective", "kd")


def test_several_teachers_are_joined(run_folder: Path) -> None:
    first, second = "runs/x/teacher/weights.safetensors", "runs/x/seed0/alone/weights.safetensors"
    teacher = parsed("--teacher", f"{first}+{second}").teacher
    assert teacher == Teachers(members=(Weights(path=Path(first)), Weights(path=Path(second))))
    assert "weights file gone.safetensors does not exist" in refusal("--teacher", f"{first}+gone.safetensors")
    refused = refusal("--teacher", f"{first}+{second}", "--teacher.train.epochs", "3")
    assert refused.startswith("--teacher.train.epochs: --teacher is several, and the fields of each cannot be typed.")
    refused = refusal("--objective", "kd+rkd", "--objective.temperature", "2")
    assert refused.endswith("in a recipe.py of your own, for example objective=KD(temperature=2) + RKD(labels=0)")


@pytest.mark.parametrize("teacher", ["none", "runs/x/teacher/weights.safetensors"])
@pytest.mark.parametrize("option", ["--teacher.train.optimizer adamw", "--teacher.objective kd", "--teacher.x 1"])
def test_a_teacher_that_is_not_trained_has_no_options(run_folder: Path, teacher: str, option: str) -> None:
    choices = ("--teacher", teacher, "--objective", "cross_entropy")
    because = f"there is no such option, because --teacher is {teacher}."
    assert refusal(*option.split(), *choices) == (f"{option.split()[0]}: {because} Leave `--teacher {teacher}` away.")
    assert refusal(*option.split(), recipe=parsed(*choices)) == (
        f"{option.split()[0]}: {because} Known for --teacher: FILE.pt (TorchScript), FILE.pt2, FILE.safetensors, "
        "path/to/file.py:FUNCTION, timm/NAME, torchvision/NAME, none."
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "--objective kdd",
            "--objective kdd: unknown objective 'kdd'. Did you mean 'kd'? Known: ab, attention, cc, ",
        ),
        (
            "--objective none",
            "--objective none: unknown objective 'none'. ",
        ),
        (
            "--train.optimizer adam",
            "--train.optimizer adam: unknown optimizer 'adam'. Did you mean 'adamw'? Known: adamw, sgd.",
        ),
        (
            "--views.policy randaug",
            "--views.policy randaug: unknown policy 'randaug'. Did you mean 'randaugment'? "
            "Known: autoaugment, none, randaugment, trivialaugment.",
        ),
        (
            "--teacher alexnet",
            "--teacher alexnet: unknown teacher 'alexnet'. Known: FILE.pt (TorchScript), FILE.pt2, FILE.safetensors, "
            "none, path/to/file.py:FUNCTION, timm/NAME, torchvision/NAME.",
        ),
        (
            "--logits cached",
            "--logits cached: unknown logits 'cached'. Known: in_train_mode, live, none, stored, table.",
        ),
        *(
            (words, "--train.optimizer needs a name. Known: adamw, sgd. Type --train.optimizer adamw")
            for words in ("--train.optimizer", "--train.optimizer --quiet", "--train.optimizer=")
        ),
    ],
)
def test_a_name_that_does_not_exist(words: str, message: str) -> None:
    assert refusal(*words.split()).startswith(message)


def test_networks_of_others_as_teachers_and_students() -> None:
    recipe = parsed("--teacher", "timm/resnet18", "--teacher.weights", "w.pth", "--teacher.size", "64")
    assert recipe.teacher == Source(name="timm/resnet18", weights=Path("w.pth"), size=64)
    assert parsed("--teacher.size", "96", recipe=recipe).teacher == recipe.teacher.with_(size=96)
    again = parsed("--teacher", "timm/resnet18", recipe=recipe)
    assert again.teacher == recipe.teacher
    both = parsed("--teacher", "timm/resnet18+net.pt2").teacher
    assert both == Teachers(members=[Source(name="timm/resnet18"), Source(name="net.pt2")])
    student = parsed("--student.name", "own.py:net", "--student.size", "48", recipe=at_half_width()).student
    assert student == Model(name="own.py:net", size=48)
    assert parsed("--teacher.student.name", "timm/resnet18", "--teacher.student.pretrained").teacher.student == Model(
        name="timm/resnet18", pretrained=True
    )
    said = refusal("--teacher.pretrained")
    assert "--teacher.pretrained belongs to timm/NAME; now --teacher is trained as this recipe says" in said
    assert "width = 0.5 has no effect: own.py:net is as wide" in refusal(
        "--student.name", "own.py:net", "--student.width", "0.5"
    )


def at_half_width() -> Recipe:
    return PLAIN.with_(student=Model(name="nin_cifar", width=0.5, dropout=0.1))
