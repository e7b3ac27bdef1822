"""What is left of accuracy when pictures are spoiled, by kind and by severity."""

from __future__ import annotations

from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING, Any

from limbeck.evaluation.corruptions.catalogue import KINDS, SEVERITIES
from limbeck.report.page.drawing import Figure, Panel
from limbeck.report.page.facts import Facts
from limbeck.report.page.figures import marks
from limbeck.report.page.theme import LIGHT, ROLES
from limbeck.report.wording import listed, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Found = dict[str, dict[str, Any]]
"""By role: severities, kinds, families and mean, as details.json has them."""


def measured(facts: Facts) -> Found:
    """Of each role the corruptions of the first network that was asked."""
    return {role: entry["corruptions"] for role in facts.roles if (entry := _asked(facts, role))}


def _asked(facts: Facts, role: str) -> dict[str, Any] | None:
    """The entry of the first network of a role that was asked about corrupted pictures."""
    return next((entry for entry in facts.entries(role) if entry.get("corruptions")), None)


def corruption_accuracy(facts: Facts) -> Figure | str:
    """Mean accuracy by kind, in families, and by severity over all kinds."""
    found = measured(facts)
    if not found:
        how = "with `--protocol.corruptions` when it is run, or by `limbeck evaluate RUN --corruptions`"
        return f"They are asked for: {how}."
    kinds = [
        kind for family in KINDS.values() for kind in family if any(kind in each["kinds"] for each in found.values())
    ]
    accuracies = {role: facts.values(role) for role in found}
    asked = {role: entry["seed"] for role in found if (entry := _asked(facts, role))}
    clean = {role: values[asked[role]] for role, values in accuracies.items() if asked[role] in values}
    said = listed([f"{role} {percent(_mean(each), 1)}" for role, each in found.items()])
    hardest = min(kinds, key=lambda kind: fmean(each["kinds"][kind] for each in found.values()))
    return Figure(
        name="corruptions",
        title="Corrupted pictures",
        says=f"Mean accuracy over {len(kinds)} kinds of corruption and five severities: {said}; "
        f"the hardest is {plain(hardest)}.",
        caption="Fifteen kinds as in CIFAR-10-C, made here and seeded. By kind: means over five severities; by "
        "severity: over all kinds, 0 is the clean pictures. The first seed's students.",
        panels=[
            Panel("Accuracy by kind, %", partial(_by_kind, found, kinds), 400, 84 + 23 * len(kinds), (128, 20, 52, 32)),
            Panel("Accuracy by severity, %", partial(_by_severity, found, kinds, clean), 400, 270, (40, 106, 34, 34)),
        ],
        columns=("role", "family", "kind", *(f"severity_{severity}" for severity in SEVERITIES), "mean"),
        rows=[
            (role, family, kind, *each["severities"][kind], each["kinds"][kind])
            for role, each in found.items()
            for family, members in KINDS.items()
            for kind in members
            if kind in each["kinds"]
        ],
    )


def plain(kind: str) -> str:
    """A kind as a person calls it."""
    return kind.replace("jpeg", "JPEG").replace("_", " ")


def _mean(each: dict[str, Any]) -> float:
    return float(each["mean"]) if each.get("mean") is not None else fmean(each["kinds"].values())


def _by_kind(found: Found, kinds: list[str], axes: Axes) -> None:
    marks.rows(axes, [plain(kind) for kind in kinds])
    for place, kind in enumerate(kinds):
        values = {role: each["kinds"][kind] for role, each in found.items() if kind in each["kinds"]}
        marks.compared(axes, place, values)
    last = 0
    for family in KINDS.values():
        last += sum(kind in kinds for kind in family)
        if 0 < last < len(kinds):
            axes.axhline(last - 0.5, color=LIGHT["rule"], lw=1)
    axes.set_xlim(*marks.around([each["kinds"][kind] for each in found.values() for kind in each["kinds"]]))
    marks.in_percent(axes.xaxis)
    marks.legend(axes, list(found))


def _by_severity(found: Found, kinds: list[str], clean: dict[str, float], axes: Axes) -> None:
    lines = {}
    for role, each in found.items():
        there = [each["severities"][kind] for kind in kinds if kind in each["severities"]]
        lines[role] = ([clean[role]] if role in clean else []) + [
            fmean(of_kinds) for of_kinds in zip(*there, strict=True)
        ]
        style, first = ROLES[role], 1 - (role in clean)
        axes.plot(
            range(first, 6), lines[role], style.line, color=marks.colour(style), lw=2, marker=style.marker, ms=6.5,
            mec=LIGHT["paper"], zorder=3,
        )  # fmt: skip
    axes.set_ylim(*marks.around([value for line in lines.values() for value in line]))
    axes.set_xticks(range(6))
    axes.set_xlim(-0.2, 5.2)
    ends = {role: line[-1] for role, line in lines.items()}
    marks.ends(axes, ends, {role: f"{role} {100 * end:.1f}" for role, end in ends.items()}, ROLES)
    marks.in_percent(axes.yaxis)
    marks.below(axes, "severity")
