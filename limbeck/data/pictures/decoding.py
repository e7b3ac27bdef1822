"""A file's bytes as a picture: RGB, upright, of one size, whatever it was."""

from __future__ import annotations

import io
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

Fit = Literal["crop", "pad", "stretch"]
_SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_GREY = (128, 128, 128)


class Broken(Exception):  # noqa: N818 (a state of affairs; it is counted, and told by `survey`)
    """A file is no picture; the message is worded to follow its name."""


class Decoded(NamedTuple):
    """A picture, uint8 (side, side, 3), and what it was: (width, height)."""

    pixels: np.ndarray
    extent: tuple[int, int]


def decode(content: bytes, side: int, fit: Fit) -> Decoded:
    """Decodes a picture.

    Turned as its EXIF says; of an animation the first frame; what is transparent is laid on white; of 16 bits the
    upper 8; grey, palettes and CMYK as RGB. Resized by bicubic interpolation over the area of each pixel.

    Args:
        content: of the file.
        side: pixels of the result.
        fit: "crop": the shorter side is resized and the centre taken; "pad": the longer side is resized and the rest
            grey; "stretch": both sides are resized.

    Raises:
        Broken: it cannot be decoded to its end.
    """
    if not content:
        raise Broken("is empty")
    try:
        with Image.open(io.BytesIO(content)) as opened:
            extent = opened.size
            opened.draft(None, (2 * side, 2 * side))  # a large JPEG is decoded at a half, a quarter or an eighth
            upright = ImageOps.exif_transpose(opened)
            return Decoded(np.asarray(_fitted(_rgb(upright), side, fit)), extent)
    except UnidentifiedImageError:
        raise Broken("is no picture that Pillow can read") from None
    except Broken:
        raise
    except Exception as error:  # what a damaged file raises depends on where it is damaged
        raise Broken(f"is damaged ({error})") from error


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode in _SIXTEEN_BITS:
        values = np.asarray(picture).astype(np.int64)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise Broken("has values of more than 16 bits")
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if picture.mode == "F":
        raise Broken("has floating-point values, whose range is not known")
    if "A" in picture.getbands() or "transparency" in picture.info:
        above = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", above.size, "white"), above).convert("RGB")
    return picture.convert("RGB")


def _fitted(picture: Image.Image, side: int, fit: Fit) -> Image.Image:
    width, height = picture.size
    if (width, height) == (side, side):
        return picture
    if fit == "stretch":
        return picture.resize((side, side), Image.Resampling.BICUBIC)
    if fit == "crop":
        short = min(width, height)
        left, top = (width - short) / 2, (height - short) / 2
        return picture.resize((side, side), Image.Resampling.BICUBIC, (left, top, left + short, top + short))
    scale = side / max(width, height)
    inside = max(1, round(width * scale)), max(1, round(height * scale))
    padded = Image.new("RGB", (side, side), _GREY)
    padded.paste(picture.resize(inside, Image.Resampling.BICUBIC), ((side - inside[0]) // 2, (side - inside[1]) // 2))
    return padded
