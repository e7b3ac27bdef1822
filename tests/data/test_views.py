"""Views against a plain twin, one picture at a time; and that they are a function of (view seed, epoch, index)."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torch import Tensor
from torchvision.transforms import v2

from limbeck.data.mixing import Mixup
from limbeck.data.views import (
    AutoAugment,
    RandAugment,
    TrivialAugment,
    Views,
    drawn_variants,
    make_variants,
    make_views,
    random_integers,
    variants,
)
from limbeck.errors import LimbeckError
from limbeck.spec import Spec
from limbeck.streams import derive

COUNT = 60
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]

GEOMETRIC = {
    "crop and flip": Views(),
    "crop": Views(crop=2, flip=False),
    "flip": Views(crop=0),
    "reflect": Views(crop=3, padding="reflect"),
    "reflect, wider than the picture": Views(crop=23, padding="reflect"),
    "cutout": Views(crop=0, flip=False, cutout=5),
    "cutout, even": Views(cutout=4),
}
MOSTLY_EMPTY = {
    "zeros, wider than the picture": Views(crop=23),
    "cutout, larger than the picture": Views(cutout=40),
}
POLICIES = {
    "randaugment": Views(policy=RandAugment()),
    "autoaugment": Views(crop=2, policy=AutoAugment(), cutout=3),
    "trivialaugment": Views(crop=0, flip=False, policy=TrivialAugment()),
}
ENLARGED = {
    "resized crop": Views(resized_crop=(0.2, 0.9), crop=0, flip=False),
    "resized crop, then others": Views(resized_crop=(0.35, 1), crop=1, cutout=3),
}
ALL = {**GEOMETRIC, **POLICIES, **ENLARGED}


def each(views: dict[str, Views]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("views", views.values(), ids=views.keys())


def pictures(count: int = COUNT, height: int = 7, width: int = 10) -> Tensor:
    """Random pictures, not square, so that rows and columns cannot be mixed up."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, height, width, 3), generator=generator, dtype=torch.uint8)


IMAGES = pictures()
INDEX = torch.randperm(50_000, generator=torch.Generator().manual_seed(1))[:COUNT]


def plain_integer(key: tuple[int | str, ...], index: int, below: int) -> int:
    """Two rounds of MurmurHash3's finaliser, as its author has it, in Python's integers."""

    def finalise(h: int) -> int:
        h ^= h >> 16
        h = h * 0x85EBCA6B % 2**32
        h ^= h >> 13
        h = h * 0xC2B2AE35 % 2**32
        return h ^ h >> 16

    high, low = divmod(derive(*key), 2**32)
    return finalise(finalise(index % 2**32 ^ low) ^ high) % below


def plain_enlargement(length: int, part: float, place: float) -> np.ndarray:
    """The weights of the pixels of a line (columns) in each pixel (rows) of an enlarged part of it."""
    size = min(max(round(length * part), 1), length)
    start = int(place * (length - size + 1))
    weights = np.zeros((length, length))
    for pixel in range(length):
        centre = math.floor(256 * ((pixel + 0.5) * size / length - 0.5)) / 256  # to the 256th part of a pixel
        centre = min(max(centre, 0), size - 1)
        first = math.floor(centre)
        weights[pixel, start + first] += 1 - (centre - first)
        weights[pixel, start + min(first + 1, size - 1)] += centre - first
    return weights


