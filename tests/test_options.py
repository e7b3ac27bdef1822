"""A recipe's fields as options: by path, with types; and what is said of options that do not exist."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from limbeck.arguments import options
from limbeck.data.views import AutoAugment, RandAugment, TrivialAugment, Views
from limbeck.errors import LimbeckError
from limbeck.models.model import Model
from limbeck.objectives import DIST, KD, RKD, CrossEntropy, Sum
from limbeck.options import EvaluateOptions, RunOptions, describe, parse, parse_evaluate, parse_run, sketch
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


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run of the plain recipe, which is runs/x from where the test works."""
    monkeypatch.chdir(tmp_path)
    for network in ("teacher", "seed0/alone"):
        (tmp_path / "runs" / "x" / network).mkdir(parents=True)
        (tmp_path / "runs" / "x" / network / "weights.safetensors").touch()
    Path("runs/x/recipe.json").write_text(PLAIN.model_dump_json())
    return Path("runs/x")


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

    def test_a_sum_of_objectives(self) -> None:
        assert parsed("--objective", "kd+rkd+dist").objective == Sum(terms=(KD(), RKD(), DIST()), weights=(1, 1, 1))
        assert parsed("--objective=kd+crd").objective.needs_teacher
        assert refusal("--objective", "kd+rdk").startswith(
            "--objective rdk: unknown objective 'rdk'. Did you mean 'rkd'?"
        )
        assert "a name is missing beside a +" in refusal("--objective", "kd+")
        assert " sum," not in refusal("--objective", "sums")

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

    def test_weights_as_the_teacher(self, run: Path) -> None:
        file = run / "teacher" / "weights.safetensors"
        assert parsed("--teacher", str(file)) == PLAIN.with_(teacher=Weights(path=file))

    def test_a_folder_as_the_teacher(self, run: Path) -> None:
        (run / "empty").mkdir()
        assert refusal("--teacher", "runs/x") == (
            "--teacher runs/x is a folder. Type one of its weights files: runs/x/seed0/alone/weights.safetensors, "
            "runs/x/teacher/weights.safetensors"
        )
        assert "weights file runs/x/empty is a folder without a weights.safetensors" in refusal(
            "--teacher", "runs/x/empty"
        )

    def test_a_teacher_that_is_not_there(self, run: Path) -> None:
        expected = "--teacher gone.safetensors: weights file gone.safetensors does not exist. "
        assert refusal("--teacher", "gone.safetensors") == (f"{expected}There are: runs/x/teacher/weights.safetensors.")
        shutil.rmtree(run)
        assert refusal("--teacher=gone.safetensors") == f"{expected}Check the path."

    def test_no_teacher(self) -> None:
        alone = PLAIN.with_(teacher=None, objective=CrossEntropy())
        assert parsed("--teacher", "none", "--objective", "cross_entropy") == alone
        needs = "the objective kd needs a teacher, and there is none. Type --objective cross_entropy, or --teacher FILE"
        assert refusal("--teacher", "none").startswith(f"--teacher none: {needs}")
        assert refusal("--objective", "kd", recipe=alone).startswith(f"--objective kd: {needs}")
        assert "Type --teacher.objective cross_entropy, or --teacher.teacher FILE" in refusal(
            "--teacher.objective", "kd"
        )

    @pytest.mark.parametrize("teacher", ["none", "runs/x/teacher/weights.safetensors"])
    @pytest.mark.parametrize("option", ["--teacher.train.optimizer adamw", "--teacher.objective kd", "--teacher.x 1"])
    def test_a_teacher_that_is_not_trained_has_no_options(self, run: Path, teacher: str, option: str) -> None:
        choices = ("--teacher", teacher, "--objective", "cross_entropy")
        because = f"there is no such option, because --teacher is {teacher}."
        assert refusal(*option.split(), *choices) == (
            f"{option.split()[0]}: {because} Leave `--teacher {teacher}` away."
        )
        assert refusal(*option.split(), recipe=parsed(*choices)) == (
            f"{option.split()[0]}: {because} Known for --teacher: FILE.safetensors, none."
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
            ("--teacher alexnet", "--teacher alexnet: unknown teacher 'alexnet'. Known: FILE.safetensors, none."),
            ("--logits cached", "--logits cached: unknown logits 'cached'. Known: in_train_mode, live, none, stored."),
            *(
                (words, "--train.optimizer needs a name. Known: adamw, sgd. Type --train.optimizer adamw")
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
            ("--train.batch_size 0", "--train.batch_size 0: must be greater than or equal to 1. "),
            ("--teacher.student.width 0", "--teacher.student.width 0: must be greater than 0. "),
            ("--train.optimizer.lr nan", "--train.optimizer.lr nan: must be a finite number."),
            ("--train.schedule.warmup inf", "--train.schedule.warmup inf: must be a finite number."),
            ("--train.schedule.decay cosin", "--train.schedule.decay cosin: must be 'constant', 'cosine', 'linear' or"),
            ("--train.schedule.milestones .5 2", "--train.schedule.milestones .5 2: must be less than or equal to 1."),
            ("--train.clip nothing", "--train.clip nothing: must be a valid number. Largest norm of the gradient; "),
            ("--views.flip=perhaps", "--views.flip perhaps: must be a valid boolean. Mirror left and right with "),
            ("--student.name nin", "--student.name nin: unknown model 'nin'. Did you mean 'nin_cifar'?"),
            ("--data.name cifar --train.epochs 3", "--data.name cifar: unknown data set 'cifar'. Did you mean "),
            ("--protocol.seeds 0 0", "--protocol.seeds 0 0: seeds must differ"),
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
            ("--no-epochs", "--no-epochs: there is no such option."),
            ("--train.no-epochs", "--train.no-epochs: there is no such option. Did you mean --train.epochs?"),
            ("-x", "-x: there is no such option. Type --help to see them all."),
            ("--device cuda", "--device has options of its own. Type one of --device.name, --device.precision, "),
            ("--student nin_cifar", "--student has options of its own. Type one of --student.name, --student.width, "),
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
            ("--nothing.of.the kind", "--nothing.of.the: there is no such option."),
            ("stray", "stray: there is a recipe already, and no option that takes this word."),
            ("--train.epochs 3 4", "4: there is a recipe already, and no option that takes this word."),
            ("--fresh yes", "yes: there is a recipe already, and no option that takes this word."),
        ],
    )
    def test_an_option_that_does_not_exist(self, words: str, message: str) -> None:
        assert refusal(*words.split()).startswith(message)


