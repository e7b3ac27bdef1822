"""results.json: the documented keys, figures that can be worked out again, and all that the screen shows."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from torch import nn

from limbeck import report, start
from limbeck.console import Console
from limbeck.evaluation.results import ONE_TEACHER, PAIRED
from limbeck.files import read_tensors
from limbeck.recipes import Recipe

NETWORKS = [("teacher", None), ("alone", 0), ("distilled", 0), ("alone", 1), ("distilled", 1)]


@pytest.fixture
def result(tiny: Recipe) -> start.Result:
    return start.run(tiny, Path("out"), console=Console(quiet=True, file=io.StringIO()))


def test_it_holds_the_documented_keys_and_figures_that_can_be_worked_out_again(
    tiny: Recipe, result: start.Result
) -> None:
    results = json.loads((result.folder / "results.json").read_text())
    assert results == result.results
    assert list(results) == [
        *("schema", "status", "recipe", "networks", "measurements", "summary", "cost", "shift"),
        *("not_measured", "notes"),
    ]
    assert (results["schema"], results["status"]) == (1, "complete")
    assert results["recipe"] == {"name": "tiny", "digest": tiny.digest()}
    assert (results["not_measured"], results["notes"][0]) == ([], ONE_TEACHER)
    assert all("cannot be told from guessing" in note for note in results["notes"][1:])
    assert [(network["role"], network["seed"]) for network in results["networks"]] == NETWORKS
    for network in results["networks"]:
        folder = result.folder / ("teacher" if network["seed"] is None else f"seed{network['seed']}/{network['role']}")
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        weights = read_tensors(folder / "weights.safetensors")
        assert network == {
            "role": network["role"],
            "seed": network["seed"],
            "model": "alexnet_cifar x0.0625" if network["role"] == "teacher" else "nin_cifar x0.0625",
            "parameters": sum(tensor.numel() for name, tensor in weights.items() if name not in ("scale", "shift")),
            "epochs": 2,
            "seconds": sum(row["seconds"] for row in rows),
            "images_per_second": pytest.approx(2 * 88 / sum(row["seconds"] for row in rows)),
            "peak_memory": max((row["peak_memory"] for row in rows if "peak_memory" in row), default=None),
        }
        for split, count in (("holdout", 32), ("test", 40)):
            answers = read_tensors(folder / f"logits-few-{split}.safetensors")
            accuracy = (answers["logits"].argmax(1) == answers["labels"]).double().mean().item()
            nll = nn.functional.cross_entropy(answers["logits"].double(), answers["labels"]).item()
            same = {"role": network["role"], "seed": network["seed"], "dataset": "few", "split": split, "n": count}
            for metric, value in (("accuracy", accuracy), ("nll", nll)):
                assert {**same, "metric": metric, "value": pytest.approx(value)} in results["measurements"]
        assert rows[-1]["holdout_accuracy"] == _value(results, network["role"], network["seed"], "holdout")
    raw, scaled, fidelity = 7, 3, 3
    assert len(results["measurements"]) == 5 * 2 * raw + 5 * scaled + 4 * 2 * fidelity
    assert list(results["summary"]) == ["few/holdout", "few"]
    entry = results["summary"]["few"]["accuracy"]
    alone, distilled = ([_value(results, role, seed) for seed in (0, 1)] for role in ("alone", "distilled"))
    assert entry["teacher"] == {"mean": _value(results, "teacher", None), "ci95": None, "n": 1}
    assert entry["alone"] == {"mean": pytest.approx(np.mean(alone)), "ci95": pytest.approx(_interval(alone)), "n": 2}
    gains = np.subtract(distilled, alone)
    assert entry["gain"]["mean"] == pytest.approx(gains.mean())
    assert entry["gain"]["ci95"] == pytest.approx(_interval(gains))
    assert (entry["gain"]["n"], entry["gain"]["method"]) == (2, PAIRED)
    assert entry["gain"]["sample_ci95"] >= 0
    assert set(results["summary"]["few"]["nll"]) == {"teacher", "alone", "distilled", "gain"}
    for metric in ("nll", "ece_scaled", "kl"):
        entry, alone, distilled = (
            results["summary"]["few"][metric],
            *([_value(results, role, seed, metric=metric) for seed in (0, 1)] for role in ("alone", "distilled")),
        )
        assert entry["gain"]["mean"] == pytest.approx(np.subtract(distilled, alone).mean())
        assert entry["gain"]["ci95"] == pytest.approx(_interval(np.subtract(distilled, alone)))


def test_details_hold_what_is_not_one_number(tiny: Recipe, result: start.Result) -> None:
    text = (result.folder / "details.json").read_text()
    details = json.loads(text)
    assert list(details) == ["schema", "recipe", "classes", "entries"]
    assert (details["schema"], details["recipe"]) == (1, result.results["recipe"])
    assert details["classes"] == {"few": list("0123456789")}
    where = [(entry["split"], entry["role"], entry["seed"]) for entry in details["entries"]]
    assert where == [(split, *who) for split in ("holdout", "test") for who in NETWORKS]
    for entry in details["entries"]:
        folder = result.folder / ("teacher" if entry["seed"] is None else f"seed{entry['seed']}/{entry['role']}")
        answers = read_tensors(folder / f"logits-few-{entry['split']}.safetensors")
        table = np.zeros((10, 10), int)
        np.add.at(table, (answers["labels"].numpy(), answers["logits"].argmax(1).numpy()), 1)
        assert entry["confusion"] == table.tolist()
        assert (entry["regressions"] is None) == (entry["role"] == "teacher")
    assert len(text.splitlines()) == 1


def _value(
    results: dict[str, Any], role: str, seed: int | None, split: str = "test", metric: str = "accuracy"
) -> float:
    (value,) = (
        m["value"]
        for m in results["measurements"]
        if (m["role"], m["seed"], m["split"], m["metric"]) == (role, seed, split, metric)
    )
    return float(value)


def _interval(values: Any) -> float:
    return float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))


def test_every_figure_on_the_screen_is_in_it(result: start.Result) -> None:
    results = result.results
    screen = io.StringIO()
    console = Console(file=screen)
    console.rich.width = 200
    console.show(report.result_table(results))
    console.show(report.verdict(results))
    summary = results["summary"]
    estimates = [entry for metrics in summary.values() for entry in metrics["accuracy"].values()]
    percents = {
        f"{abs(100 * estimate[key]):.2f}"
        for estimate in estimates
        for key in ("mean", "ci95", "sample_ci95")
        if estimate.get(key) is not None
    }
    gain = summary["few"]["accuracy"]["gain"]
    percents.add(f"{100 * np.hypot(gain['ci95'], gain['sample_ci95']):.2f}")
    counts = {str(m["n"]) for m in results["measurements"]} | {str(entry["n"]) for entry in estimates}
    sizes = {f"{network['parameters'] / 1e3:.0f}" for network in results["networks"]}  # shown as "226 k"
    seconds = [network["seconds"] for network in results["networks"]]
    times = {f"{time:.1f}" for time in (seconds[0], (seconds[1] + seconds[3]) / 2, (seconds[2] + seconds[4]) / 2)}
    shown = re.findall(
        r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?![\w,])", re.sub(r"x0\.0625|95 %|from 0\.", "", screen.getvalue())
    )
    assert len(shown) > 20
    assert set(shown) - percents - counts - sizes - times == set()
    assert f"{100 * summary['few']['accuracy']['teacher']['mean']:.2f}" in shown
