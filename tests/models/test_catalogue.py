"""What holds for every network that has a name, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from limbeck.errors import LimbeckError
from limbeck.files import read_tensors, write_tensors
from limbeck.models import CATALOGUE, Normalised, build, find

NAMES = sorted(CATALOGUE)


def _smallest() -> list[str]:
    """Of the networks of one class, the one with the fewest layers: what costs time is tested on these."""
    chosen: dict[type, tuple[int, str]] = {}
    for name in NAMES:
        with torch.device("meta"):
            network = build(name, num_classes=10)
        size = (len(list(network.modules())), name)
        chosen[type(network)] = min(size, chosen.get(type(network), size))
    return sorted(name for _, name in chosen.values())


KINDS = _smallest()


def narrow(name: str, width: float = 0.25, **options: int) -> nn.Module:
    torch.manual_seed(0)
    return build(name, **{"num_classes": 10, **options}, width=width)


def pictures(batch: int = 4, channels: int = 3, size: int = 32) -> torch.Tensor:
    return torch.rand(batch, channels, size, size, generator=torch.Generator().manual_seed(1))


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_the_description_is_one_line(name: str) -> None:
    assert find(name) is CATALOGUE[name]
    assert 10 < len(CATALOGUE[name].description) < 100
    assert "\n" not in CATALOGUE[name].description


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("classes", "channels", "width"), [(10, 3, 0.25), (2, 1, 0.1), (100, 4, 0.001)])
def test_logits_have_the_shape_asked_for(name: str, classes: int, channels: int, width: float) -> None:
    network = build(name, num_classes=classes, in_channels=channels, width=width)
    logits = network(pictures(channels=channels))
    assert logits.shape == (4, classes)
    assert logits.dtype == torch.float32


@pytest.mark.parametrize("name", NAMES)
def test_width_scales_the_parameters_about_quadratically(name: str) -> None:
    with torch.device("meta"):
        full, half = (count(build(name, num_classes=10, width=width)) for width in (1.0, 0.5))
    assert 0.24 < half / full < 0.28


@pytest.mark.parametrize("name", KINDS)
def test_gradients_reach_every_parameter(name: str) -> None:
    network = narrow(name).train()
    labels = torch.arange(10).repeat(2)
    nn.functional.cross_entropy(network(pictures(20)), labels).backward()
    without = [key for key, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert without == []


@pytest.mark.parametrize("name", KINDS)
def test_both_memory_layouts_give_the_same_logits_and_gradients(name: str) -> None:
    plain, other = narrow(name).double().eval(), narrow(name).double().eval().to(memory_format=torch.channels_last)
    images = pictures().double()
    expected, logits = plain(images), other(images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
    expected.square().sum().backward()
    logits.square().sum().backward()
    for ours, twin in zip(other.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, twin.grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_channels_last_holds_from_the_first_layer_to_the_last_map(name: str) -> None:
    network = narrow(name).to(memory_format=torch.channels_last)
    kept = {}
    for path, module in network.named_modules():
        module.register_forward_hook(
            lambda _, __, output, path=path: (
                kept.update({path: output.is_contiguous(memory_format=torch.channels_last)})
                if output.dim() == 4
                else None
            )
        )
    network(pictures().contiguous(memory_format=torch.channels_last))
    assert len(kept) > 10
    assert [path for path, layout in kept.items() if not layout] == []


@pytest.mark.parametrize("name", ["alexnet_cifar", "nin_cifar", "nin_cifar_no_relu"])
def test_dropout_of_a_half_acts_in_training_alone(name: str) -> None:
    network = narrow(name)
    assert {module.p for module in network.modules() if isinstance(module, nn.Dropout)} == {0.5}
    images = pictures()
    assert torch.equal(network.eval()(images), network(images))
    network.train()
    assert not torch.equal(network(images), network(images))


@pytest.mark.parametrize("name", KINDS)
def test_the_random_state_decides_the_weights(name: str) -> None:
    first, again, next_one = narrow(name, 0.05), narrow(name, 0.05), build(name, num_classes=10, width=0.05)
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True)]
    assert all(same)
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), next_one.parameters(), strict=True))


@pytest.mark.parametrize("name", KINDS)
def test_weights_survive_a_file_and_bring_their_normalisation(name: str, tmp_path: Path) -> None:
    saved = Normalised(narrow(name), [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]).eval()
    saved.to(memory_format=torch.channels_last)
    write_tensors(tmp_path / "weights.safetensors", saved.state_dict())
    loaded = Normalised(build(name, num_classes=10, width=0.25), [0.0] * 3, [1.0] * 3).eval()
    assert not torch.allclose(loaded(pictures()), saved(pictures()))
    loaded.load_state_dict(read_tensors(tmp_path / "weights.safetensors"))
    torch.testing.assert_close(loaded(pictures()), saved(pictures()), rtol=1e-4, atol=1e-5)
    assert all(torch.equal(value, saved.state_dict()[key]) for key, value in loaded.state_dict().items())


@pytest.mark.parametrize("name", KINDS)
def test_autocast_and_a_whole_graph_compile(name: str) -> None:
    network = Normalised(narrow(name), [0.5] * 3, [0.25] * 3).eval()
    images = pictures().contiguous(memory_format=torch.channels_last)
    expected = network(images)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(images)
    assert logits.dtype == torch.bfloat16
    torch.testing.assert_close(logits.float(), expected, rtol=0.05, atol=0.02)
    torch.compiler.reset()  # a process compiles the same code a few times only
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(images), expected)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("nin", r"unknown model 'nin'\. Did you mean 'nin_cifar'\? Known: alexnet_cifar, .*nin_cifar"),
        ("AlexNet_cifar", r"unknown model 'AlexNet_cifar'\. Did you mean 'alexnet_cifar'\?"),
        ("", r"unknown model ''\. Known: .*Type `limbeck summary NAME` to see the layers of one\.$"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(typed: str, message: str) -> None:
    with pytest.raises(LimbeckError, match=message):
        build(typed, num_classes=10)
    with pytest.raises(LimbeckError, match=message):
        find(typed)


@pytest.mark.parametrize("width", [0, -0.5, float("nan"), float("inf"), 100.5])
def test_an_impossible_width_is_refused(width: float) -> None:
    with pytest.raises(LimbeckError, match=rf"^width must be above 0 and at most 100, not {width}\. 1 is the full"):
        build("nin_cifar", num_classes=10, width=width)


@pytest.mark.parametrize("classes", [1, 0, -3])
def test_too_few_classes_are_refused(classes: int) -> None:
    with pytest.raises(
        LimbeckError, match=rf"^num_classes must be 2 or more, not {classes}\. CIFAR-10 and digits have 10"
    ):
        build("nin_cifar", num_classes=classes)


@pytest.mark.parametrize("channels", [0, -1])
def test_too_few_channels_are_refused(channels: int) -> None:
    with pytest.raises(LimbeckError, match=rf"^in_channels must be 1 or more, not {channels}\. Colour pictures have 3"):
        build("alexnet_cifar", num_classes=10, in_channels=channels)
