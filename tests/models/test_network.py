"""Networks that limbeck did not make, as students and teachers: their weights, heads, sizes and normalisation."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from limbeck import own
from limbeck.errors import LimbeckError
from limbeck.models import Normalised
from limbeck.models.model import Model
from limbeck.models.normalised import plain, shown
from limbeck.models.sources import Source
from limbeck.models.weights import load_network, save_network

FILE = """
from torch import nn

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, classes)

    def forward(self, images):
        return self.head(self.conv(images).relu().mean((2, 3)))

def net(num_classes):
    return Net(num_classes)

def five():
    return Net(5)
"""
STATISTICS = (0.5, 0.25, 0.125), (0.2, 0.1, 0.4)
PICTURES = torch.rand(3, 3, 12, 12, generator=torch.Generator().manual_seed(0))
CLASSES = ("a", "b", "c", "d")


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """own.py, from where the test works."""
    monkeypatch.chdir(tmp_path)
    own.read_anew()
    Path("own.py").write_text(FILE)
    return Path("own.py")


def refusal(what: Callable[[], Any]) -> str:
    with pytest.raises(LimbeckError) as caught:
        what()
    return str(caught.value)


def normalisation(network: Normalised) -> tuple[list[float], list[float]]:
    std = 1 / network.scale.flatten()
    return [round(x, 4) for x in (-network.shift.flatten() * std).tolist()], [round(x, 4) for x in std.tolist()]


class TestSize:
    """Pictures are resized inside the network."""

    def test_bilinear_with_antialiasing_before_the_normalisation(self) -> None:
        network = Normalised(nn.Identity(), *STATISTICS, size=5)
        mean, std = (torch.tensor(numbers).view(3, 1, 1) for numbers in STATISTICS)
        small = F.interpolate(PICTURES, (5, 5), mode="bilinear", antialias=True)
        torch.testing.assert_close(network(PICTURES), (small - mean) / std)
        assert (small - F.interpolate(PICTURES, (5, 5), mode="bilinear")).abs().max() > 0.05
        assert torch.equal(shown(network, PICTURES), network(PICTURES))
        assert torch.equal(network.around(nn.Identity())(PICTURES), network(PICTURES))

    def test_pictures_of_that_size_are_left_alone(self) -> None:
        networks = [Normalised(nn.Identity(), *STATISTICS, size=size) for size in (12, None)]
        assert torch.equal(networks[0](PICTURES), networks[1](PICTURES))

    def test_a_file_keeps_it(self) -> None:
        model = Model(name="nin_cifar", width=0.05, size=32)
        network = model.build(4, STATISTICS).eval()
        save_network(Path("w.safetensors"), network, model, CLASSES)
        assert torch.equal(load_network(Path("w.safetensors")).network(PICTURES), network(PICTURES))
        assert (Model(name="nin_cifar", width=0.05).build(4, STATISTICS).size, network.size) == (None, 32)


class TestFresh:
    """A student of one's own."""

    def test_it_gets_the_classes_and_torchs_random_state(self) -> None:
        weights = []
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            weights.append(plain(Model(name="own.py:net").build(4, STATISTICS)).head.weight)
        assert weights[0].shape == (4, 4)
        assert torch.equal(weights[0], weights[1])
        assert not torch.equal(weights[0], weights[2])

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"name": "own.py:net"}, ([0.0] * 3, [1.0] * 3)),
            ({"name": "own.py:net", "mean": (0.1, 0.2, 0.3), "std": (1, 2, 4)}, ([0.1, 0.2, 0.3], [1.0, 2.0, 4.0])),
            ({"name": "torchvision/squeezenet1_1"}, ([0.5, 0.25, 0.125], [0.2, 0.1, 0.4])),
            ({"name": "timm/test_resnet"}, ([0.5, 0.25, 0.125], [0.2, 0.1, 0.4])),
        ],
    )
    def test_how_it_is_shown_pictures(self, fields: dict[str, Any], expected: tuple[list[float], list[float]]) -> None:
        network = Model(**fields).build(4, STATISTICS)
        assert normalisation(network) == expected
        assert network.size is None

    def test_a_network_for_one_size_alone_gets_pictures_of_it(self) -> None:
        network = Model(name="timm/test_vit").build(4, STATISTICS)
        assert network.size == 160
        small = Model(name="timm/test_vit", size=32).build(4, STATISTICS)
        assert small(PICTURES).shape == (3, 4)
        assert plain(small).patch_embed.img_size == (32, 32)

    def test_what_means_nothing_is_refused(self) -> None:
        assert "has no effect: own.py:net is as wide as whoever made it says; choose a narrower one" in refusal(
            lambda: Model(name="own.py:net", width=0.5)
        )
        said = refusal(lambda: Model(name="own.py:net", dropout=0.5).build(4, STATISTICS))
        assert said == "dropout = 0.5 has no effect: own.py:net has no dropout layer; leave it away."
        assert (
            "pretrained weights are fetched for timm's and torchvision's networks, and not for own.py:net"
            in refusal(lambda: Model(name="own.py:net", pretrained=True))
        )
        assert "two sources of its weights" in refusal(
            lambda: Model(name="timm/test_vit", pretrained=True, weights=Path("x.pth"))
        )
        said = refusal(lambda: Model(name="timm/test_resnet", batch_norm=True).build(4, STATISTICS))
        assert said.startswith("batch_norm = True would change what timm/test_resnet is: it has normalisation of its")
        with pytest.raises(LimbeckError, match=r"unknown model 'own\.pz:net'"):
            Model(name="own.pz:net")

    def test_dropout_and_batch_norm_where_they_mean_something(self) -> None:
        network = Model(name="torchvision/squeezenet1_1", dropout=0.25, batch_norm=True).build(4, STATISTICS)
        assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == [0.25]
        assert any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())

    def test_another_name_lays_off_what_was_the_old_ones(self) -> None:
        model = Model(name="nin_cifar", width=0.5, dropout=0.2, mean=(0.1, 0.2, 0.3), std=(1, 1, 1), size=64)
        assert model.with_(name="own.py:net") == Model(name="own.py:net", size=64)
        assert model.with_(name="alexnet_cifar").width == 0.5


