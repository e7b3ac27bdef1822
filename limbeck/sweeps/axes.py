"""The trials of a sweep: the product of what is varied, applied to a recipe."""

from __future__ import annotations

import hashlib
import itertools
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

from limbeck import options, recipes
from limbeck.data import resolve
from limbeck.errors import LimbeckError
from limbeck.options import HELP, Option, change, choose, find, strays, table
from limbeck.recipes import Recipe
from limbeck.report.sweep import trial_name
from limbeck.spec import Spec
from limbeck.sweeps.settings import Setting, SweepOptions, Value, said, typed

Picks = Mapping[int, tuple[int, Value]]
"""What a trial has, by the place of the setting: which of its values, and that value."""
Pick = Callable[[Setting, Option | None], Sequence[Value]]


@dataclass(frozen=True)
class Trial:
    """One recipe of a sweep.

    Attributes:
        recipe: what is trained.
        varies: the values of those axes that it has, by option, as a table shows them.
        words: its options as they are typed after `limbeck run RECIPE`; none where only Python can say it.
    """

    recipe: Recipe
    varies: Mapping[str, str]
    words: tuple[str, ...] | None

    def title(self) -> str:
        """What it varies, in a line."""
        return trial_name(self.varies)


@dataclass(frozen=True)
class Plan:
    """A sweep that can be carried out; made by `planned`.

    Attributes:
        recipe: what is varied.
        settings: by what.
        name: how the recipe is typed; none where it is known to Python alone.
        search: how many trials are drawn; none: all are carried out.
        trials: all of them; of a search, the ends of its ranges and every other value, which are only rehearsed.
    """

    recipe: Recipe
    settings: tuple[Setting, ...]
    name: str | None
    search: int | None
    trials: tuple[Trial, ...]

    def axes(self) -> dict[str, list[str]]:
        """What is varied, by option, in the typed order."""
        axes: dict[str, list[str]] = {}
        for setting in self.settings:
            values = [said(value) for value in setting.values]
            if setting.varies:
                axes[setting.name] = ["..".join(values)] if setting.span else values
        return axes

    def digest(self) -> str:
        """Eight hexadecimal characters that stand for all the trials, own classes included, and for the search."""
        searched = {"search": self.search, "axes": self.axes()} if self.search else None
        content = json.dumps([searched, *(trial.recipe.digest() for trial in self.trials)])
        return hashlib.sha256(content.encode()).hexdigest()[:8]

    def command(self, trial: Trial) -> str | None:
        """What runs a trial for good; none where that cannot be typed."""
        if self.name is None or trial.words is None:
            return None
        return shlex.join(["limbeck", "run", self.name, *trial.words])


def parse(words: Sequence[str], head: str) -> tuple[Plan, SweepOptions]:
    """The sweep that was typed, and the options that are no part of it.

    Args:
        words: what was typed after `limbeck sweep`; the recipe's name may stand anywhere among the options.
        head: how help begins.

    Raises:
        LimbeckError, SystemExit: as `planned` does.
    """
    place = next(iter(strays([SweepOptions(), recipes.digits()], words)), None)
    name = "digits" if place is None else words[place]
    settings = typed([word for number, word in enumerate(words) if number != place], SweepOptions())
    recipe, _ = options.recipe_at(name)
    head = f"{head}\nThe options below are shown with what the recipe {recipe.name} has."
    return planned(recipe, settings, SweepOptions(), name, head)


