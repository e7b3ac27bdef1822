"""Whatever a picture is kept as, it becomes RGB, upright, of one size; or it is said what is wrong with it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limbeck.data.pictures.decoding import Broken, decode

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
GREY = PIXELS[:, :, 0]


def written(picture: Image.Image, form: str = "png", **how: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form, **how)
    return stream.getvalue()


def pixels(content: bytes, side: int = 6, fit: Any = "crop") -> np.ndarray:
    return decode(content, side, fit).pixels


def of(values: np.ndarray, mode: str | None = None) -> Image.Image:
    picture = Image.fromarray(values)
    return picture.convert(mode) if mode else picture


class TestForms:
    def test_rgb_is_kept_bit_for_bit(self) -> None:
        assert np.array_equal(pixels(written(of(PIXELS))), PIXELS)
        assert np.array_equal(pixels(written(of(PIXELS), "bmp")), PIXELS)

    def test_grey(self) -> None:
        assert np.array_equal(pixels(written(of(GREY))), np.stack([GREY] * 3, 2))

    def test_sixteen_bits(self) -> None:
        deep = GREY.astype(np.uint16) * 257
        for form in ("png", "tiff"):
            assert np.array_equal(pixels(written(of(deep), form)), np.stack([GREY] * 3, 2))

    def test_values_whose_range_is_not_known(self) -> None:
        with pytest.raises(Broken, match=r"^has floating-point values"):
            pixels(written(of(GREY.astype(np.float32)), "tiff"))
        with pytest.raises(Broken, match=r"^has values of more than 16 bits"):
            pixels(written(of(GREY.astype(np.int32) + 70_000), "tiff"))

    def test_what_is_transparent_is_white(self) -> None:
        alpha = np.dstack([PIXELS, np.where(np.arange(36).reshape(6, 6) < 18, 0, 255).astype(np.uint8)])
        expected = PIXELS.copy()
        expected[:3] = 255
        assert np.array_equal(pixels(written(of(alpha))), expected)

    def test_a_palette_with_a_transparent_colour(self) -> None:
        palette = Image.new("P", (6, 6), 1)
        palette.putpalette([10, 20, 30, 40, 50, 60])
        palette.putpixel((0, 0), 0)
        made = pixels(written(palette, "gif", transparency=0))
        assert made[0, 0].tolist() == [255, 255, 255]
        assert made[1, 1].tolist() == [40, 50, 60]

    def test_cmyk(self) -> None:
        assert np.array_equal(pixels(written(of(PIXELS).convert("CMYK"), "tiff")), PIXELS)

    def test_an_animation_is_its_first_frame(self) -> None:
        frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "blue")]
        content = written(frames[0], "gif", save_all=True, append_images=frames[1:])
        assert (pixels(content) == [255, 0, 0]).all()

    def test_it_is_turned_as_its_exif_says(self) -> None:
        turned = Image.Exif()
        turned[0x0112] = 6  # to be turned by 90 degrees clockwise
        assert np.array_equal(pixels(written(of(PIXELS), exif=turned)), np.rot90(PIXELS, -1))


class TestSize:
    WIDE = np.zeros((4, 12, 3), np.uint8)
    WIDE[:, 4:8] = 200

    def test_crop_is_the_centre(self) -> None:
        assert (pixels(written(of(self.WIDE)), 4, "crop") == 200).all()

    def test_pad_is_the_whole_on_grey(self) -> None:
        made = pixels(written(of(self.WIDE)), 12, "pad")
        assert np.array_equal(made[4:8], self.WIDE)
        assert (made[:4] == 128).all()
        assert (made[8:] == 128).all()

    def test_stretch_is_the_whole(self) -> None:
        made = pixels(written(of(self.WIDE)), 12, "stretch")
        assert np.array_equal(made[5], self.WIDE[2])

    def test_a_line_is_enough(self) -> None:
        for fit in ("crop", "pad", "stretch"):
            assert pixels(written(of(PIXELS[:1])), 5, fit).shape == (5, 5, 3)

    def test_a_large_jpeg_is_near_what_slow_decoding_gives(self) -> None:
        rows, columns = np.mgrid[:320, :480]
        smooth = np.dstack([rows / 320, columns / 480, rows / 640]) * 255
        content = written(of(smooth.astype(np.uint8)), "jpeg", quality=95)
        slow = Image.open(io.BytesIO(content)).resize((16, 16), Image.Resampling.BICUBIC, (80, 0, 400, 320))
        found = decode(content, 16, "crop")
        assert found.extent == (480, 320)
        assert np.abs(found.pixels.astype(int) - np.asarray(slow).astype(int)).max() <= 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "^is empty$"),
        (b"no picture at all", "^is no picture that Pillow can read$"),
        (written(of(PIXELS))[:70], r"^is damaged \("),
        (written(of(np.tile(PIXELS, (20, 20, 1))), "jpeg")[:900], r"^is damaged \(.*truncated"),
    ],
)
def test_broken_files(content: bytes, said: str) -> None:
    with pytest.raises(Broken, match=said):
        pixels(content)
