"""The end of a run on the screen: one table and one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box

from limbeck.console import FittingTable, duration
from limbeck.data import Status
from limbeck.evaluation.assessment import SCALING
from limbeck.evaluation.results import ONE_TEACHER, key
from limbeck.evaluation.statistics import beyond, together
from limbeck.report.wording import count


def result_table(results: dict[str, Any], title: str | None = None) -> FittingTable:
    """Accuracy of every role on every set, and what the teacher was worth; 80 columns hold a held-out and a test set;
    on fewer, columns are left out.

    Args:
        results: the content of a results.json.
        title: what was judged; by default the recipe's name.
    """
    title = f"{title or results['recipe']['name']}: accuracy in %, {spread(seeds(results))}"
    captions = [f"{absent['what']}: not measured." for absent in results["not_measured"] if absent["what"] != SCALING]
    table = quiet_table(title, "trained in", "weights", "network", caption=" ".join(captions) or None)
    sizes = set_sizes(results)
    sets = list(results["summary"])
    for heading in ("", "network"):
        table.add_column(heading)
    table.add_column("weights", "right")
    for name in sets:
        dataset, _, what = set_name(name).partition(" ")
        table.add_column(f"{dataset}\n{what}\n({sizes[name]:,})", "right")
    table.add_column("trained in", "right")
    for role in ("teacher", "alone", "distilled", "network"):
        portraits = [network for network in results["networks"] if network["role"] == role]
        if not portraits:
            continue
        seconds = sum(network["seconds"] for network in portraits) / len(portraits)
        table.add_row(
            role,
            portraits[0]["model"],
            count(portraits[0]["parameters"]),
            *(percent(results["summary"][name]["accuracy"].get(role)) for name in sets),
            duration(seconds) if seconds else "",
        )
    gains = [results["summary"][name]["accuracy"].get("gain") for name in sets]
    if any(gains):
        table.add_section()
        table.add_row("gain", "paired", "", *map(points, gains), "")
    return table


def data_table(statuses: Sequence[Status]) -> FittingTable:
    """The data sets, and whether they are here."""
    table = FittingTable("classes", "folder", "what it is", "download", "pictures")
    for heading in ("data set", "what it is", "classes", "pictures", "download", "state", "folder"):
        table.add_column(heading, prose=heading == "what it is")
    for status in statuses:
        counts = "\n".join(f"{count:,} {split}" for split, count in status.counts.items())
        size = f"{status.download / 1e6:,.0f} MB" if status.download else "none"
        table.add_row(
            status.name, status.description, str(status.classes), counts, size, status.state, str(status.folder or "")
        )
    return table


def verdict(results: dict[str, Any]) -> str:
    """What the teacher was worth on the first test set, in one sentence."""
    taught = any(network["role"] == "teacher" for network in results["networks"])
    for name, metrics in results["summary"].items():
        gain = metrics["accuracy"].get("gain")
        if gain is None or "/" in name:
            continue
        points, sample = 100 * gain["mean"], f"± {100 * gain['sample_ci95']:.2f} from the test pictures"
        text = f"On {name} the {'teacher' if taught else 'objective'} was worth {points:+.2f} points of accuracy"
        if gain["ci95"] is None:
            text += f" (one seed, another may say otherwise; {sample})."
        else:
            half, both = (100 * each for each in (gain["ci95"], together(gain["ci95"], gain["sample_ci95"])))
            text += f" ± {half:.2f} (95 %, {gain['n']} seeds; {sample}, ± {both:.2f} together)."
        return text + ("" if told_from_zero(gain) else " That cannot be told from 0.")
    if any("gain" in metrics["accuracy"] for metrics in results["summary"].values()):
        return "There is no gain to report: no test set could be measured."
    return "There is no gain to report: only one of the two students was trained."


def told_from_zero(gain: dict[str, Any]) -> bool:
    """Whether a gain of accuracy is beyond what seeds, and the test pictures being a sample, can make of 0."""
    return beyond(gain["mean"], gain["ci95"], gain.get("sample_ci95"))


def remarks(results: dict[str, Any]) -> list[str]:
    """What a reader of the verdict has to know beside it; what holds of every run is left to results.json."""
    return [note for note in results["notes"] if note != ONE_TEACHER]


def quiet_table(title: str, *spare: str, caption: str | None = None) -> FittingTable:
    """A table of figures without edges; ``spare`` are the columns that may be left out, the least needed first."""
    return FittingTable(
        *spare,
        title=title,
        caption=caption,
        min_width=min(len(title), 80),
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        collapse_padding=True,
        title_justify="left",
        caption_justify="left",
    )


def seeds(results: dict[str, Any]) -> int:
    """How many seeds there are among the networks of a results.json."""
    return len({network["seed"] for network in results["networks"]} - {None})


def spread(seeds: int) -> str:
    """What the figures of a table are: means with intervals, or single ones."""
    return f"mean ± 95 % interval over {seeds} seeds" if seeds > 1 else "one seed" if seeds else "one network"


def set_sizes(results: dict[str, Any]) -> dict[str, int]:
    """The number of pictures of each set of the summary."""
    return {key(m["dataset"], m["split"]): m["n"] for m in results["measurements"] if m["metric"] == "accuracy"}


def set_name(name: str) -> str:
    """A set of the summary as a person calls it: "digits test", "digits held out"."""
    dataset, _, split = name.partition("/")
    return f"{dataset} {'held out' if split == 'holdout' else split or 'test'}"


def percent(estimate: dict[str, Any] | None) -> str:
    """A mean share in %, with its interval where it has one: "91.20 ± 0.34"; nothing where there is none."""
    if estimate is None:
        return ""
    spread = "" if estimate["ci95"] is None else f" ± {100 * estimate['ci95']:.2f}"
    return f"{100 * estimate['mean']:.2f}{spread}"


def points(gain: dict[str, Any] | None) -> str:
    if gain is None:
        return ""
    spread = "" if gain["ci95"] is None else f" ± {100 * gain['ci95']:.2f}"
    return f"{100 * gain['mean']:+.2f}{spread}"