def planned(
    recipe: Recipe, settings: Sequence[Setting], own: SweepOptions, name: str | None, head: str = ""
) -> tuple[Plan, SweepOptions]:
    """The sweep over some settings of a recipe, and the command's own options as typed.

    Args:
        recipe: what is varied.
        settings: options and their values, in the order in which they were typed.
        own: the command's own options.
        name: how the recipe is typed.
        head: how help begins.

    Raises:
        LimbeckError: a trial has what a single recipe may not have either; or nothing is varied, or held out.
        SystemExit: help was asked for.
    """
    spans = [setting for setting in settings if setting.span]
    found: dict[str, Trial] = {}
    at_a_time: list[Setting | None] = [*spans] or [None]
    for span in at_a_time:  # of several ranges, the ends of one
        some, own_typed = expand(recipe, settings, own, head, partial(_ends, span))
        found = {trial.recipe.digest(): trial for trial in some} | found
    trials, own = list(found.values()), own_typed
    if spans and own.search is None:
        low, high = (said(value) for value in spans[0].values)
        raise LimbeckError(
            f"{spans[0].name} {low}..{high} is a range, and only a search draws from one. Type --search 20, or values "
            f"with a comma: {spans[0].name} {low},{high}"
        )
    if own.search is not None and find_spec("optuna") is None:
        raise LimbeckError("--search needs Optuna, which is not installed. Type: pip install optuna")
    if not any(setting.varies for setting in settings):
        raise LimbeckError(
            "a sweep needs something to vary. Type several values with commas, for example --objective kd,dkd"
        )
    one = trials[0].recipe
    if not one.held_out():
        tenth = max(1, resolve(one.data.name, one.data).counts["train"] // 10)
        raise LimbeckError(
            f"the recipe {one.name} holds no pictures out, and a sweep is judged on held-out ones alone. "
            f"Type --protocol.holdout {tenth} for a tenth of its training set."
        )
    return Plan(recipe, tuple(settings), name, own.search, tuple(trials)), own


def _ends(span: Setting | None, setting: Setting, _: Option | None) -> Sequence[Value]:
    return setting.values[:1] if setting.span and setting is not span else setting.values


def expand(
    recipe: Recipe,
    settings: Sequence[Setting],
    own: SweepOptions,
    head: str = "",
    pick: Pick = lambda setting, _: setting.values,
    strict: bool = True,
) -> tuple[list[Trial], SweepOptions]:
    """The product of the values, in the typed order, and the command's own options.

    Choices by name are resolved first, as for a single recipe. An option that only some of the chosen have varies the
    trials with those; one that nobody has is the error that it is for a single recipe.

    Args:
        recipe, settings, own, head: as for `planned`.
        pick: the values of a setting that are taken; by default all.
        strict: somebody has to have each option.

    Raises:
        LimbeckError, SystemExit: as `planned` does.
    """

    def wanted(picks: Picks) -> tuple[list[str], dict[str, Spec]]:
        """The words, in the typed order, and the descriptions by path."""
        chosen = [(settings[place], picks[place][1]) for place in sorted(picks)]
        words = [word for setting, value in chosen for word in setting.words(value)]
        return words, {setting.path: value for setting, value in chosen if isinstance(value, Spec)}

    def grown(picks: Picks, places: Sequence[int]) -> list[Picks]:
        """The picks with each combination of the values of those settings that there are, by what is chosen so far."""
        words, given = wanted(picks)
        known = {**table([change(recipe, choose(recipe, words, given))]), **owned}
        several = []
        for place in places:
            setting = settings[place]
            option = find(known, setting.name)[0]
            if option is not None or setting.name in HELP or not setting.name.startswith("-"):
                values = pick(setting, option)
                several.append([(place, picked) for picked in enumerate(values)])
        return [{**picks, **dict(combination)} for combination in itertools.product(*several)]

    def applied(picks: Picks) -> tuple[Recipe, SweepOptions]:
        words, given = wanted(picks)
        return options.apply(recipe, own, words, head, "sweep", given)

    owned = table([own])
    depths = [setting.name.count(".") for setting in settings]
    states: list[Picks] = [{}]
    for depth in sorted(set(depths)):
        places = [place for place, found in enumerate(depths) if found == depth]
        states = [more for state in states for more in grown(state, places)]
    for place, setting in enumerate(settings):
        if strict and not any(place in state for state in states):
            applied({**states[0], place: (0, setting.values[0])})  # raises: there is no such option
    states.sort(key=lambda state: [state[place][0] if place in state else -1 for place in range(len(settings))])
    trials: dict[str, Trial] = {}
    for state in states:
        changed, own_typed = applied(state)
        words, given = wanted({place: state[place] for place in state if not find(owned, settings[place].name)[0]})
        varies = {settings[place].name: said(state[place][1]) for place in sorted(state) if settings[place].varies}
        trials.setdefault(changed.digest(), Trial(changed, varies, None if given else tuple(words)))
    return list(trials.values()), own_typed
