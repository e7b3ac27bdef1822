"""Views: augmented pictures as a pure function of (view seed, epoch, sample index).

No view depends on hidden state, on the batch it falls in, or on the device, so any epoch can be made again: the
teacher's outputs can be stored and replayed, and a run can continue exactly where it stopped.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, SerializeAsAny, field_validator
from torch import Tensor

from limbeck.data.mixing import Mixing
from limbeck.spec import Family, Spec
from limbeck.streams import derive

if TYPE_CHECKING:
    from torchvision.transforms import v2

_DRAWS = 32
_FINE = 1 << 24  # steps of a uniform number
_ASPECT = 4 / 3  # of a crop's sides, at the most
_AT_ONCE = 256
_GREY = 128


class Policy(Family):
    """Base of the augmentation policies: a subclass has a ``name`` and builds a transform from a kept library."""

    def build(self) -> v2.Transform:
        """Takes and gives uint8 (B, 3, H, W); draws from torch's random state alone."""
        raise NotImplementedError


class RandAugment(Policy):
    """RandAugment (Cubuk, Zoph, Shlens, Le, CVPR Workshops 2020), from torchvision."""

    name: Literal["randaugment"] = "randaugment"
    operations: int = Field(2, ge=1, le=10, description="Operations applied one after another.")
    magnitude: int = Field(9, ge=0, le=30, description="Strength of every operation, 0 to 30.")

    def build(self) -> v2.Transform:
        """The torchvision transform."""
        from torchvision.transforms import v2  # takes a second and a half, and few recipes need it

        return v2.RandAugment(self.operations, self.magnitude)


class AutoAugment(Policy):
    """AutoAugment (Cubuk, Zoph, Mane, Vasudevan, Le, CVPR 2019), from torchvision."""

    name: Literal["autoaugment"] = "autoaugment"
    learned_on: Literal["cifar10", "imagenet", "svhn"] = Field("cifar10", description="Data the policy was learned on.")

    def build(self) -> v2.Transform:
        """The torchvision transform."""
        from torchvision.transforms import v2

        return v2.AutoAugment(v2.AutoAugmentPolicy(self.learned_on))


class TrivialAugment(Policy):
    """TrivialAugmentWide (Müller, Hutter, ICCV 2021), from torchvision."""

    name: Literal["trivialaugment"] = "trivialaugment"

    def build(self) -> v2.Transform:
        """The torchvision transform."""
        from torchvision.transforms import v2

        return v2.TrivialAugmentWide()


class Views(Spec):
    """How training pictures are augmented. Everything off gives the pictures as they are.

    All but `mix` is a function of (view seed, epoch, sample index), and `make_views` does it; `mix` depends on the
    batch that a picture falls in, and comes after it.
    """

    later: ClassVar[tuple[str, ...]] = ("resized_crop",)

    resized_crop: tuple[float, float] | None = Field(
        None,
        description="Least and largest share of the area that a random crop keeps, which is then enlarged to the "
        "picture's size; for pictures larger than 32 pixels, 0.35 1 is a start; none is off.",
    )
    crop: int = Field(
        4, ge=0, description="Pixels of padding on each side from which a random crop is taken; 0 is off."
    )
    padding: Literal["zeros", "reflect"] = Field("zeros", description="What the padding is filled with.")
    flip: bool = Field(True, description="Mirror left and right with probability one half.")
    policy: SerializeAsAny[Policy] | None = Field(None, description="A policy's name, or none.")
    cutout: int = Field(0, ge=0, description="Side in pixels of one grey square (DeVries and Taylor 2017); 0 is off.")
    mix: SerializeAsAny[Mixing] | None = Field(None, description="How the pictures of a batch are mixed, or none.")

    @field_validator("resized_crop")
    @classmethod
    def _shares(cls, shares: tuple[float, float] | None) -> tuple[float, float] | None:
        if shares is not None and not 0 < shares[0] <= shares[1] <= 1:
            raise ValueError("give two shares of the area above 0 and up to 1, the least first, for example 0.35 1")
        return shares


