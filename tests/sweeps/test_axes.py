"""Which trials a command line describes, and what it says of mistakes in any of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from limbeck.errors import LimbeckError
from limbeck.objectives import DKD, KD, RKD
from limbeck.recipes import Recipe
from limbeck.sweeps import SweepOptions, Trial, parse, planned
from limbeck.sweeps.settings import given, said

Refusal = Callable[..., str]


def trials(*words: str) -> list[str]:
    """What each trial varies, in few words."""
    return [short(trial) for trial in parse(["brief", *words], "")[0].trials]


def short(trial: Trial) -> str:
    return " ".join(f"{option.rpartition('.')[2].removeprefix('--')} {value}" for option, value in trial.varies.items())


class TestProduct:
    def test_in_the_typed_order(self, brief: Recipe) -> None:
        words = "--objective.temperature 2,4 --objective kd,dkd"
        assert trials(*words.split()) == [
            *("temperature 2 objective kd", "temperature 2 objective dkd"),
            *("temperature 4 objective kd", "temperature 4 objective dkd"),
        ]
        plan, _ = parse(["brief", *words.split()], "")
        assert [trial.recipe.objective for trial in plan.trials] == [
            *(KD(temperature=2), DKD(temperature=2)),
            *(KD(temperature=4), DKD(temperature=4)),
        ]

    def test_an_option_of_one_objective_varies_its_trials_alone(self, brief: Recipe) -> None:
        words = "--objective kd,dkd --objective.temperature 2,4 --objective.alpha .5,1,2"
        assert trials(*words.split()) == [
            *("objective kd temperature 2", "objective kd temperature 4"),
            *(f"objective dkd temperature {t} alpha {alpha}" for t in (2, 4) for alpha in (".5", "1", "2")),
        ]

    def test_a_fixed_option_of_one_objective_is_for_it_alone(self, brief: Recipe) -> None:
        plan, _ = parse(["brief", "--objective", "kd,dkd", "--objective.alpha", "3"], "")
        assert [trial.recipe.objective for trial in plan.trials] == [KD(), DKD(alpha=3)]
        assert [trial.words for trial in plan.trials] == [
            ("--objective", "kd"),
            ("--objective", "dkd", "--objective.alpha", "3"),
        ]

    def test_choices_inside_choices(self, brief: Recipe) -> None:
        words = "--objective standardised,kd --objective.of kd,dkd --objective.of.alpha 1,2"
        assert trials(*words.split()) == [
            "objective standardised of kd",
            *("objective standardised of dkd alpha 1", "objective standardised of dkd alpha 2"),
            "objective kd",
        ]

    def test_sums_numbers_pairs_and_networks(self, brief: Recipe) -> None:
        words = "--objective kd+rkd,dkd --train.optimizer.lr 1e-3, 2e-3 --train.schedule.milestones .5 .7,.6 .8"
        plan, _ = parse(["brief", *words.split(), "--student.width=.0625,.125"], "")
        assert len(plan.trials) == 16
        last = plan.trials[-1].recipe
        assert (last.train.optimizer.lr, last.train.schedule.milestones, last.student.width) == (
            2e-3,
            (0.6, 0.8),
            0.125,
        )
        assert plan.trials[0].recipe.objective == KD() + RKD()

    def test_the_same_recipe_is_one_trial(self, brief: Recipe) -> None:
        assert trials("--train.epochs", "1,2,1", "--objective.temperature", "2,2.0") == [
            *("epochs 1 temperature 2", "epochs 2 temperature 2")
        ]

    def test_what_runs_each_for_good(self, brief: Recipe) -> None:
        words = "--out a,b brief --objective kd,dkd --views.flip --objective.temperature=2 --quiet --train.epochs 3"
        plan, own = parse(words.split(), "")
        assert [plan.command(trial) for trial in plan.trials] == [
            f"limbeck run brief --objective {name} --views.flip --objective.temperature=2 --train.epochs 3"
            for name in ("kd", "dkd")
        ]
        assert own == SweepOptions(out=Path("a,b"), quiet=True)

    def test_its_digest_is_that_of_the_trials(self, brief: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("limbeck.sweeps.axes.find_spec", lambda name: True)  # Optuna need not be there for this
        digests = [
            parse(["brief", "--train.epochs", *words.split()], "")[0].digest()
            for words in ("1,2", "1,2,3", "1, 2 --quiet", "1..2 --search 3", "1..2 --search 4")
        ]
        assert digests[0] == digests[2]
        assert len(set(digests)) == 4


class TestFromPython:
    def plan(self, recipe: Recipe, **axes: object) -> list[Trial]:
        settings = given({path.replace("__", "."): values for path, values in axes.items()})
        return list(planned(recipe, settings, SweepOptions(), "brief")[0].trials)

    def test_texts_numbers_descriptions_and_flags(self, brief: Recipe) -> None:
        found = self.plan(brief, objective=["kd", DKD(alpha=2) + 0.5 * RKD()], train__epochs=(1, 2))
        assert [short(trial) for trial in found] == [
            *("objective kd epochs 1", "objective kd epochs 2"),
            *(f"objective dkd(alpha=2.0)+0.5*rkd epochs {epochs}" for epochs in (1, 2)),
        ]
        assert found[3].recipe.objective == DKD(alpha=2) + 0.5 * RKD()
        assert [trial.words is None for trial in found] == [False, False, True, True]
        flags = self.plan(brief, views__flip=[True, False], train__clip=[None, 1.0])
        assert [(trial.recipe.views.flip, trial.recipe.train.clip) for trial in flags] == [
            *((True, None), (True, 1.0), (False, None), (False, 1.0))
        ]

    def test_fields_of_a_description_that_was_given(self, brief: Recipe) -> None:
        found = self.plan(brief, objective=[DKD(alpha=2), KD()], objective__beta="1,2")
        assert [trial.recipe.objective for trial in found] == [DKD(alpha=2, beta=1), DKD(alpha=2, beta=2), KD()]

    def test_what_is_no_sequence(self, brief: Recipe) -> None:
        with pytest.raises(LimbeckError, match=r"^axis 'train\.epochs' = 3: give a sequence of values"):
            self.plan(brief, train__epochs=3)

    def test_a_name(self) -> None:
        assert said(KD(temperature=2)) == "kd(temperature=2.0)"


class TestMistakes:
    def test_nobody_has_that_option(self, refusal: Refusal) -> None:
        said = refusal("--objective", "kd,dist", "--objective.alpha", "1,2")
        assert said.startswith("error: --objective.alpha belongs to dkd")
        assert "; now --objective is kd. Type --objective dkd --objective.alpha VALUE" in said

    def test_in_any_trial(self, refusal: Refusal) -> None:
        said = refusal("--objective", "kd,dkk")
        assert said.startswith("error: --objective dkk: unknown objective 'dkk'. Did you mean 'dkd'?")
        said = refusal("--objective", "dkd", "--objective.temperature", "2,-1")
        assert said.startswith("error: --objective.temperature -1: must be greater than 0. ")
        assert refusal("--train.epoch", "1,2").startswith("error: --train.epoch: there is no such option. Did you mean")
        said = refusal("--train.batch-size", "32,89")
        assert "train.batch_size = 89 is larger than the training set of 88 pictures." in said
        assert "This is the trial train.batch-size 89." in said

    def test_what_only_a_rehearsal_finds(self, refusal: Refusal) -> None:
        said = refusal(
            *[
                "--objective",
                "kd,fitnet",
                "--objective.student-taps",
                "nowhere",
                "--objective.teacher-taps",
                "classifier",
            ]
        )
        assert "nowhere" in said
        assert "This is the trial objective fitnet." in said
        assert not Path("sweeps").exists()

    def test_a_comma_too_many(self, refusal: Refusal) -> None:
        for words in ("kd,", "kd,,dkd", ",kd"):
            said = refusal("--objective", words)
            assert said == (
                f"error: --objective {words}: a value is missing beside a comma. Type, for example, --objective 2,4\n"
            )

    def test_what_has_to_be_the_same(self, refusal: Refusal) -> None:
        said = refusal("--protocol.seeds", "0,1")
        assert said.endswith("under one name. Give one value for all of them: --protocol.seeds 0 1 2\n")
        assert "--data.name few,digits: the trials of a sweep" in refusal("--data.name", "few,digits")

    def test_nothing_to_vary(self, refusal: Refusal) -> None:
        assert refusal("--objective", "kd").startswith("error: a sweep needs something to vary. Type several values")

    def test_nothing_held_out(self, refusal: Refusal) -> None:
        said = refusal("--objective", "kd,dkd", "--protocol.holdout", "0")
        assert said.endswith("Type --protocol.holdout 12 for a tenth of its training set.\n")

    def test_a_range_without_a_search(self, refusal: Refusal) -> None:
        said = refusal("--train.optimizer.lr", "1e-4..1e-2")
        assert said == (
            "error: --train.optimizer.lr 1e-4..1e-2 is a range, and only a search draws from one. Type --search 20, "
            "or values with a comma: --train.optimizer.lr 1e-4,1e-2\n"
        )

    def test_a_second_word(self, refusal: Refusal) -> None:
        said = refusal("--views.flip", "tiny", "--objective", "kd,dkd")
        assert "no option that takes this word. Values are set apart by commas, without blanks" in said

    def test_a_flag_takes_on_and_off(self, brief: Recipe) -> None:
        plan, _ = parse(["brief", "--views.flip", "on,off"], "")
        assert [trial.recipe.views.flip for trial in plan.trials] == [True, False]
