"""Taps: what is heard, by which path, and that nothing of it stays."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from limbeck import models
from limbeck.errors import LimbeckError
from limbeck.models.normalised import Normalised
from limbeck.objectives import Outputs, Tapped, probe, tapped
from limbeck.objectives.taps import plain


class Small(nn.Module):
    """Two maps, a rectifier that works in place, a pool and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2))
        self.unused = nn.Linear(2, 2)
        self.classifier = nn.Linear(4, 7)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.body(images).mean(dim=(2, 3)))


@pytest.fixture
def small() -> Small:
    torch.manual_seed(0)
    return Small()


def test_outputs_and_inputs_are_heard(small: Small) -> None:
    images = torch.randn(5, 3, 8, 8)
    said = Tapped(small, ("body.2", "classifier:in"))(images)
    torch.testing.assert_close(said.taps["body.2"], small.body(images))
    torch.testing.assert_close(said.taps["classifier:in"], small.body(images).mean(dim=(2, 3)))
    torch.testing.assert_close(said.logits, small(images))
    assert list(said.taps) == ["body.2", "classifier:in"]


def test_what_works_in_place_does_not_overwrite_a_tap(small: Small) -> None:
    said = Tapped(small, ("body.0", "body.1:in"))(torch.randn(5, 3, 8, 8))
    assert (said.taps["body.0"] < 0).any()
    torch.testing.assert_close(said.taps["body.0"], said.taps["body.1:in"])


def test_gradients_go_through_a_tap(small: Small) -> None:
    Tapped(small, ("body.0",))(torch.randn(5, 3, 8, 8)).taps["body.0"].sum().backward()
    weight = small.body[0].weight
    assert isinstance(weight, Tensor)
    assert weight.grad is not None
    assert weight.grad.abs().sum() > 0


def test_nothing_of_it_stays(small: Small) -> None:
    before = set(small.state_dict())
    tapped = Tapped(small, ("body.0", "classifier:in"))
    tapped(torch.randn(2, 3, 8, 8))
    tapped.close()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in small.modules())
    assert set(small.state_dict()) == before


def test_modes_are_the_networks_own_affair(small: Small) -> None:
    tapped = Tapped(small, ("body.0",))
    small.eval()
    tapped(torch.randn(2, 3, 8, 8))
    assert not small.training
    small.train()
    tapped(torch.randn(2, 3, 8, 8))
    assert small.training


def test_paths_are_counted_from_the_plain_network(small: Small) -> None:
    network = Normalised(small, (0.5,) * 3, (0.5,) * 3)
    assert plain(network) is small
    assert Tapped(network, ("body.0",))(torch.rand(2, 3, 8, 8)).taps["body.0"].shape == (2, 4, 8, 8)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "body.3",
            r"no submodule 'body.3' in Small\. Did you mean 'body.\d'\? Near it: body.0, body.1, body.2\.",
        ),
        ("clasifier:in", r"there is no submodule 'clasifier' in Small\. Did you mean 'classifier'\?"),
        ("", "there is no submodule '' in Small"),
    ],
)
def test_a_path_that_leads_nowhere(small: Small, path: str, message: str) -> None:
    with pytest.raises(LimbeckError, match=message):
        Tapped(small, (path,))


def test_a_submodule_that_is_not_called(small: Small) -> None:
    with pytest.raises(LimbeckError, match="the submodule 'unused' was not called"):
        Tapped(small, ("unused",))(torch.randn(2, 3, 8, 8))


def test_a_probe_leaves_the_network_as_it_was(small: Small) -> None:
    small.train()
    found = probe(small, torch.rand(3, 8, 8))
    assert small.training
    assert not any(module._forward_hooks for module in small.modules())
    assert found.outputs["body.0"] == (4, 8, 8)
    assert found.inputs["body.2"] == (4, 8, 8)
    assert found.classes == 7
    assert found.before("body.1:in") == "body.0"
    assert found.before("body.0:in") is None
    assert found.stages() == ("body.1", "body")
    assert found.embedding() == "classifier:in"
    assert found.before_relu() == ("body.1:in", "body")
    with pytest.raises(LimbeckError, match=r"no submodule 'bodi' in Small\. Did you mean 'body'\?"):
        found.shape("bodi")


@pytest.mark.parametrize(
    ("name", "sizes", "embedding"),
    [
        ("alexnet_cifar", [34, 16, 7, 3], "classifier.linear8:in"),
        ("nin_cifar", [32, 16, 8], "head.unit.conv:in"),
        ("wrn_16_2", [32, 16, 8], "classifier:in"),
    ],
)
def test_the_stages_of_our_own_networks(name: str, sizes: list[int], embedding: str) -> None:
    network = models.build(name, num_classes=10, width=0.25)
    found = probe(network, torch.rand(3, 32, 32))
    assert [found.shape(path)[1] for path in found.stages()] == sizes
    assert found.embedding() == embedding


