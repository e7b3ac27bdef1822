"""What each corruption does to pictures for which it can be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from some import constant, one, pictures
from torch import Tensor

from limbeck.evaluation.corruptions import KINDS


class TestNoise:
    @pytest.mark.parametrize(("severity", "deviation"), [(1, 0.04), (5, 0.10)])
    def test_gaussian(self, severity: int, deviation: float) -> None:
        found = one(constant(128, 128, 128).expand(20, -1, -1, -1), "gaussian_noise", severity).double()
        assert float(found.mean()) == pytest.approx(128, abs=0.3)
        assert float(found.std()) == pytest.approx(255 * deviation, rel=0.02)

    def test_gaussian_is_normal(self) -> None:
        found = one(constant(128, 128, 128).expand(20, -1, -1, -1), "gaussian_noise", 5).double().sub(128) / 25.5
        assert float((found.abs() < 1).double().mean()) == pytest.approx(0.683, abs=0.015)  # rounded to whole levels
        assert float((found.abs() > 2).double().mean()) == pytest.approx(0.0455, abs=0.006)
        assert float((found[..., 0] * found[..., 1]).mean()) == pytest.approx(0, abs=0.03)

    @pytest.mark.parametrize(("level", "severity", "photons"), [(51, 1, 500), (128, 3, 100), (153, 5, 50), (5, 5, 50)])
    def test_shot(self, level: int, severity: int, photons: int) -> None:
        """A Poisson number's variance is its mean: level / 255 / photons, in units of the whole range."""
        found = one(constant(level, level, level).expand(20, -1, -1, -1), "shot_noise", severity).double() / 255
        assert float(found.mean()) == pytest.approx(level / 255, rel=0.02)
        assert float(found.var()) == pytest.approx(level / 255 / photons, rel=0.1)
        counts = found * photons
        assert float((counts - counts.round()).abs().max()) < 0.5 * photons / 255 + 1e-9

    def test_shot_follows_the_poisson_distribution(self) -> None:
        """Mean 51 / 255 x 50 = 10: the share of each count is 10^k e^-10 / k!."""
        found = one(constant(51, 51, 51).expand(40, -1, -1, -1), "shot_noise", 5)
        counts = torch.bincount((found.double() / 5.1).round().long().flatten(), minlength=30).double()
        shares = counts / counts.sum()
        expected = torch.tensor([10.0**k * math.exp(-10) / math.factorial(k) for k in range(30)])
        assert float((shares[:30] - expected).abs().max()) < 0.003

    def test_black_stays_black_where_light_is_counted(self) -> None:
        assert not one(constant(0, 0, 0), "shot_noise", 5).any()

    @pytest.mark.parametrize(("severity", "share"), [(1, 0.01), (5, 0.07)])
    def test_impulse(self, severity: int, share: float) -> None:
        found = one(constant(99, 99, 99).expand(20, -1, -1, -1), "impulse_noise", severity)
        assert set(found.unique().tolist()) == {0, 99, 255}
        for value in (0, 255):
            assert float((found == value).double().mean()) == pytest.approx(share / 2, rel=0.12)


class TestBlur:
    @pytest.mark.parametrize("kind", KINDS["blur"])
    def test_a_plain_picture_stays_plain(self, kind: str) -> None:
        assert torch.equal(one(constant(10, 130, 250), kind, 5), constant(10, 130, 250))

    def test_defocus_by_hand(self) -> None:
        """At severity 1 one pixel alone, softened by a 3 x 3 Gaussian of deviation .4: its middle keeps
        1 / (1 + 2 exp(-3.125))^2 = .844, a side of it exp(-3.125) times that, a corner exp(-6.25) times.
        """
        found = one(self._point(), "defocus_blur", 1)[0, 14:19, 14:19, 0]
        middle, side, corner = 255 * 0.844298, 255 * 0.844298 * 0.043937, 255 * 0.844298 * 0.00193045
        expected = torch.zeros(5, 5)
        expected[1:4, 1:4] = torch.tensor([[corner, side, corner], [side, middle, side], [corner, side, corner]])
        assert torch.equal(found, expected.round().byte())

    def test_defocus_is_a_disk(self) -> None:
        """At severity 5 nine pixels, barely softened: a ninth each."""
        found = one(self._point(), "defocus_blur", 5)[0, 14:19, 14:19, 0]
        expected = torch.zeros(5, 5, dtype=torch.uint8)
        expected[1:4, 1:4] = 28
        assert torch.equal(found, expected)

    def test_motion_lies_on_a_line(self) -> None:
        """One pixel becomes a streak as bright as it was, within 45 degrees of the horizontal."""
        found = one(self._point().expand(8, -1, -1, -1), "motion_blur", 5)[..., 0]
        assert found.double().sum((1, 2)).numpy() == pytest.approx(255, abs=4)
        for picture in found:
            rows, columns = (picture.nonzero() - 16).unbind(1)
            assert columns.min() >= -12
            assert columns.max() == 0  # the light comes from ahead
            assert (rows.abs() <= columns.abs()).all()
        assert not torch.equal(found[0], found[1])

    def test_glass_moves_pixels_to_near_places(self) -> None:
        """At severity 1 nothing is blurred: every pixel comes from its place, or from above, or from the left."""
        rows = (torch.arange(32) * 8)[:, None, None].expand(32, 32, 3)[None].byte()
        moved = rows.int() // 8 - one(rows, "glass_blur", 1).int() // 8
        assert set(moved.unique().tolist()) == {0, 1}
        assert float(moved[:, 2:, 2:].double().mean()) == pytest.approx(0.5, abs=0.06)
        assert not moved[:, :2].any()
        assert (moved == moved[..., :1]).all()

    def test_zoom_against_scipy(self) -> None:
        """Enlarged by 0, 1, ... 15 % at severity 3, averaged with the picture itself."""
        given = pictures()[:1]
        values = given[0].double().numpy()
        total = values.copy()
        for percent in range(16):
            factor = 1 + percent / 100
            crop = math.ceil(32 / factor)
            first = (32 - crop) // 2
            middle = values[first : first + crop, first : first + crop]
            larger = ndimage.zoom(middle, (factor, factor, 1), order=1)
            skipped = (len(larger) - 32) // 2
            total += larger[skipped : skipped + 32, skipped : skipped + 32]
        assert np.abs(one(given, "zoom_blur", 3)[0].numpy() - total / 17).max() <= 0.5 + 1e-9

    @staticmethod
    def _point() -> Tensor:
        point = constant(0, 0, 0)
        point[:, 16, 16] = 255
        return point


