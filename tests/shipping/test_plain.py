"""A network as one Python file: the same answers, from torch and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from limbeck import files
from limbeck.errors import LimbeckError
from limbeck.models.model import Model
from limbeck.models.normalised import Normalised
from limbeck.shipping.plain import plain

STATISTICS = ([0.4, 0.5, 0.6], [0.2, 0.25, 0.3])
CLASSES = ("cat", 'a "dog"', "it's")


def _network(name: str) -> nn.Module:
    torch.manual_seed(0)
    network = Model(name=name, width=0.125).build(3, STATISTICS)
    network.train()
    network(torch.rand(4, 3, 32, 32))  # batch statistics that are not those at the start
    return network.eval()


@pytest.mark.parametrize(
    "name",
    ["nin_cifar", "alexnet_cifar", "resnet8", "wrn_16_1", "mobilenetv2_half", "shufflenet_v1", "shufflenet_v2", "vgg8"],
)
def test_it_answers_as_the_network_does(name: str) -> None:
    network, pictures = _network(name), torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        said, expected = plain(network, name, CLASSES, "w.safetensors").build()(pictures), network(pictures)
    assert torch.allclose(said, expected, rtol=1e-4, atol=1e-6)


def test_a_forward_whose_argument_has_the_name_of_a_function() -> None:
    network = Normalised(nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten()), *STATISTICS).eval()
    pictures = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        said = plain(network, "a sequence", CLASSES, "w.safetensors").build()(pictures)
        assert torch.allclose(said, network(pictures), rtol=1e-4, atol=1e-6)


def test_it_resizes_as_the_network_does() -> None:
    network, pictures = Model(name="resnet8", size=24).build(3, STATISTICS).eval(), torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        for shown in (pictures, pictures[..., :24, :24]):
            said = plain(network, "resnet8", CLASSES, "w.safetensors").build()(shown)
            assert torch.allclose(said, network(shown), rtol=1e-4, atol=1e-6)


def test_the_file_needs_nothing_but_torch(tmp_path: Path) -> None:
    network = _network("resnet8")
    written = plain(network, "resnet8", CLASSES, "student.safetensors")
    (tmp_path / "student.py").write_text(written.text)
    files.write_tensors(tmp_path / "student.safetensors", written.tensors)
    pictures = torch.rand(2, 3, 32, 32)
    torch.save(pictures, tmp_path / "pictures.pt")
    code = (
        "import sys, torch, safetensors.torch, student\n"
        "network = student.Student()\n"
        "network.load_state_dict(safetensors.torch.load_file('student.safetensors'))\n"
        "torch.save(network.eval()(torch.load('pictures.pt')), 'logits.pt')\n"
        "assert student.CLASSES == ('cat', 'a \"dog\"', \"it's\")\n"
        "assert not any(name.startswith('limbeck') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    with torch.no_grad():
        assert torch.allclose(torch.load(tmp_path / "logits.pt"), network(pictures), atol=1e-6)


class _Deciding(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3)) if images.sum() > 0 else images.amax((2, 3))


class _Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.full((3,), 2.0))

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3)) * self.factor


def test_parameters_of_its_own_are_kept() -> None:
    network, pictures = Normalised(_Own(), *STATISTICS).eval(), torch.rand(2, 3, 4, 4)
    with torch.no_grad():
        assert torch.allclose(plain(network, "own", CLASSES, "w").build()(pictures), network(pictures))


def test_a_forward_that_decides_is_refused() -> None:
    with pytest.raises(LimbeckError, match="cannot be followed symbolically"):
        plain(Normalised(_Deciding(), *STATISTICS).eval(), "deciding", CLASSES, "w")
