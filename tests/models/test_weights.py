"""A network in a file, and what is said of files that do not hold one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from limbeck.errors import LimbeckError
from limbeck.files import read_tensors, write_tensors
from limbeck.models import Normalised
from limbeck.models.model import Model
from limbeck.models.weights import load_network, save_network

STATISTICS = (0.5, 0.25, 0.125), (0.2, 0.1, 0.4)
MODEL = Model(name="nin_cifar", width=0.05)
CLASSES = ("cat", "dog", "sea lion")


@pytest.fixture
def network() -> Normalised:
    torch.manual_seed(0)
    return MODEL.build(len(CLASSES), STATISTICS)


@pytest.fixture
def path(tmp_path: Path, network: Normalised) -> Path:
    path = tmp_path / "weights.safetensors"
    save_network(path, network, MODEL, CLASSES)
    return path


def test_the_network_comes_back_with_its_normalisation_and_classes(path: Path, network: Normalised) -> None:
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    loaded, model, classes, data, _ = load_network(path)
    assert (model, classes, data) == (MODEL, CLASSES, None)
    assert not any(module.training for module in loaded.modules())
    assert loaded.state_dict().keys() == network.state_dict().keys()
    assert torch.equal(loaded(images), network.eval()(images))


def test_a_network_of_another_number_of_channels(tmp_path: Path) -> None:
    model = Model(name="nin_cifar", width=0.05, mean=(0.5,), std=(0.25,))
    save_network(tmp_path / "grey", model.build(2, ([0.0], [1.0])), model, ("a", "b"))
    assert load_network(tmp_path / "grey").network(torch.rand(1, 1, 32, 32)).shape == (1, 2)
    own = Model(name="nin_cifar", width=0.05)
    save_network(tmp_path / "four", own.build(2, ([0.5] * 4, [0.2] * 4)), own, ("a", "b"))
    assert load_network(tmp_path / "four").network(torch.rand(1, 4, 32, 32)).shape == (1, 2)


def test_half_precision_halves_the_file_and_comes_back_as_float32(
    path: Path, network: Normalised, tmp_path: Path
) -> None:
    half = tmp_path / "half.safetensors"
    save_network(half, network, MODEL, CLASSES, "cifar10", half=True)
    assert half.stat().st_size < 0.6 * path.stat().st_size
    saved = load_network(half)
    assert saved.data == "cifar10"
    for name, tensor in network.state_dict().items():
        assert torch.equal(saved.network.state_dict()[name], tensor.half().float())


def test_half_precision_leaves_whole_numbers_alone(tmp_path: Path) -> None:
    model = Model(name="wrn_16_2", width=0.25)
    network = model.build(2, STATISTICS)
    network.network.features.norm.num_batches_tracked.fill_(81_001)
    save_network(tmp_path / "half.safetensors", network, model, ("a", "b"), half=True)
    assert load_network(tmp_path / "half.safetensors").network.network.features.norm.num_batches_tracked == 81_001


def test_weights_in_channels_last_make_the_same_file(path: Path, network: Normalised, tmp_path: Path) -> None:
    save_network(tmp_path / "other", network.to(memory_format=torch.channels_last), MODEL, CLASSES)  # type: ignore[call-overload]
    assert (tmp_path / "other").read_bytes() == path.read_bytes()


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(LimbeckError, match=r"^weights file .*nowhere\.safetensors does not exist\. Check the path\."):
        load_network(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize("keep", [0, 7, 200, -1])
def test_a_truncated_file(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(LimbeckError, match=rf"^weights file {path} is damaged "):
        load_network(path)


@pytest.mark.parametrize("metadata", [{}, {"format": "pt"}, {"model": MODEL.model_dump_json()}, {"classes": "a\nb"}])
def test_a_file_of_somebody_else(path: Path, metadata: dict[str, str]) -> None:
    write_tensors(path, read_tensors(path), metadata)
    message = (
        rf"^{path} does not say which network .* not written by limbeck\. Give a weights\.safetensors from a run's"
    )
    with pytest.raises(LimbeckError, match=message):
        load_network(path)


@pytest.mark.parametrize(
    ("model", "classes", "cause"),
    [
        (MODEL.with_(width=0.1).model_dump_json(), CLASSES, "size mismatch for network.features"),
        (Model(name="alexnet_cifar", width=0.05).model_dump_json(), CLASSES, "Missing key"),
        (MODEL.model_dump_json(), (*CLASSES, "one more"), "size mismatch for network.head"),
        (MODEL.model_dump_json(), ("only one",), "num_classes must be 2 or more, not 1"),
        (json.dumps({"name": "vgg"}), CLASSES, "unknown model 'vgg'"),
        (json.dumps({"name": "nin_cifar", "depth": 3}), CLASSES, "Model.depth: there is no such field"),
        (json.dumps(["nin_cifar"]), CLASSES, "must be a mapping"),
        ('{"name": ', CLASSES, "Expecting value"),
    ],
)
def test_an_altered_file(path: Path, model: str, classes: tuple[str, ...], cause: str) -> None:
    write_tensors(path, read_tensors(path), {"model": model, "classes": "\n".join(classes)})
    with pytest.raises(LimbeckError) as caught:
        load_network(path)
    message = str(caught.value)
    assert message.startswith(f"the weights in {path} do not fit the network that the file names: ")
    assert cause in message
    assert message.endswith("if a run made it, removing it and running again has it made again.")


@pytest.mark.parametrize("missing", ["scale", "network.head.unit.conv.weight"])
def test_a_tensor_that_is_missing(path: Path, missing: str) -> None:
    tensors = read_tensors(path)
    del tensors[missing]
    write_tensors(path, tensors, {"model": MODEL.model_dump_json(), "classes": "\n".join(CLASSES)})
    with pytest.raises(
        LimbeckError, match=rf'do not fit the network .*Missing key.*"{missing}"'.replace(".*", r"[\s\S]*")
    ):
        load_network(path)
