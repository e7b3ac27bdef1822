"""W&B, MLflow and Trackio through their real packages, offline: what they were told over two starts is there once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limbeck.console import Console
from limbeck.trackers import telling

SUMMARY = {"few": {"accuracy": {"gain": {"mean": 0.25, "ci95": None, "n": 1}}}}


@pytest.fixture(params=["wandb", "mlflow", "trackio"])
def service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    name: str = request.param
    for setting, value in {
        "WANDB_MODE": "offline",
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "TRACKIO_DIR": str(tmp_path / "trackio"),
    }.items():
        monkeypatch.setenv(setting, value)
    monkeypatch.chdir(tmp_path)
    pytest.importorskip(name, reason=f"the extra [{name}] is not installed")
    return name


def rows(upto: int) -> list[dict[str, Any]]:
    return [{"epoch": epoch, "loss": 1 / epoch} for epoch in range(1, upto + 1)]


@pytest.mark.filterwarnings("default")  # theirs
def test_what_is_told_over_two_starts_is_there_once(service: str, tmp_path: Path) -> None:
    path = tmp_path / "a run"
    (path / "teacher").mkdir(parents=True)

    def start() -> Any:
        return telling([service], path, {"name": "x", "train": {"epochs": 3}}, Console(quiet=True))

    with start() as trackers:
        trackers.epochs(path / "teacher", rows(2))
    (path / "teacher" / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(3)))
    (path / "results.json").write_text("{}")
    with start() as trackers:
        trackers.epochs(path / "teacher", rows(2))
        trackers.result({"summary": SUMMARY})
    _there_once(service, path)


def _there_once(service: str, path: Path) -> None:
    name = json.loads((path / "trackers.json").read_text())["id"]
    assert name.startswith("a-run-")
    found, result = READ[service](path, name)
    assert found == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]
    assert result == 0.25


def _mlflow(path: Path, name: str) -> tuple[list[tuple[int, float]], float]:
    import mlflow

    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("limbeck")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.data.params["train.epochs"]) == ("FINISHED", "3")
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["results.json"]
    history = client.get_metric_history(run.info.run_id, "teacher/loss")
    (gain,) = client.get_metric_history(run.info.run_id, "result/few/accuracy/gain")
    return sorted((metric.step, metric.value) for metric in history), gain.value


def _trackio(path: Path, name: str) -> tuple[list[tuple[int, float]], float]:
    from trackio.sqlite_storage import SQLiteStorage

    assert SQLiteStorage.get_runs("limbeck") == [name]
    logs = SQLiteStorage.get_logs("limbeck", name)
    (gain,) = (row["result/few/accuracy/gain"] for row in logs if "result/few/accuracy/gain" in row)
    return sorted((row["step"], row["teacher/loss"]) for row in logs if "teacher/loss" in row), gain


def _wandb(path: Path, name: str) -> tuple[list[tuple[int, float]], float]:
    (file,) = path.glob(f"wandb/offline-run-*/run-{name}.wandb")
    points, summary = [], {}
    for record in _records(file.read_bytes()):
        kind = record.WhichOneof("record_type")
        if kind == "history":
            row = {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
            points.append((row["teacher/epoch"], row["teacher/loss"]))
        elif kind == "summary":
            summary |= {"/".join(each.nested_key) or each.key: each.value_json for each in record.summary.update}
    assert (next(path.glob("wandb/offline-run-*/files/results.json"))).read_text() == "{}"
    return points, float(summary["result/few/accuracy/gain"])


def _records(content: bytes) -> list[Any]:
    """The records of a .wandb file: LevelDB's log format, in blocks of 32 KiB, after a header of 7 bytes."""
    from wandb.proto import wandb_internal_pb2

    records, place, whole = [], 7, b""
    while place < len(content):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        size, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        whole += content[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # full, or last
            records.append(wandb_internal_pb2.Record())
            records[-1].ParseFromString(whole)
            whole = b""
    return records


READ: dict[str, Callable[[Path, str], tuple[list[tuple[int, float]], float]]] = {
    "mlflow": _mlflow,
    "trackio": _trackio,
    "wandb": _wandb,
}
