"""The top of a run's page: the verdict, the table, and whether the small network may replace the big one."""

from __future__ import annotations

from statistics import fmean
from typing import Any, NamedTuple

from limbeck.console import duration, size
from limbeck.evaluation.statistics import together
from limbeck.report.page.facts import Facts
from limbeck.report.page.figures.cost import latency
from limbeck.report.table import set_name, told_from_zero
from limbeck.report.wording import NBSP, count, interval, percent, plural, signed, times


def pictures(name: str) -> str:
    """A set as it stands in a sentence: "the digits test set"."""
    dataset, _, split = name.partition("/")
    return f"the held-out pictures of {dataset}" if split == "holdout" else f"the {set_name(name)} set"


class Verdict(NamedTuple):
    """What the teacher was worth: the claim, and how sure it is."""

    claim: str
    doubt: str


class Cell(NamedTuple):
    """A figure and its interval."""

    value: str
    interval: str = ""


class Row(NamedTuple):
    """One role in the table."""

    role: str
    what: str
    cells: list[Cell]


class Table(NamedTuple):
    """What is measured on which sets: heading and number of pictures of each column, and a row a role."""

    columns: list[tuple[str, str]]
    rows: list[Row]
    gain: Row | None


class Tile(NamedTuple):
    """One figure of the answer whether the student may replace the teacher."""

    figure: str
    what: str
    more: str


def verdict(facts: Facts) -> Verdict:
    """What the teacher was worth on the first test set, or why that is not known."""
    gain, judged = facts.estimate("gain"), facts.judged
    if gain is None or judged is None:
        missing = [role for role in ("alone", "distilled") if role not in facts.roles]
        trained = f"no student was trained {'alone' if missing == ['alone'] else 'from the teacher'}"
        why = f"{trained}, so there is nothing to compare" if missing else "no set of pictures could be measured"
        return Verdict("What the teacher was worth was not measured.", f"In this run {why}.")
    giver = "The teacher" if "teacher" in facts.roles else "The objective"
    points = NBSP.join(filter(None, (signed(100 * gain["mean"]), interval(gain))))
    claim = f"{giver} was worth {points} points of accuracy on {pictures(judged)}"
    claim += "." if told_from_zero(gain) else ", which cannot be told from 0."
    seeds, sample = gain["n"], gain.get("sample_ci95")
    if gain["ci95"] is None:
        doubt = "One seed: another may say otherwise."
    else:
        doubt = f"A 95{NBSP}% interval over {plural(seeds, 'seed')}, paired."
    if sample is not None:
        doubt += f" That the test pictures are a sample adds ±{NBSP}{100 * sample:.2f} of its own"
        doubt += f": ±{NBSP}{100 * together(gain['ci95'], sample):.2f} in all." if gain["ci95"] is not None else "."
    if "/" in judged:
        doubt += " No test set could be measured; these are held-out pictures."
    return Verdict(claim, doubt)


def table(facts: Facts) -> Table:
    """Accuracy of every role on every set, in %, and the paired gain in points."""
    sets = facts.sets
    columns = [(set_name(name), f"{facts.pictures_in(name):,} pictures") for name in sets]
    absent = [each["what"] for each in facts.results["not_measured"] if _is_a_set(each["what"], facts)]
    columns += [(set_name(name), "not measured") for name in absent]
    rows = []
    for role in facts.roles:
        network = facts.network(role) or {}
        what = f"{network.get('model') or 'own network'}, {count(network.get('parameters') or 0)} weights"
        if role == "teacher" and "path" in (facts.recipe.get("teacher") or {}):
            what = f"from a weights file, {count(network.get('parameters') or 0)} weights"
        rows.append(
            Row(role, what, [_cell(facts.estimate(role, name=name)) for name in sets] + [_cell(None)] * len(absent))
        )
    gains = [facts.estimate("gain", name=name) for name in sets]
    gain = Row("gain", "distilled − alone", [_cell(each, True) for each in gains] + [_cell(None)] * len(absent))
    return Table(columns, rows, gain if any(gains) else None)


def _is_a_set(what: str, facts: Facts) -> bool:
    return what in (facts.recipe.get("data", {}).get("tests") or [facts.recipe.get("data", {}).get("name")])


def _cell(estimate: dict[str, Any] | None, gain: bool = False) -> Cell:
    if estimate is None:
        return Cell("not measured")
    value = 100 * estimate["mean"]
    return Cell(signed(value) if gain else f"{value:.2f}", interval(estimate))


def replacement(facts: Facts) -> tuple[str, list[Tile]] | str:
    """Whether the student may take the teacher's place, in a sentence and in figures; or why nothing is said."""
    student = facts.student
    teacher, small = facts.network("teacher"), facts.network(student) if student else None
    of_teacher, of_student = facts.estimate("teacher"), facts.estimate(student or "")
    if teacher is None or small is None or of_teacher is None or of_student is None:
        return "There is no teacher in this run to be replaced." if teacher is None else "Not both were measured."
    kept = of_student["mean"] / of_teacher["mean"] if of_teacher["mean"] else 0.0
    change = 100 * (of_student["mean"] - of_teacher["mean"])
    weights = _ratio(teacher["parameters"] / max(small["parameters"], 1), "fewer", "more")
    tiles = [
        Tile(
            percent(kept, 1),
            "of the teacher's accuracy",
            f"{signed(change)} points on {pictures(facts.judged or '')}",
        ),
        Tile(
            f"{weights[0]} ×",
            f"{weights[1]} weights",
            f"{count(small['parameters'])} instead of {count(teacher['parameters'])}",
        ),
        _speed(facts, str(student)),
        *_changes(facts, str(student)),
    ]
    sentence = f"The {student} student keeps {percent(kept, 1)} of the teacher's accuracy"
    sentence += f" with {weights[0]} times {weights[1]} weights"
    found = latency(facts)
    if "teacher" in found and student in found:
        sentence += ", and answers {} times {}".format(
            *_ratio(found["teacher"] / found[str(student)], "faster", "slower")
        )
    changed = _changed(facts, str(student))
    if changed:
        lost, right, won, wrong = changed
        sentence += (
            f". It loses {percent(lost / right if right else 0, 1)} of the pictures that the teacher has right, and "
            f"gets {percent(won / wrong if wrong else 0, 1)} of those right that the teacher has wrong"
        )
    return f"{sentence}.", tiles