@pytest.mark.parametrize(
    ("name", "options", "sizes", "embedding"),
    [
        ("resnet18", {}, [32, 16, 8, 4, 2], "fc:in"),
        ("mobilenetv2_050", {}, [32, 16, 8, 4, 2], "classifier:in"),
        ("vit_tiny_patch16_224", {"img_size": 64, "patch_size": 8, "depth": 8}, [65] * 4, "head:in"),
    ],
)
def test_the_stages_of_timms_networks(name: str, options: dict[str, int], sizes: list[int], embedding: str) -> None:
    timm = pytest.importorskip("timm")
    found = probe(timm.create_model(name, num_classes=10, **options), torch.rand(3, 64, 64))
    shapes = [found.shape(path) for path in found.stages()]
    assert [shape[1] if len(shape) == 3 else shape[0] for shape in shapes] == sizes
    assert found.embedding() == embedding


def pictures(rank: int) -> Tensor:
    return torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(rank))


def loss(said: Outputs, weight: float) -> Tensor:
    """Of the taps, and of the logits with this weight."""
    return said.taps["body.0"].square().mean() + said.taps["classifier:in"].sum() + weight * said.logits.square().mean()


def gradients(network: nn.Module) -> dict[str, Tensor]:
    return {name: weight.grad.clone() for name, weight in network.named_parameters() if weight.grad is not None}


def one_of_two(rank: int, folder: Path) -> None:
    """What each process does; what it found is kept in a file, for the test to look at."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    found: dict[str, Any] = {}
    for weight in (1.0, 0.0):
        torch.manual_seed(rank)  # the first process's weights are everybody's
        small = Small()
        small.unused.requires_grad_(False)
        network = DistributedDataParallel(Normalised(small, (0.5,) * 3, (0.5,) * 3))
        if rank == 0:
            found["stages"] = probe(network, pictures(0)[0]).stages()
        tapped = Tapped(network, ("body.0", "classifier:in"))
        for _ in range(2):
            network.zero_grad()
            loss(tapped(pictures(rank)), weight).backward()
        found[f"gradients {weight}"] = gradients(small)
        network.eval()
        found["in eval"] = tapped(pictures(rank)).taps
        tapped.close()
        found["hooks"] = sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in network.modules())
    torch.save(found, folder / f"{rank}.pt")
    distributed.destroy_process_group()


class TestWrapped:
    """Paths are those of the plain network, whatever is wrapped around it."""

    @pytest.mark.skipif(
        not distributed.is_available() or not distributed.is_gloo_available(), reason="torch has no gloo"
    )
    def test_two_processes_share_their_gradients(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        loopback = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
        monkeypatch.setenv("GLOO_SOCKET_IFNAME", loopback[0])
        multiprocessing.spawn(one_of_two, (tmp_path,), nprocs=2)
        found = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
        torch.manual_seed(0)
        small = Small()
        network = Normalised(small, (0.5,) * 3, (0.5,) * 3)
        assert found[0]["stages"] == probe(small, pictures(0)[0]).stages()
        for weight in (1.0, 0.0):
            alone = []
            for rank in (0, 1):
                network.zero_grad()
                loss(tapped(network, ("body.0", "classifier:in"), pictures(rank)), weight).backward()
                alone.append(gradients(small))
            mean = {name: (alone[0][name] + alone[1][name]) / 2 for name in alone[0]}
            for rank in (0, 1):
                for name, wanted in mean.items():
                    torch.testing.assert_close(found[rank][f"gradients {weight}"][name], wanted)
        for rank in (0, 1):
            wanted = tapped(network, ("body.0", "classifier:in"), pictures(rank)).taps
            torch.testing.assert_close(found[rank]["in eval"], wanted)
            assert found[rank]["hooks"] == 0

    @pytest.mark.parametrize("outside", [False, True])
    def test_a_compiled_network(self, small: Small, outside: bool) -> None:
        torch.compiler.reset()
        inner: Any = small if outside else torch.compile(small, backend="eager")
        network: Any = Normalised(inner, (0.5,) * 3, (0.5,) * 3)
        network = torch.compile(network, backend="eager") if outside else network
        paths = ("body.0", "classifier:in")
        expected = tapped(Normalised(small, (0.5,) * 3, (0.5,) * 3), paths, pictures(0))
        assert probe(network, pictures(0)[0]).stages() == probe(small, pictures(0)[0]).stages()
        listening = Tapped(network, paths)
        for mode in (True, False, True):
            network.train(mode)
            torch.testing.assert_close(listening(pictures(0)).taps, expected.taps)
        loss(listening(pictures(0)), 1).backward()
        found = gradients(small)
        small.zero_grad()
        loss(expected, 1).backward()
        torch.testing.assert_close(found, gradients(small))
        listening.close()
        torch.testing.assert_close(network(pictures(0)), expected.logits)
        with pytest.raises(
            LimbeckError, match=r"'body.0' was not called .*, or call torch.compiler.reset\(\), if it was comp"
        ):
            tapped(network, paths, pictures(0))
        torch.compiler.reset()
        torch.testing.assert_close(tapped(network, paths, pictures(0)).taps, expected.taps)


def test_a_probe_puts_every_submodules_mode_back(small: Small) -> None:
    small.train()
    small.body.eval()
    probe(small, torch.rand(3, 8, 8))
    assert [small.training, small.body.training, small.body[0].training, small.classifier.training] == [
        *(True, False, False),
        True,
    ]