class TestWeights:
    """A student that does not start from nothing."""

    def test_a_head_of_other_classes_is_replaced_and_that_is_said(self) -> None:
        torch.manual_seed(1)
        state = plain(Model(name="own.py:net").build(1000, STATISTICS)).state_dict()
        torch.save(state, "w.pth")
        model = Model(name="own.py:net", weights=Path("w.pth"))
        network = model.build(4, STATISTICS)
        assert torch.equal(plain(network).conv.weight, state["conv.weight"])
        assert network.notes == ("own.py:net: its head of 1000 classes was replaced by a fresh one of 4.",)
        assert Model(name="own.py:net", weights=Path("w.pth")).build(1000, STATISTICS).notes == ()
        said = refusal(lambda: Source(name="own.py:net", weights=Path("w.pth")).build(4))
        assert said == (
            "w.pth does not fit own.py:net with 4 classes: head.weight is (1000, 4) there, and (4, 4) in the network."
        )
        torch.save({**state, "conv.weight": torch.zeros(4, 3, 5, 5)}, "other.pth")
        said = refusal(lambda: Model(name="own.py:net", weights=Path("other.pth")).build(4, STATISTICS))
        assert "conv.weight is (4, 3, 5, 5) there, and (4, 3, 3, 3) in the network" in said

    def test_a_file_of_limbecks_brings_its_normalisation(self) -> None:
        first = Model(name="nin_cifar", width=0.05, mean=(0.1, 0.2, 0.3), std=(1, 2, 4))
        network = first.build(4, STATISTICS)
        save_network(Path("w.safetensors"), network, first, CLASSES)
        again = Model(name="nin_cifar", width=0.05, weights=Path("w.safetensors")).build(4, STATISTICS)
        assert normalisation(again) == ([0.1, 0.2, 0.3], [1.0, 2.0, 4.0])
        for name, tensor in network.state_dict().items():
            torch.testing.assert_close(again.state_dict()[name], tensor)
        assert again.description == Model(name="nin_cifar", width=0.05)

    def test_what_torchvision_fetched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TORCH_HOME", str(Path("hub").absolute()))
        monkeypatch.setattr("torch.hub.download_url_to_file", self.nothing)
        name = "torchvision/squeezenet1_1"
        said = refusal(lambda: Model(name=name, pretrained=True).build(4, STATISTICS))
        assert said.startswith(f"the pretrained weights of {name} cannot be had: OSError: no network. They are fetched")
        torch.manual_seed(0)
        state = plain(Model(name=name).build(1000, STATISTICS)).state_dict()
        place = Path("hub/hub/checkpoints/squeezenet1_1-b8a52dc0.pth")
        place.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, place)
        student, teacher = Model(name=name, pretrained=True).build(4, STATISTICS), Source(name=name, pretrained=True)
        assert torch.equal(plain(student).features[0].weight, state["features.0.weight"])
        assert student.notes == (f"{name}: its head of 1000 classes was replaced by a fresh one of 4.",)
        assert student.description == Model(name=name, size=224)
        for network in (student, teacher.build(4)):
            assert normalisation(network) == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
            assert network.size == 224
        assert teacher.build(4)(PICTURES[:1]).shape == (1, 1000)

    @staticmethod
    def nothing(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    def test_what_timm_cannot_fetch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        timm = pytest.importorskip("timm")
        monkeypatch.setattr(timm, "create_model", self.nothing)
        said = refusal(lambda: Source(name="timm/test_vit", pretrained=True).build(4))
        assert said.startswith("the pretrained weights of timm/test_vit cannot be had: OSError: no network. They are")
        assert said.endswith("`weights` in place of `pretrained` (--student.weights FILE, --teacher.weights FILE).")

    def test_of_a_librarys_retries_the_first_line_is_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        timm, said = pytest.importorskip("timm"), io.StringIO()
        logger, handler = logging.getLogger("huggingface_hub"), logging.StreamHandler(said)
        logger.addHandler(handler)

        def tries(*_: Any, **__: Any) -> None:
            for number in range(3):
                logger.warning("attempt %d failed", number)
            raise OSError("no network")

        monkeypatch.setattr(timm, "create_model", tries)
        refusal(lambda: Source(name="timm/test_vit", pretrained=True).build(4))
        logger.removeHandler(handler)
        assert said.getvalue() == "attempt 0 failed\n"
        assert not handler.filters

    def test_weights_of_another_size_than_was_typed(self) -> None:
        pytest.importorskip("timm")
        torch.save(plain(Model(name="timm/test_vit").build(4, STATISTICS)).state_dict(), "vit.pth")
        said = refusal(lambda: Model(name="timm/test_vit", weights=Path("vit.pth"), size=64).build(4, STATISTICS))
        assert (
            "made for pictures of 64 pixels, as size says. If the weights are of others, leave size (--student" in said
        )
        assert Model(name="timm/test_vit", weights=Path("vit.pth")).build(4, STATISTICS).size == 160

    def test_what_timm_fetched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        timm = pytest.importorskip("timm")
        state = timm.create_model("test_vit").state_dict()
        monkeypatch.setattr(timm.models._builder, "load_state_dict_from_hf", lambda *_, **__: dict(state))
        student = Model(name="timm/test_vit", pretrained=True).build(4, STATISTICS)
        assert student.notes == ("timm/test_vit: its head of 1000 classes was replaced by a fresh one of 4.",)
        assert torch.equal(plain(student).cls_token, state["cls_token"])
        assert (student.size, normalisation(student)) == (160, ([0.5] * 3, [0.5] * 3))


class TestFiles:
    """A weights file names code, and runs it only where whoever loads it does, too."""

    @pytest.fixture
    def weights(self) -> Path:
        model = Model(name="own.py:net")
        network = model.build(4, STATISTICS)
        network.notes = ("noted", "twice")
        save_network(Path("w.safetensors"), network, model, CLASSES)
        return Path("w.safetensors")

    def test_the_code_is_not_run_unless_it_is_named(self, weights: Path) -> None:
        Path("own.py").rename("moved.py")
        Path("ran").unlink(missing_ok=True)
        assert refusal(lambda: load_network(weights)) == (
            "the network in w.safetensors is made by own.py:net: its code would be run to load these weights. If you "
            "trust that file, name it: --code own.py (of a run's teacher: --teacher.code own.py)."
        )
        saved = load_network(weights, [Path("moved.py")])
        assert (saved.model, saved.network.notes) == (Model(name="moved.py:net"), ("noted", "twice"))
        assert saved.network(PICTURES).shape == (3, 4)

    def test_changed_code_is_refused(self, weights: Path) -> None:
        Path("own.py").write_text("open('ran', 'w')\n" + FILE)
        own.read_anew()
        said = refusal(lambda: load_network(weights, [Path("own.py")]))
        assert said.startswith("own.py was changed since the network in w.safetensors was made by it: its SHA-256 is ")
        assert not Path("ran").exists()

    def test_an_exported_program_likewise(self) -> None:
        network = Source(name="own.py:five").build(5)
        torch.export.save(
            torch.export.export(plain(network), (PICTURES,), dynamic_shapes=({0: torch.export.Dim("batch")},)), "n.pt2"
        )
        program = Source(name="n.pt2").build(5)
        save_network(Path("p.safetensors"), program, program.description, ("a", "b", "c", "d", "e"))
        assert "is made by n.pt2: its code would be run" in refusal(lambda: load_network(Path("p.safetensors")))
        again = load_network(Path("p.safetensors"), [Path("n.pt2")]).network
        torch.testing.assert_close(again(PICTURES), network(PICTURES))

    def test_nothing_else_is_read_or_fetched_for_it(self) -> None:
        described = Model(name="torchvision/squeezenet1_1", pretrained=True)
        network = Model(name="torchvision/squeezenet1_1").build(4, STATISTICS)
        save_network(Path("s.safetensors"), network, described, CLASSES)
        assert load_network(Path("s.safetensors")).model == Model(name="torchvision/squeezenet1_1")

    def test_a_librarys_network_needs_nobody(self) -> None:
        model = Model(name="timm/test_resnet", size=32)
        network = model.build(4, STATISTICS).eval()
        save_network(Path("t.safetensors"), network, model, CLASSES)
        saved = load_network(Path("t.safetensors"))
        assert saved.model == model
        torch.testing.assert_close(saved.network(PICTURES), network(PICTURES))


def test_what_was_described_before_is_written_as_it_was() -> None:
    assert Model(name="nin_cifar").model_dump(mode="json") == {
        **{"name": "nin_cifar", "mean": None, "std": None, "width": 1.0, "dropout": None}
    }
    model = Model(name="timm/test_vit", pretrained=True, size=64)
    assert Model.model_validate_json(model.model_dump_json()) == model