def random_integers(key: tuple[int | str, ...], index: Tensor, below: int) -> Tensor:
    """Uniform integers that depend on nothing but the key and each index.

    Args:
        key: names the stream, for example (view seed, epoch, purpose).
        index: (B,) int64 sample indices.
        below: exclusive upper bound, at most 2**24 (the bias stays under 2**-8 of a count in 2**32).

    Returns:
        (B,) int64 in [0, below), the same on every device.
    """
    word = derive(*key)
    return _mixed(_mixed(index ^ (word & 0xFFFFFFFF)) ^ (word >> 32)) % below


def _mixed(x: Tensor) -> Tensor:
    """The 32-bit finaliser of MurmurHash3 (Appleby), in int64 arithmetic."""
    low = 0xFFFFFFFF
    x = x & low
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & low
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & low
    return x ^ (x >> 16)


def make_views(images_NHWC: Tensor, index: Tensor, views: Views, view_seed: int, epoch: int) -> Tensor:
    """The views of some pictures in one epoch, not yet mixed.

    Args:
        images_NHWC: (B, H, W, 3) uint8, the pictures named by ``index``.
        index: (B,) int64 sample indices, on the same device.
        views: what to do to them.
        view_seed: shared by every training that must see the same views.
        epoch: from 0.

    Returns:
        (B, 3, H, W) uint8 in channels_last memory format.
    """
    if views.resized_crop is not None:
        images_NHWC = _resized_crop(images_NHWC, index, views.resized_crop, view_seed, epoch)
    images_NHWC = make_variants(images_NHWC, drawn_variants(index, views, view_seed, epoch), views)
    if views.policy is not None:
        images_NHWC = _augmented(images_NHWC, index, views.policy, view_seed, epoch)
    if views.cutout:
        images_NHWC = _cut_out(images_NHWC, index, views.cutout, view_seed, epoch)
    return images_NHWC.permute(0, 3, 1, 2)