def _speed(facts: Facts, student: str) -> Tile:
    found = latency(facts)
    if "teacher" not in found or student not in found:
        return Tile("not measured", "speed", "this run did not time its networks")
    cost = facts.results["cost"]
    ratio = found["teacher"] / found[student]
    said = f"{found[student]:.2f} ms instead of {found['teacher']:.2f} ms for one picture, {cost['device']}"
    factor, what = _ratio(ratio, "faster", "slower")
    return Tile(f"{factor} ×", what, said)


def _ratio(ratio: float, above: str, below: str) -> tuple[str, str]:
    """A ratio as a factor of at least 1, and what it is a factor of."""
    return (times(ratio), above) if ratio >= 1 else (times(1 / ratio if ratio else 0.0), below)


def _changed(facts: Facts, student: str) -> tuple[float, int, float, int] | None:
    """Means over seeds: pictures that are lost, of so many that the teacher has right; won, of so many that it has
    wrong."""
    entries = [each for each in facts.entries(student) if each.get("regressions") and each.get("gains")]
    accuracy = facts.estimate("teacher")
    if not entries or accuracy is None:
        return None
    everything = facts.pictures_in(facts.judged or "")
    right = round(accuracy["mean"] * everything)
    lost, won = (fmean(len(each[name]["pictures"]) for each in entries) for name in ("regressions", "gains"))
    return lost, right, won, everything - right


def _changes(facts: Facts, student: str) -> list[Tile]:
    changed = _changed(facts, student)
    if changed is None:
        return [Tile("not measured", "regressions", "no details of single pictures were kept")]
    lost, right, won, wrong = changed
    several = len(facts.seeds(student)) > 1
    each = ", mean of the seeds" if several else ""
    return [
        Tile(_whole(lost), "pictures lost", f"of {right:,} that the teacher has right{each}"),
        Tile(_whole(won), "pictures won", f"of {wrong:,} that the teacher has wrong{each}"),
    ]


def _whole(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 or number == int(number) else f"{number:.1f}"


def cost_table(facts: Facts) -> list[dict[str, str]]:
    """What each network that was measured costs, in words; empty where nothing was."""
    return [
        {
            "role": each["role"],
            "weights": count(each["parameters"]),
            "mult-adds": count(each["mult_adds"]),
            "file": size(each["file_bytes"]),
            "one picture": f"{each['latency_ms']:.2f} ms",
            "95 of 100 within": f"{each['latency_95_ms']:.2f} ms",
            f"pictures/s, batch {each['batch']}": f"{each['images_per_second']:,.0f}",
            "memory": "not measured" if each.get("peak_memory") is None else size(each["peak_memory"]),
        }
        for each in (facts.results.get("cost") or {}).get("networks", [])
    ]


def trainings(facts: Facts) -> list[tuple[str, str, str, str, str]]:
    """Of each network: role, seed, epochs, time of its training and speed."""
    return [
        (
            network["role"],
            "" if network["seed"] is None else str(network["seed"]),
            str(network.get("epochs") or "none here"),
            duration(network["seconds"]) if network.get("seconds") else "",
            f"{network['images_per_second']:,.0f}" if network.get("images_per_second") else "",
        )
        for network in facts.results["networks"]
    ]


_METRICS = {
    "top5_accuracy": ("top-5 accuracy", True),
    "balanced_accuracy": ("balanced accuracy", True),
    "macro_f1": ("macro-F1", True),
    "nll": ("NLL, nats", False),
    "nll_scaled": ("NLL, scaled", False),
    "ece": ("ECE", True),
    "ece_scaled": ("ECE, scaled", True),
    "brier": ("Brier, 0 to 2", False),
    "brier_scaled": ("Brier, scaled", False),
    "agreement": ("agreement with the teacher", True),
    "agreement_on_mistakes": ("same mistakes as the teacher", True),
    "kl": ("KL(teacher ‖ student), nats", False),
    "corruption_accuracy": ("accuracy on corrupted pictures", True),
}


def metrics(facts: Facts) -> Table | None:
    """Every other metric on the set that is judged, in % or in its own unit."""
    columns = [*facts.roles, "gain"]
    rows = []
    for metric, (name, share) in _METRICS.items():
        found = [facts.estimate(role, metric) for role in columns]
        if any(found):
            rows.append(
                Row(name, "", [_figure(each, share, role == "gain") for role, each in zip(columns, found, strict=True)])
            )
    return Table([(role, "") for role in columns], rows, None) if rows else None


def _figure(estimate: dict[str, Any] | None, share: bool, gain: bool) -> Cell:
    if estimate is None:
        return Cell("")
    scale, digits = (100, 2) if share else (1, 3)
    value = scale * estimate["mean"]
    return Cell(signed(value, digits) if gain else f"{value:.{digits}f}", interval(estimate, scale, digits))
