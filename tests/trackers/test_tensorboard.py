"""TensorBoard's event files, read back: what metrics.jsonl and results.json have, once each."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from limbeck import start
from limbeck.console import Console
from limbeck.recipes import Recipe
from limbeck.training import loop

pytest.importorskip("tensorboard", reason="the extra [tensorboard] is not installed")
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

QUIET = Console(quiet=True, file=io.StringIO())


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_a_run_that_was_stopped_and_continued_has_every_point_once(
    tiny: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = tiny.train.with_(epochs=4, checkpoint_seconds=0)
    recipe = tiny.with_(train=train, protocol=tiny.protocol.with_(seeds=(0,)))
    save, saved = loop.checkpoint.save, []

    def stopping(path: Path, *content: object) -> None:
        save(path, *content)  # type: ignore[arg-type]
        saved.append(path)
        if len(saved) == 5:  # the teacher's last, and all of the student's: this one is kept, but nobody was told
            raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr(loop.checkpoint, "save", stopping)
        with pytest.raises(KeyboardInterrupt):
            start.run(recipe, "out", console=QUIET, tracker="tensorboard")
    assert [step for step, _ in scalars(Path("out/tensorboard/seed0/alone"))["loss"]] == [1, 2, 3]
    result = start.run(recipe, "out", console=QUIET, tracker=["tensorboard"])
    _as_the_files_say(result)
    first = sorted(Path("out/tensorboard").rglob("events*"))
    start.run(recipe, "out", console=QUIET, tracker="tensorboard")
    assert len(sorted(Path("out/tensorboard").rglob("events*"))) == len(first) == 4
    _as_the_files_say(result)
    start.run(recipe, "out", fresh=True, console=QUIET)
    assert not Path("out/tensorboard").exists()
    assert not Path("out/trackers.json").exists()


def _as_the_files_say(result: start.Result) -> None:
    homes = sorted(path.parent for path in result.folder.rglob("metrics.jsonl"))
    assert len(homes) == 3
    for home in homes:
        rows = [json.loads(line) for line in (home / "metrics.jsonl").read_text().splitlines()]
        shown = scalars(result.folder / "tensorboard" / home.relative_to(result.folder))
        assert set(shown) == set(rows[0]) - {"epoch"}
        for name, points in shown.items():
            assert points == [(row["epoch"], pytest.approx(row[name], rel=1e-6)) for row in rows]
    top = scalars(result.folder / "tensorboard")
    accuracy = result.results["summary"]["few"]["accuracy"]
    assert top["result/few/accuracy/gain"] == [(0, pytest.approx(accuracy["gain"]["mean"], rel=1e-6))]
    assert "result/few/accuracy/gain_ci95" not in top  # one seed has none