def plain_view(image: np.ndarray, index: int, views: Views, view_seed: int, epoch: int) -> np.ndarray:
    """One view as one would write it for one picture: pad, crop, flip, policy, cutout. (H, W, 3) to (H, W, 3)."""

    def draw(purpose: str, below: int) -> int:
        return plain_integer((view_seed, epoch, purpose), index, below)

    height, width, _ = image.shape
    if views.resized_crop:
        low, high = views.resized_crop
        area, aspect, top, left = (draw(purpose, 2**24) / 2**24 for purpose in ("area", "aspect", "top", "left"))
        side = math.sqrt(low + (high - low) * area)
        stretch = math.exp((2 * aspect - 1) * math.log(4 / 3) / 2)
        rows = plain_enlargement(height, side / stretch, top)
        image = np.floor(np.einsum("ry,cx,yxk->rck", rows, plain_enlargement(width, side * stretch, left), image) + 0.5)
        image = image.astype(np.uint8)
    if views.crop:
        how = {"zeros": "constant", "reflect": "reflect"}[views.padding]
        padded = np.pad(image, ((views.crop,) * 2, (views.crop,) * 2, (0, 0)), mode=how)  # type: ignore[call-overload]
        top, left = draw("crop row", 2 * views.crop + 1), draw("crop column", 2 * views.crop + 1)
        image = padded[top : top + height, left : left + width]
    if views.flip and draw("flip", 2):
        image = image[:, ::-1]
    if views.policy:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(view_seed, epoch, "policy", draw("draw", 32)))
            image = views.policy.build()(torch.from_numpy(image.copy()).permute(2, 0, 1)).permute(1, 2, 0).numpy()
    if views.cutout:
        image = image.copy()
        row, column = draw("cutout row", height), draw("cutout column", width)
        for y in range(height):
            for x in range(width):
                if (
                    0 <= y - (row - views.cutout // 2) < views.cutout
                    and 0 <= x - (column - views.cutout // 2) < views.cutout
                ):
                    image[y, x] = 128
    return image


@each({**ALL, **MOSTLY_EMPTY})
def test_the_plain_twin_agrees(views: Views) -> None:
    made = make_views(IMAGES, INDEX, views, view_seed=3, epoch=5)
    plain = [plain_view(IMAGES[at].numpy(), int(INDEX[at]), views, view_seed=3, epoch=5) for at in range(COUNT)]
    np.testing.assert_array_equal(made.permute(0, 2, 3, 1).numpy(), np.stack(plain))


@each(ALL)
def test_a_view_does_not_depend_on_its_batch_or_its_order(views: Views) -> None:
    together = make_views(IMAGES, INDEX, views, view_seed=0, epoch=1)
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(2))
    for part in (*order.split(23), torch.tensor([7])):
        assert torch.equal(make_views(IMAGES[part], INDEX[part], views, view_seed=0, epoch=1), together[part])


@pytest.mark.parametrize(("height", "width"), [(1, 5), (5, 1), (2, 2), (32, 32)])
def test_the_plain_twin_agrees_on_pictures_of_other_shapes(height: int, width: int) -> None:
    images, views = pictures(20, height, width), Views(crop=3, padding="reflect", cutout=2)
    made = make_views(images, INDEX[:20], views, view_seed=1, epoch=2)
    plain = [plain_view(image.numpy(), int(at), views, 1, 2) for image, at in zip(images, INDEX[:20], strict=True)]
    np.testing.assert_array_equal(made.permute(0, 2, 3, 1).numpy(), np.stack(plain))


@pytest.mark.parametrize("device", DEVICES)
@each(GEOMETRIC)
def test_a_view_does_not_depend_on_the_device(views: Views, device: str) -> None:
    there = make_views(IMAGES.to(device), INDEX.to(device), views, view_seed=0, epoch=1)
    assert there.device.type == device
    assert torch.equal(there.cpu(), make_views(IMAGES, INDEX, views, view_seed=0, epoch=1))


@each(ALL)
def test_other_epochs_and_seeds_give_other_views(views: Views) -> None:
    def views_of(view_seed: int, epoch: int) -> Tensor:
        return make_views(IMAGES, INDEX, views, view_seed, epoch)

    first = views_of(0, 0)
    assert torch.equal(views_of(0, 0), first)
    for other in (views_of(0, 1), views_of(1, 0)):
        same = (other == first).flatten(1).all(1).float().mean()
        assert same < 0.65


@each(ALL)
def test_they_are_uint8_in_channels_last(views: Views) -> None:
    made = make_views(IMAGES, INDEX, views, view_seed=0, epoch=0)
    assert made.shape == (COUNT, 3, 7, 10)
    assert made.dtype == torch.uint8
    assert made.is_contiguous(memory_format=torch.channels_last)


@each(ALL)
def test_the_pictures_are_not_changed(views: Views) -> None:
    images = IMAGES.clone()
    make_views(images, INDEX, views, view_seed=0, epoch=0)
    assert torch.equal(images, IMAGES)


def test_what_is_done_unless_asked_otherwise() -> None:
    assert Views() == Views(crop=4, padding="zeros", flip=True, policy=None, cutout=0)
    assert RandAugment() == RandAugment(operations=2, magnitude=9)


def test_everything_off_gives_the_pictures_as_they_are() -> None:
    made = make_views(IMAGES, INDEX, Views(crop=0, flip=False), view_seed=0, epoch=0)
    assert torch.equal(made.permute(0, 2, 3, 1), IMAGES)


class TestResizedCrop:
    def test_pillow_agrees_on_some_part_of_each_picture(self) -> None:
        """Of all parts of whole pixels one gives the view, to a level; and many different ones are chosen."""
        views, size = ENLARGED["resized crop"], (10, 7)
        made = make_views(IMAGES[:12], INDEX[:12], views, 3, 1)
        chosen = set()
        for image, view in zip(IMAGES[:12], made.permute(0, 2, 3, 1), strict=True):
            distances = {}
            for left, top in itertools.product(range(10), range(7)):
                for right, bottom in itertools.product(range(left + 1, 11), range(top + 1, 8)):
                    box = (left, top, right, bottom)
                    enlarged = Image.fromarray(image.numpy()).crop(box).resize(size, Image.Resampling.BILINEAR)
                    distances[box] = int(np.abs(np.asarray(enlarged).astype(int) - view.numpy()).max())
            best = min(distances, key=distances.__getitem__)
            assert distances[best] <= 2
            chosen.add(best)
            left, top, right, bottom = best
            assert 0.15 <= (right - left) * (bottom - top) / 70 <= 1
        assert len(chosen) > 8

    def test_the_whole_is_the_picture_itself(self) -> None:
        square = pictures(height=9, width=9)
        tall, wide = (make_views(square, INDEX, Views(resized_crop=(1, 1), crop=0, flip=False), 0, 0) for _ in "ab")
        assert torch.equal(tall, wide)
        whole = (tall.permute(0, 2, 3, 1) == square).flatten(1).all(1)
        assert 0 < whole.sum() < len(square)  # an aspect near 1 leaves all of it

    @pytest.mark.parametrize("shares", [(0, 1), (0.5, 0.4), (0.5, 1.1)])
    def test_impossible_shares(self, shares: tuple[float, float]) -> None:
        with pytest.raises(LimbeckError, match="give two shares of the area above 0 and up to 1, the least first"):
            Views(resized_crop=shares)


def test_crop_and_flip_reach_every_one_of_the_162_views() -> None:
    height, width, pad = 6, 8, 4
    image = torch.randint(0, 256, (height, width, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    made = make_views(image.expand(4000, -1, -1, -1), torch.arange(4000), Views(crop=pad), view_seed=0, epoch=0)
    padded = np.pad(image.numpy(), ((pad, pad), (pad, pad), (0, 0)))
    possible = {
        padded[top : top + height, left : left + width][:, ::step].tobytes()
        for top in range(2 * pad + 1)
        for left in range(2 * pad + 1)
        for step in (1, -1)
    }
    assert {view.numpy().tobytes() for view in made.permute(0, 2, 3, 1).contiguous()} == possible
    assert len(possible) == 162


class TestPolicies:
    @each(POLICIES)
    def test_the_global_generators_are_left_alone(self, views: Views) -> None:
        before = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
        make_views(IMAGES, INDEX, views, view_seed=0, epoch=0)
        assert torch.equal(torch.get_rng_state(), before[0])
        assert (random.getstate(), str(np.random.get_state())) == before[1:]

    @each(POLICIES)
    def test_they_do_not_depend_on_the_global_generators(self, views: Views) -> None:
        torch.manual_seed(0)
        first = make_views(IMAGES, INDEX, views, view_seed=0, epoch=0)
        torch.manual_seed(1)
        random.seed(1)
        assert torch.equal(make_views(IMAGES, INDEX, views, view_seed=0, epoch=0), first)

    @each(POLICIES)
    def test_equal_pictures_get_different_views(self, views: Views) -> None:
        gradient = torch.arange(7 * 10 * 3, dtype=torch.uint8).view(1, 7, 10, 3).expand(200, -1, -1, -1)
        only = views.with_(crop=0, flip=False, cutout=0)
        made = make_views(gradient, torch.arange(200), only, view_seed=0, epoch=0)
        assert 10 < len({view.numpy().tobytes() for view in made.contiguous()}) <= 32

    def test_what_is_asked_for_is_what_is_built(self) -> None:
        built = RandAugment(operations=3, magnitude=12).build()
        assert isinstance(built, v2.RandAugment)
        assert (built.num_ops, built.magnitude) == (3, 12)
        assert isinstance(TrivialAugment().build(), v2.TrivialAugmentWide)

    @pytest.mark.parametrize("data", ["cifar10", "imagenet", "svhn"])
    def test_autoaugments_three_policies(self, data: str) -> None:
        built = AutoAugment(learned_on=data).build()  # type: ignore[arg-type]
        assert isinstance(built, v2.AutoAugment)
        assert built.policy == v2.AutoAugmentPolicy(data)

    def test_no_strength_is_weaker_than_much(self) -> None:
        def distance(magnitude: int) -> float:
            views = Views(crop=0, flip=False, policy=RandAugment(magnitude=magnitude))
            made = make_views(IMAGES, INDEX, views, view_seed=0, epoch=0).permute(0, 2, 3, 1)
            return float((made.float() - IMAGES.float()).abs().mean())

        assert distance(30) > 1.5 * distance(0)


class TestVariants:
    @pytest.mark.parametrize(
        ("views", "count"),
        [
            (Views(), 162),
            (Views(crop=1, padding="reflect"), 18),
            (Views(crop=2, flip=False), 25),
            (Views(crop=0), 2),
            (Views(crop=0, flip=False), 1),
        ],
    )
    def test_they_are_all_the_crops_and_flips(self, views: Views, count: int) -> None:
        assert variants(views) == count
        image, pad = IMAGES[0].numpy(), views.crop
        how = {"zeros": "constant", "reflect": "reflect"}[views.padding]
        padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode=how)  # type: ignore[call-overload]
        made = make_variants(IMAGES[:1].expand(count, -1, -1, -1), torch.arange(count), views).numpy()
        places = itertools.product(range(2 * pad + 1), range(2 * pad + 1), range(1 + views.flip))
        for number, (row, column, flip) in enumerate(places):
            cropped = padded[row : row + image.shape[0], column : column + image.shape[1]]
            np.testing.assert_array_equal(made[number], cropped[:, ::-1] if flip else cropped)
        drawn = drawn_variants(torch.arange(20 * count), views, view_seed=1, epoch=3)
        assert sorted(set(drawn.tolist())) == list(range(count))

    @pytest.mark.parametrize(
        "views",
        [Views(cutout=3), Views(policy=RandAugment()), Views(resized_crop=(0.5, 1)), Views(mix=Mixup())],
        ids=["cutout", "policy", "resized crop", "mix"],
    )
    def test_others_cannot_be_counted(self, views: Views) -> None:
        assert variants(views) is None


class TestRandomIntegers:
    @pytest.mark.parametrize("below", [1, 2, 9, 128, 2**24])
    def test_the_plain_twin_agrees(self, below: int) -> None:
        index = torch.tensor([0, 1, 2, 49_999, 2**31 - 1, 2**32 + 5])
        for key in [(0, 0, "flip"), (7, 299, "crop row"), (2**40, 3, "x")]:
            drawn = random_integers(key, index, below)
            assert drawn.dtype == torch.int64
            assert drawn.tolist() == [plain_integer(key, at, below) for at in index.tolist()]

    def test_they_are_the_same_for_ever(self) -> None:
        """Stored logits belong to these views: a change breaks every run that is under way."""
        assert random_integers((0, 0, "crop row"), torch.arange(12), 9).tolist() == [5, 0, 7, 2, 6, 1, 5, 7, 0, 4, 3, 0]

    @pytest.mark.parametrize("below", [2, 9, 32, 128, 1000])
    @pytest.mark.parametrize("key", [(0, 0, "flip"), (0, 1, "flip"), (12, 3, "crop row")])
    def test_they_are_uniform(self, key: tuple[int | str, ...], below: int) -> None:
        drawn = random_integers(key, torch.arange(50_000), below)
        counts = torch.bincount(drawn, minlength=below)
        assert len(counts) == below
        assert 0.001 < stats.chisquare(counts.numpy()).pvalue < 0.9999

    @pytest.mark.parametrize(
        "keys",
        [
            [(0, 0, "crop row"), (0, 0, "crop column"), (0, 0, "flip")],
            [(0, 0, "crop row"), (0, 1, "crop row"), (0, 2, "flip")],
            [(0, 0, "crop row"), (1, 0, "crop row"), (1, 0, "flip")],
        ],
        ids=["purposes", "epochs", "seeds"],
    )
    def test_streams_are_independent(self, keys: list[tuple[int | str, ...]]) -> None:
        index = torch.arange(50_000)
        row, column, flip = (random_integers(key, index, below) for key, below in zip(keys, (9, 9, 2), strict=True))
        counts = torch.bincount((row * 9 + column) * 2 + flip, minlength=162)
        assert 0.001 < stats.chisquare(counts.numpy()).pvalue < 0.9999

    def test_neighbours_are_independent(self) -> None:
        drawn = random_integers((0, 0, "crop row"), torch.arange(50_001), 9)
        counts = torch.bincount(drawn[:-1] * 9 + drawn[1:], minlength=81)
        assert 0.001 < stats.chisquare(counts.numpy()).pvalue < 0.9999


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (Views, {"crop": -1}, r"^Views\.crop = -1 is not possible: should be greater than or equal to 0"),
        (Views, {"cutout": -1}, r"^Views\.cutout = -1 is not possible: should be greater than or equal to 0"),
        (Views, {"padding": "edge"}, r"^Views\.padding = 'edge' is not possible: should be 'zeros' or 'reflect'"),
        (RandAugment, {"magnitude": 31}, r"^RandAugment\.magnitude = 31 is not possible: should be less than or eq"),
        (RandAugment, {"magnitude": -1}, r"^RandAugment\.magnitude = -1 is not possible"),
        (RandAugment, {"operations": 0}, r"^RandAugment\.operations = 0 is not possible"),
        (RandAugment, {"operations": 11}, r"^RandAugment\.operations = 11 is not possible"),
        (
            AutoAugment,
            {"learned_on": "mnist"},
            r"^AutoAugment\.learned_on = 'mnist' .*'cifar10', 'imagenet' or 'svhn'",
        ),
        (
            Views,
            {"policy": {"name": "mixup"}},
            r"^unknown policy 'mixup'\. Known: autoaugment, randaugment, trivialaugment\.$",
        ),
        (Views, {"crops": 2}, r"^Views\.crops: there is no such field\. Did you mean 'crop'\?"),
    ],
)
def test_impossible_views_are_refused(kind: type[Spec], fields: dict[str, Any], message: str) -> None:
    with pytest.raises(LimbeckError, match=message):
        kind(**fields)
