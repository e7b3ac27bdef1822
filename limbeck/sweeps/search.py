"""A search with a budget: trials drawn by Optuna, as many for the student alone as for the distilled one."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from limbeck import streams
from limbeck.options import Option
from limbeck.sweeps.axes import Plan, Trial, expand
from limbeck.sweeps.settings import Setting, SweepOptions, Value, said
from limbeck.sweeps.work import Work, score

if TYPE_CHECKING:
    import optuna

_ALONE = ("views", "student", "train", "alone", "device")  # what a student alone is made of; see Recipe.students
_LOG = 10  # a range whose ends are so many times apart is drawn from on a logarithmic scale


def search(plan: Plan, work: Work) -> None:
    """Carries out the trials of a plan's search: TPE (Bergstra et al., NeurIPS 2011) on the held-out accuracy.

    What is drawn depends on the plan and on the trials before alone, so that a search that was stopped draws the same
    once more, and finds it done.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    assert plan.search is not None
    for role in ("distilled", "alone") if plan.trials[0].recipe.alone is not None else ("distilled",):
        concerned = [setting for setting in plan.settings if setting.varies and _concerns(setting, role)]
        study = optuna.create_study(direction="maximize")
        for number in range(plan.search if concerned else 1):
            study.sampler = optuna.samplers.TPESampler(seed=streams.derive("search", role, number) % 2**32)
            drawing = study.ask()
            trial = _drawn(plan, drawing, concerned)
            there = role in trial.recipe.students()
            value = score(work.carry_out(trial, (role,) if there else ("alone", role)))
            if value is None:
                study.tell(drawing, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(drawing, value[0])


def _concerns(setting: Setting, role: str) -> bool:
    """Whether another value makes another training of that role."""
    first = setting.path.partition(".")[0]
    return first in _ALONE if role == "alone" else first != "alone"


def _drawn(plan: Plan, drawing: optuna.Trial, concerned: list[Setting]) -> Trial:
    """The trial that Optuna draws; settings that do not concern it have their first value."""

    def pick(setting: Setting, option: Option | None) -> tuple[Value, ...]:
        if setting not in concerned or option is None:
            return setting.values[:1]
        if not setting.span:
            return (setting.values[drawing.suggest_categorical(setting.name, range(len(setting.values)))],)
        low, high = (said(value) for value in setting.values)
        log = 0 < _LOG * float(low) <= float(high)
        if int in option.alternatives():
            return ((str(drawing.suggest_int(setting.name, int(low), int(high), log=log)),),)
        drawn = drawing.suggest_float(setting.name, float(low), float(high), log=log)
        return ((_short(drawn, float(low), float(high)),),)

    (trial,), _ = expand(plan.recipe, plan.settings, SweepOptions(), pick=pick, strict=False)
    names = {setting.name for setting in concerned}
    return replace(trial, varies={name: value for name, value in trial.varies.items() if name in names})


def _short(drawn: float, low: float, high: float) -> str:
    """A number of the range, with as many digits as ten thousand different ones need."""
    digits = 4 + max(0, -math.floor(math.log10(high - low)))
    return f"{min(max(round(drawn, digits), low), high):.12g}"