def _resized_crop(
    images_NHWC: Tensor, index: Tensor, shares: tuple[float, float], view_seed: int, epoch: int
) -> Tensor:
    """A random part of each picture, of whole pixels, enlarged to its size (Szegedy et al., CVPR 2015).

    Share of the area and logarithm of the aspect, from 3:4 to 4:3, are uniform; what would be larger than the picture
    ends at its edge. Bilinear interpolation in integers, so that every device makes the same pixels.
    """

    def uniform(purpose: str) -> Tensor:
        return random_integers((view_seed, epoch, purpose), index, _FINE).double() / _FINE

    side = (shares[0] + (shares[1] - shares[0]) * uniform("area")).sqrt()
    stretch = ((2 * uniform("aspect") - 1) * (math.log(_ASPECT) / 2)).exp()
    places = []
    for length, part, way in zip(
        images_NHWC.shape[1:3], (side / stretch, side * stretch), ("top", "left"), strict=True
    ):
        size = (length * part).round().clamp(1, length).long()
        start = (uniform(way) * (length - size + 1)).long()
        ends = torch.arange(1, 2 * length, 2, device=index.device)  # twice the centre of each pixel
        fine = ((ends * size[:, None] - length) * 128 // length).clamp(min=0)  # in 256ths of a pixel of the part
        fine = torch.minimum(fine, (size[:, None] - 1) * 256)
        first = fine >> 8
        places.append(
            (start[:, None] + first, start[:, None] + torch.minimum(first + 1, size[:, None] - 1), fine & 255)
        )
    (up, down, lower), (left, right, later) = places
    enlarged = torch.empty_like(images_NHWC)
    for some in torch.arange(len(index), device=index.device).split(_AT_ONCE):
        at, weight = some[:, None, None], later[some, None, :, None]
        above, below = (
            images_NHWC[at, row[some, :, None], left[some, None]].int() * (256 - weight)
            + images_NHWC[at, row[some, :, None], right[some, None]].int() * weight
            for row in (up, down)
        )
        weight = lower[some, :, None, None]
        enlarged[some] = ((above * (256 - weight) + below * weight + (1 << 15)) >> 16).to(torch.uint8)
    return enlarged


def variants(views: Views) -> int | None:
    """How many views of a picture there are, where they are only cropped and flipped; None where others are made."""
    if views.resized_crop or views.policy or views.cutout or views.mix:
        return None
    return (2 * views.crop + 1) ** 2 * (1 + views.flip)


def drawn_variants(index: Tensor, views: Views, view_seed: int, epoch: int) -> Tensor:
    """Which crop and flip each picture is shown in, in an epoch.

    Args:
        index, views, view_seed, epoch: as of `make_views`.

    Returns:
        (B,) int64: row and column of the crop, and whether it is flipped, as one number from 0; of views that are only
        cropped and flipped, below `variants`.
    """
    number, places = torch.zeros_like(index), 2 * views.crop + 1
    if views.crop:
        for purpose in ("crop row", "crop column"):
            number = number * places + random_integers((view_seed, epoch, purpose), index, places)
    return 2 * number + random_integers((view_seed, epoch, "flip"), index, 2) if views.flip else number


def make_variants(images_NHWC: Tensor, number: Tensor, views: Views) -> Tensor:
    """The crops and flips of these numbers, as `drawn_variants` has them; (B, H, W, 3), both on one device.

    One gather of whole pixels, whose result is contiguous NHWC, that is, channels_last.
    """
    if not (views.crop or views.flip):
        return images_NHWC
    count, height, width, channels = images_NHWC.shape
    pad, device = views.crop, images_NHWC.device
    rows = torch.arange(height, device=device).expand(count, height)
    columns = torch.arange(width, device=device).expand(count, width)
    if views.flip:
        columns = torch.where((number % 2 == 1)[:, None], width - 1 - columns, columns)
        number = number // 2
    if pad:
        images_NHWC = _padded(images_NHWC, pad, views.padding)
        rows = rows + (number // (2 * pad + 1))[:, None]
        columns = columns + (number % (2 * pad + 1))[:, None]
    tall, wide = images_NHWC.shape[1:3]
    start = torch.arange(count, device=device) * (tall * wide)
    pixel = (start[:, None] + rows * wide)[:, :, None] + columns[:, None, :]
    return images_NHWC.reshape(-1, channels)[pixel]


def _padded(images_NHWC: Tensor, pad: int, padding: str) -> Tensor:
    if padding == "zeros":
        return F.pad(images_NHWC, (0, 0, pad, pad, pad, pad))
    height, width = images_NHWC.shape[1:3]
    rows, columns = (_reflected(size, pad, images_NHWC.device) for size in (height, width))
    return images_NHWC[:, rows][:, :, columns]


def _reflected(size: int, pad: int, device: torch.device) -> Tensor:
    """Indices of ``size + 2 * pad`` positions, mirrored at the first and last one, as often as it takes."""
    position = torch.arange(-pad, size + pad, device=device).abs() % max(1, 2 * (size - 1))
    return torch.where(position >= size, 2 * (size - 1) - position, position)


def _augmented(images_NHWC: Tensor, index: Tensor, policy: Policy, view_seed: int, epoch: int) -> Tensor:
    """Applies a policy. An epoch has 32 draws of it; each picture takes one; a draw's pictures go through together."""
    transform = policy.build()
    draw = random_integers((view_seed, epoch, "draw"), index, _DRAWS)
    by_draw = draw.argsort(stable=True)
    sizes = torch.bincount(draw, minlength=_DRAWS).tolist()
    result, start = torch.empty_like(images_NHWC), 0
    with torch.random.fork_rng(devices=[]):
        for number, size in enumerate(sizes):
            if not size:
                continue
            chosen = by_draw[start : start + size]
            start += size
            # torchvision draws from the CPU's generator; the accelerator's, which dropout uses, is left alone.
            torch.default_generator.manual_seed(derive(view_seed, epoch, "policy", number))
            augmented_NCHW = transform(images_NHWC[chosen].permute(0, 3, 1, 2))
            result[chosen] = augmented_NCHW.permute(0, 2, 3, 1)
    return result


def _cut_out(images_NHWC: Tensor, index: Tensor, side: int, view_seed: int, epoch: int) -> Tensor:
    """Covers one square a picture, whose centre is uniform over the picture, so that it may reach over the edge."""
    height, width = images_NHWC.shape[1:3]
    device = images_NHWC.device
    top = random_integers((view_seed, epoch, "cutout row"), index, height) - side // 2
    left = random_integers((view_seed, epoch, "cutout column"), index, width) - side // 2
    rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
    in_rows = (rows >= top[:, None]) & (rows < top[:, None] + side)
    in_columns = (columns >= left[:, None]) & (columns < left[:, None] + side)
    covered = in_rows[:, :, None] & in_columns[:, None, :]
    return torch.where(covered[..., None], _GREY, images_NHWC)
