"""Every corruption: worse with its severity, the same whatever the batch; and what is refused."""

from __future__ import annotations

import pytest
import torch
from some import COUNT, INDEX, constant, one, pictures
from torch import Tensor

from limbeck.data import Dataset
from limbeck.errors import LimbeckError
from limbeck.evaluation.corruptions import KINDS, SEVERITIES, corrupted, corrupted_set

EVERY = tuple(kind for family in KINDS.values() for kind in family)
FIXED = ("defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression")


def distance(kind: str, severity: int) -> float:
    return float((corrupted(pictures(), INDEX, kind, severity).int() - pictures().int()).abs().double().mean())


def test_there_are_fifteen_kinds_in_four_families() -> None:
    assert {family: len(kinds) for family, kinds in KINDS.items()} == {
        "noise": 3,
        "blur": 4,
        "weather": 4,
        "digital": 4,
    }
    assert len(set(EVERY)) == 15
    assert SEVERITIES == (1, 2, 3, 4, 5)


@pytest.mark.parametrize("kind", EVERY)
class TestEveryKind:
    @pytest.mark.parametrize("severity", [1, 5])
    def test_shape_dtype_and_that_something_happens(self, kind: str, severity: int) -> None:
        found = corrupted(pictures(), INDEX, kind, severity)
        assert found.dtype == torch.uint8
        assert found.shape == pictures().shape
        changed = (found != pictures()).flatten(1).any(1)
        assert changed.all()

    def test_the_batch_changes_nothing(self, kind: str) -> None:
        severity = 4
        together = corrupted(pictures(), INDEX, kind, severity)
        alone = [corrupted(pictures()[at : at + 1], INDEX[at : at + 1], kind, severity) for at in range(3)]
        backwards = corrupted(pictures().flip(0), INDEX.flip(0), kind, severity)
        assert torch.equal(together[:3], torch.cat(alone))
        assert torch.equal(together, backwards.flip(0))

    def test_the_same_seed_gives_the_same_bits_and_another_one_others(self, kind: str) -> None:
        first, again, other = (corrupted(pictures(), INDEX, kind, 3, seed) for seed in (1, 1, 2))
        assert torch.equal(first, again)
        assert torch.equal(first, other) is (kind in FIXED)

    def test_a_picture_elsewhere_in_the_set_looks_different(self, kind: str) -> None:
        same = pictures()[:1].expand(2, -1, -1, -1)
        found = one(same, kind, 3)
        assert torch.equal(found[0], found[1]) is (kind in FIXED)

    def test_the_pictures_given_stay_as_they_are(self, kind: str) -> None:
        given = pictures()[:2].clone()
        one(given, kind, 5)
        assert torch.equal(given, pictures()[:2])

    @pytest.mark.parametrize(("height", "width"), [(8, 8), (20, 33), (72, 48)])
    def test_other_sizes(self, kind: str, height: int, width: int) -> None:
        given = pictures(height, width)[:2]
        for severity in (1, 5):
            found = one(given, kind, severity)
            assert found.shape == given.shape
            assert not torch.equal(found, given) or (kind, height, severity) == ("zoom_blur", 8, 1)  # under a pixel


@pytest.mark.parametrize("kind", [kind for kind in EVERY if kind != "elastic_transform"])
def test_the_least_severity_is_nearer_to_the_original_than_the_most(kind: str) -> None:
    assert distance(kind, 1) < distance(kind, 5)


@pytest.mark.parametrize(
    "kind",
    ["gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "zoom_blur", "fog", "brightness", "contrast"],
)
def test_where_one_number_says_how_much_every_step_is_worse(kind: str) -> None:
    distances = [distance(kind, severity) for severity in SEVERITIES]
    assert distances == sorted(set(distances))


def test_elastic_distortion_grows_though_its_map_weakens() -> None:
    """The affine map leaves a slope a slope but for rounding; what bends it is the distortion."""
    slope = (torch.arange(32) * 6 + 32).to(torch.uint8)[None, None, :, None].expand(COUNT, 32, 32, 3)

    def bend(severity: int) -> float:
        inside = corrupted(slope, INDEX, "elastic_transform", severity)[:, 6:-6, 6:-6].double()
        return float(inside.diff(n=2, dim=2).abs().mean())

    assert bend(5) > bend(4) > bend(3) > 0.5
    assert bend(1) < 1.0 < 2.0 < bend(5)


class TestWhatIsGiven:
    def test_an_unknown_kind(self) -> None:
        with pytest.raises(
            LimbeckError, match=r"unknown corruption 'fogg'\. Did you mean 'fog'\? Known: brightness, con"
        ):
            one(constant(1, 1, 1), "fogg", 1)

    @pytest.mark.parametrize("severity", [0, 6])
    def test_another_severity(self, severity: int) -> None:
        with pytest.raises(LimbeckError, match=f"severity {severity} of fog does not exist: give 1 .least. to 5"):
            one(constant(1, 1, 1), "fog", severity)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (torch.zeros(1, 32, 32, 3), "float32 \\(1, 32, 32, 3\\)"),
            (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), "uint8 \\(1, 3, 32, 32\\). Put channels last"),
        ],
    )
    def test_other_pictures(self, given: Tensor, said: str) -> None:
        with pytest.raises(LimbeckError, match=f"pictures to corrupt must be uint8 \\(B, H, W, 3\\), not {said}"):
            one(given, "fog", 1)

    def test_an_index_of_another_length(self) -> None:
        with pytest.raises(LimbeckError, match="the index of 1 pictures must be int64 \\(1,\\), not int64 \\(2,\\)"):
            corrupted(constant(1, 1, 1), torch.arange(2), "fog", 1)

    def test_no_pictures(self) -> None:
        empty = torch.zeros(0, 32, 32, 3, dtype=torch.uint8)
        assert one(empty, "fog", 1).shape == empty.shape

    def test_a_whole_set(self) -> None:
        dataset = Dataset("few", ("a", "b"), pictures(), torch.arange(COUNT) % 2)
        found = corrupted_set(dataset, "snow", 2, seed=3)
        assert torch.equal(found.images, one(pictures(), "snow", 2, 3))
        assert torch.equal(found.labels, dataset.labels)
        assert (found.name, found.classes) == (dataset.name, dataset.classes)