class TestTheRecipesName:
    @pytest.mark.parametrize(
        ("words", "name", "epochs"),
        [
            ("", "digits", 18),
            ("cifar10_cpu", "cifar10_cpu", 8),
            ("--quiet cifar10_cpu", "cifar10_cpu", 8),
            ("--train.epochs 3 cifar10_cpu", "cifar10_cpu", 3),
            ("--train.epochs=3 --views.no-flip cifar10_cpu --fresh", "cifar10_cpu", 3),
            ("--protocol.seeds 0 1 2", "digits", 18),
            ("--protocol.seeds 0 1 2 --fresh cifar10_cpu", "cifar10_cpu", 8),
            ("--data.name cifar10", "digits", 18),
        ],
    )
    def test_it_may_stand_anywhere(self, words: str, name: str, epochs: int) -> None:
        recipe, _ = parse_run(words.split(), "")
        assert (recipe.name, recipe.train.epochs) == (name, epochs)

    @pytest.mark.parametrize("words", ["--help cifar10_cpu", "-h cifar10_cpu", "cifar10_cpu --help"])
    def test_help_is_about_it(self, words: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            parse_run(words.split(), "")
        assert "shown with what the recipe cifar10_cpu has." in capsys.readouterr().out

    def test_an_unknown_option_before_it_is_what_is_refused(self) -> None:
        with pytest.raises(LimbeckError, match=r"^--objective\.beth: there is no such option"):
            parse_run(["--objective.beth", "3", "cifar10"], "")

    def test_a_runs_folder_is_continued(self, run: Path) -> None:
        assert parse_run(["runs/x", "--quiet"], "") == (PLAIN, RunOptions(out=Path("runs/x"), quiet=True))
        assert parse_run(["runs/x", "--out", "y"], "") == (PLAIN, RunOptions(out=Path("y")))

    def test_a_runs_folder_and_another_recipe_is_another_run(self, run: Path) -> None:
        recipe, options = parse_run(["runs/x", "--train.epochs", "3"], "")
        assert recipe == PLAIN.with_(train=PLAIN.train.with_(epochs=3))
        assert options.out is None

    def test_a_folder_that_is_no_runs(self, run: Path) -> None:
        with pytest.raises(LimbeckError, match=r"^runs is a folder, but not of a run: it has no recipe\.json\. Give"):
            parse_run(["runs"], "")

    def test_a_recipe_is_described_as_run_takes_it(self, run: Path) -> None:
        assert describe("runs/x") == (
            "runs/x\n"
            "  recipe plain, on digits, judged on digits\n"
            "  teacher: alexnet_cifar x0.5, 20 epochs\n"
            "  student: nin_cifar, 15 epochs, alone by cross_entropy and distilled by kd, seeds 0 1 2\n\n"
            "  Command: limbeck run runs/x\n"
        )
        weights = Weights(path=Path("w.safetensors"))
        assert "teacher: w.safetensors" in sketch(PLAIN.with_(teacher=weights))
        assert "teacher" not in sketch(PLAIN.with_(teacher=None, objective=CrossEntropy()))


class TestWhatIsEvaluated:
    @pytest.fixture
    def weights(self, run: Path) -> str:
        return str(run / "teacher" / "weights.safetensors")

    def refusal(self, *words: str) -> str:
        with pytest.raises(LimbeckError) as caught:
            parse_evaluate(words, "")
        return str(caught.value)

    def test_the_options(self, weights: str) -> None:
        words = ["--split", "train", weights, "--data", "digits", "few", "--json", "new/figures.json"]
        path, asked = parse_evaluate(words, "")
        assert path == Path(weights)
        assert (asked.split, asked.data, asked.json_) == ("train", ("digits", "few"), Path("new/figures.json"))
        assert parse_evaluate(["runs/x"], "")[1] == EvaluateOptions()

    def test_nothing_or_too_much(self, weights: str) -> None:
        assert self.refusal("--data", weights).startswith("which run's folder, or which weights file? Type it first: ")
        assert self.refusal("a", "b").startswith("which one of a, b? Type it first: limbeck evaluate runs/RUN")

    def test_what_does_not_exist(self, run: Path) -> None:
        run.with_name("digits-1a2b3c4d").mkdir()
        (run.with_name("digits-1a2b3c4d") / "recipe.json").touch()
        said = "does not exist. Give the folder of a run, or a weights file (FOLDER/weights.safetensors). There is"
        assert self.refusal("digits-1a2b") == f"digits-1a2b {said} runs/digits-1a2b3c4d."
        assert self.refusal("nowhere") == f"nowhere {said} runs/digits-1a2b3c4d."
        shutil.rmtree("runs")
        assert self.refusal("nowhere").endswith("`limbeck run` makes a run, in the folder runs.")

    def test_what_is_not_trained(self, run: Path) -> None:
        Path("own.py").touch()
        Path("model.pt").touch()
        assert self.refusal("runs/x/recipe.json").startswith("runs/x/recipe.json is a recipe, not something trained.")
        assert self.refusal("own.py").startswith("own.py is a recipe, not something trained. Type `limbeck run own.py`")
        assert self.refusal("model.pt").startswith("model.pt is no weights file: those end in .safetensors.")

    def test_figures_that_could_not_be_written(self, weights: str) -> None:
        assert self.refusal(weights, "--json", "runs") == "--json runs: this is a folder. Type --json runs/figures.json"
        Path("file").touch()
        assert self.refusal(weights, "--json", "file/x.json").startswith("cannot write file")
        assert not list(Path().rglob("*.part"))


class TestHelp:
    def help(self, capsys: pytest.CaptureFixture[str], *words: str, recipe: Recipe = PLAIN) -> str:
        with pytest.raises(SystemExit) as caught:
            parsed(*words, "--help", recipe=recipe)
        assert caught.value.code == 0
        return capsys.readouterr().out

    def test_options_have_types_defaults_and_explanations(self, capsys: pytest.CaptureFixture[str]) -> None:
        text = self.help(capsys)
        assert text.startswith("limbeck run plain\n")
        assert "--train.epochs INT" in text
        assert f"Passes over the training set. (now: {PLAIN.train.epochs})" in text
        assert "--train.clip FLOAT|none" in text
        assert "--protocol.seeds INT ..." in text
        assert "--train.schedule.milestones FLOAT ..." in text
        assert "--student.mean FLOAT ...|none" in text
        assert (
            "--views.padding NAME\n      What the padding is filled with. One of: zeros, reflect. (now: zeros)" in text
        )
        assert "--data.tests TEXT ...\n      Test sets; empty: the training set's own. (now: empty)" in text
        assert "--train.optimizer.no-nesterov\n      Nesterov's momentum. (now: on)" in text
        assert "--out PATH|none" in text
        assert "Start over: what the folder has of an earlier run" in text

    def test_what_is_chosen_by_name_has_its_names_meaning_and_present_one(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = " ".join(self.help(capsys).split())
        for said in (
            "--objective NAME What is learned; several, joined by +, are added up. One of: ab, attention, cc,",
            "(now: kd) --objective.weight FLOAT",
            "--train.optimizer NAME sgd or adamw. One of: adamw, sgd. (now: sgd)",
            "--views.policy NAME A policy's name, or none. One of: autoaugment, randaugment, trivialaugment, none. "
            "(now: none)",
            "--teacher NAME Who labels the views; none: nobody. One of: FILE.safetensors, none. (now: trained as this "
            "recipe says)",
            "--logits NAME stored: the teacher's answers are kept",
            "--alone NAME What the student alone is trained for;",
        ):
            assert said in text
        assert "--student NAME" not in text
        assert "--device NAME" not in text

    @pytest.mark.parametrize("columns", [60, 80, 120])
    def test_it_is_readable_on_any_terminal(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
    ) -> None:
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = self.help(capsys, recipe=CATALOGUE["lab3"]()).splitlines()
        assert min(columns, 100) - 12 < max(map(len, lines)) <= min(columns, 100)
        assert not [line for line in lines if line.startswith("  --") and len(line) > 60]

    def test_every_option_is_there_once(self, capsys: pytest.CaptureFixture[str]) -> None:
        names = [line.split()[0] for line in self.help(capsys).splitlines() if line.startswith("  --")]
        assert len(set(names)) == len(names)
        fields = {option.typed for spec in (PLAIN, RunOptions()) for option in options(spec)}
        assert {name.replace(".no-", ".") for name in names} == fields

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
