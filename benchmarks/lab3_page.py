"""The page of a finished lab3_loop benchmark."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Measured:
    """Everything that the page says.

    Attributes:
        command: what was typed.
        hardware, versions, decisions: of the machine, the packages, limbeck's engine.
        others: share of the processor time that other programs took; None where unknown.
        titles: what each contender is, by name.
        speeds: its images a second, one figure a round.
        side: of the matrices.
        peaks: GFLOP/s of each matrix product; its name begins with the precision.
        gflop: what one image costs in the student's training.
        chosen: limbeck's own choice of precision, fp32 or bf16.
    """

    command: str
    hardware: str
    versions: str
    decisions: Sequence[str]
    others: float | None
    titles: Mapping[str, str]
    speeds: Mapping[str, Sequence[float]]
    side: int
    peaks: Mapping[str, float]
    gflop: float
    chosen: str


def page(measured: Measured) -> str:
    """The page, in Markdown: what was measured where, the contenders, the machine's peak and our share of it."""
    others = "unknown" if measured.others is None else f"{100 * measured.others:.1f} %"
    lines = [
        f"# The lab's training step and limbeck's on {measured.hardware}",
        "",
        f"Measured on {datetime.datetime.now(datetime.UTC):%Y-%m-%d} by `{measured.command}`.",
        "",
        f"- {measured.versions}",
        *(f"- limbeck: {decision}" for decision in measured.decisions),
        f"- processor time taken by other programs meanwhile: {others}",
        "",
        *_contenders(measured),
        "",
        *_peaks(measured),
    ]
    return "\n".join(lines) + "\n"


def _contenders(measured: Measured) -> list[str]:
    base = measured.speeds.get("lab")
    lines = [
        "| images/s of a complete step, data to new weights | median | least to most | times the lab's loop |",
        "|---|---:|---:|---:|",
    ]
    for name, speeds in measured.speeds.items():
        row = [measured.titles[name], f"{median(speeds):,.1f}", f"{min(speeds):,.1f} to {max(speeds):,.1f}"]
        row.append(f"{_ratio(speeds, base):.2f}" if base else "not measured")
        lines.append(f"| {' | '.join(row)} |")
    rounds = len(next(iter(measured.speeds.values())))
    return [*lines, "", f"Medians over {rounds} rounds; a ratio is the median of the rounds' ratios."]


def _ratio(speeds: Sequence[float], base: Sequence[float]) -> float:
    return median(ours / theirs for ours, theirs in zip(speeds, base, strict=True))


def _peaks(measured: Measured) -> list[str]:
    cube = " x ".join([str(measured.side)] * 3)
    lines = [f"| matrix product, {cube} | GFLOP/s, best |", "|---|---:|"]
    lines += [f"| {name} | {speed:,.0f} |" for name, speed in measured.peaks.items()]
    lines += [
        "",
        f"The student's training costs {measured.gflop:.3f} GFLOP an image. Alone, from data to new weights:",
        "",
    ]
    alone = {"limbeck-alone": measured.chosen, "limbeck-alone-fp32": "fp32"}
    shares = [_share(measured, name, precision) for name, precision in alone.items() if name in measured.speeds]
    return lines + (shares or ["- not measured."])


def _share(measured: Measured, name: str, precision: str) -> str:
    reached = measured.gflop * median(measured.speeds[name])
    peaks = {product: speed for product, speed in measured.peaks.items() if product.startswith(precision)}
    shares = ", ".join(f"{reached / speed:.0%} of {product}" for product, speed in peaks.items())
    return f"- {precision}: {reached:,.0f} GFLOP/s, {shares}."
