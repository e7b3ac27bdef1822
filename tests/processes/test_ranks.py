"""What a process makes of torchrun's environment, and what is refused or left to the first one."""

from __future__ import annotations

import pytest
import torch

import limbeck
from limbeck.cli import main
from limbeck.errors import LimbeckError
from limbeck.processes import ranks
from limbeck.processes.ranks import Place
from limbeck.recipes import Recipe
from limbeck.training import Device, choose

ENVIRONMENT = {
    **{"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"},
    **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"},
}


@pytest.fixture(autouse=True)
def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is read anew in each test, and nobody's output is redirected."""
    monkeypatch.setattr(ranks._Known, "place", None)
    monkeypatch.setattr(ranks, "hush", lambda: None)


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is the second of two."""
    monkeypatch.setattr(ranks._Known, "place", Place(1, 2, 1, 2))


@pytest.fixture
def first(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is the first of two."""
    monkeypatch.setattr(ranks._Known, "place", Place(0, 2, 0, 2))


def test_a_process_knows_its_place_by_torchruns_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ranks.place() == Place(0, 1, 0, 1)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ranks._Known, "place", None)
    assert ranks.place() == Place(rank=5, size=8, local=1, beside=4)
    assert not ranks.first()


@pytest.mark.parametrize("missing", ENVIRONMENT)
def test_what_some_clusters_set_without_torchrun_makes_nobody_wait(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value if name != missing else "")
    assert ranks.size() == 1


def test_one_of_one_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ENVIRONMENT, "RANK": "0", "WORLD_SIZE": "1"}.items():
        monkeypatch.setenv(name, value)
    assert ranks.place() == Place()


class TestDevices:
    @pytest.fixture(autouse=True)
    def gpus(self, monkeypatch: pytest.MonkeyPatch, first: None) -> None:
        """Pretends that there are two GPUs."""
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
        monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)

    def test_each_takes_a_gpu_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert choose(Device()).device == torch.device("cuda", 0)
        monkeypatch.setattr(ranks._Known, "place", Place(3, 4, 1, 2))
        engine = choose(Device(name="cuda", compile="on"))
        assert engine.device == torch.device("cuda", 1)
        assert "device cuda: 4 processes share each batch, each on its own GPU" in engine.reasons
        assert not engine.compiled
        assert "compile off: what several processes gather in the middle of a step cannot be fused" in engine.reasons
        assert choose(Device(name="cpu")).device == torch.device("cpu")

    def test_one_gpu_for_all(self) -> None:
        with pytest.raises(LimbeckError) as refused:
            choose(Device(name="cuda:1"))
        assert str(refused.value) == (
            "device 'cuda:1' is one for 2 processes. Type --device.name cuda, and each takes a GPU of its own; or "
            "leave torchrun away."
        )

    def test_more_processes_than_gpus(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ranks._Known, "place", Place(0, 3, 0, 3))
        with pytest.raises(LimbeckError) as refused:
            choose(Device())
        assert str(refused.value) == (
            "3 processes need as many GPUs, and there are 2. Type torchrun --nproc-per-node 2, or --device.name cpu."
        )


@pytest.mark.usefixtures("second")
@pytest.mark.parametrize("words", [["recipes"], ["summary"], ["run", "tiny", "--dry-run"], ["report"], ["nonsense"]])
def test_one_process_does_what_is_no_training_and_speaks(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == (2 if words == ["nonsense"] else 0)
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("first")
def test_the_first_process_does_it_as_if_it_were_alone(tiny: Recipe, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tiny", "--dry-run"]) == 0
    assert "tiny: what a run takes on this machine" in capsys.readouterr().out
    assert ranks.size() == 1


@pytest.mark.usefixtures("first")
def test_a_sweep_is_for_one_process(tiny: Recipe) -> None:
    with pytest.raises(
        LimbeckError, match=r"^a sweep trains in one process, and torchrun started 2\. Type the command"
    ):
        limbeck.sweep(tiny, {"objective": "kd,dkd"})