class TestWeather:
    @pytest.mark.parametrize(("severity", "more"), [(1, 0.05), (2, 0.1), (3, 0.15), (4, 0.2), (5, 0.3)])
    def test_brightness_of_grey(self, severity: int, more: float) -> None:
        assert one(constant(100, 100, 100), "brightness", severity).unique().tolist() == [round(100 + 255 * more)]

    def test_brightness_keeps_hue_and_saturation(self) -> None:
        """Value 200 / 255 + .1 = 225.5 / 255: everything times 1.1275."""
        assert one(constant(200, 100, 40), "brightness", 2)[0, 0, 0].tolist() == [226, 113, 45]

    def test_brightness_ends_at_white_and_lifts_black(self) -> None:
        assert one(constant(250, 250, 250), "brightness", 5).unique().tolist() == [255]
        assert one(constant(250, 125, 0), "brightness", 5)[0, 0, 0].tolist() == [255, 128, 0]
        assert one(constant(0, 0, 0), "brightness", 5).unique().tolist() == [76]

    def test_fog_is_never_brighter_than_the_picture_and_clouds_reach_from_none_to_all(self) -> None:
        """255 x (.2 + .2 p) / 1.2 with p from 0 to 1: everywhere .2 but for one white pixel."""
        given = constant(51, 51, 51)
        given[:, 0, 0] = 255
        found = one(given.expand(4, -1, -1, -1), "fog", 1).flatten(1, 2)[:, 1:]
        assert found.min() in (42, 43)
        assert found.max() == 85
        assert (found == found[..., :1]).all()

    def test_snow_and_frost_brighten(self) -> None:
        dark = constant(60, 60, 60).expand(6, -1, -1, -1)
        for kind in ("snow", "frost"):
            found = one(dark, kind, 3).double()
            assert float(found.mean()) > 70
            assert float(found.std(dim=(1, 2)).min()) > 5  # a texture, not a veil

    def test_snow_falls_twice_the_second_time_turned_round(self) -> None:
        """Of a picture that is black but for white flakes, half a turn changes nothing."""
        found = one(constant(0, 0, 0), "snow", 4).int()
        assert ((found - found.flip(1, 2)).abs() <= 1).all()
        assert found.float().std() > 1

    def test_frost_is_bluish_and_weighed_as_published(self) -> None:
        """Of white, .75 stays at severity 5, and ice of at most .45 is laid over it."""
        over_black = one(constant(0, 0, 0), "frost", 5).double()
        over_white = one(constant(255, 255, 255), "frost", 5).double()
        assert ((over_white - over_black - 0.75 * 255).abs() <= 1)[over_white < 255].all()
        assert 0.1 * 255 < float(over_black.mean()) < 0.45 * 255
        assert float(over_black.max()) <= 0.45 * 255 + 1
        assert float(over_black[..., 2].mean()) > float(over_black[..., 0].mean())


class TestDigital:
    def test_contrast_by_hand(self) -> None:
        """Of two levels 40 and 240, mean 140: 140 -+ .4 x 100 at severity 3, -+ .15 x 100 at severity 5."""
        given = constant(40, 40, 40)
        given[:, :, 16:] = 240
        assert one(given, "contrast", 3).unique().tolist() == [100, 180]
        assert one(given, "contrast", 5).unique().tolist() == [125, 155]

    @pytest.mark.parametrize("kind", ["contrast", "elastic_transform", "pixelate", "jpeg_compression"])
    def test_a_plain_picture_stays_plain(self, kind: str) -> None:
        assert torch.equal(one(constant(128, 128, 128), kind, 5), constant(128, 128, 128))

    def test_pixelate_by_hand(self) -> None:
        """Four columns at severity 5: int(4 x .65) = 2 remain, each the mean of two."""
        given = torch.tensor([0, 100, 200, 240], dtype=torch.uint8)[None, None, :, None].expand(1, 4, 4, 3)
        found = one(given, "pixelate", 5)
        assert found[0, :, :, 0].tolist() == 4 * [[50, 50, 220, 220]]

    def test_jpeg_works_in_blocks_of_eight(self) -> None:
        """A grey block next to a wild one comes through untouched."""
        given = constant(128, 128, 128)
        noise = np.random.default_rng(0).integers(0, 256, (16, 16, 1), dtype=np.uint8)
        given[0, :16, :16] = torch.from_numpy(noise)
        found = one(given, "jpeg_compression", 5)
        assert torch.equal(found[0, 16:], given[0, 16:])
        assert not torch.equal(found[0, :16, :16], given[0, :16, :16])
