"""Filters, maps and zooms against scipy's, and random numbers against what they are to be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from limbeck.evaluation.corruptions.draws import Draws
from limbeck.evaluation.corruptions.ice import ice, plasma
from limbeck.evaluation.corruptions.warping import (
    Edge,
    between,
    correlated,
    mirrored,
    mirrored_between,
    nearest,
    scale,
    smoothed,
    zoomed,
)

GENERATOR = torch.Generator().manual_seed(0)
PICTURES = torch.rand(2, 9, 13, 3, generator=GENERATOR, dtype=torch.float64)


@pytest.mark.parametrize(
    ("edge", "expected"),
    [
        (nearest, [0, 0, 0, 0, 0, 1, 2, 2, 2, 2]),
        (mirrored, [0, 1, 2, 1, 0, 1, 2, 1, 0, 1]),
        (mirrored_between, [2, 2, 1, 0, 0, 1, 2, 2, 1, 0]),
    ],
)
def test_beyond_the_edge(edge: Edge, expected: list[int]) -> None:
    assert edge(torch.arange(-4, 6), 3).tolist() == expected


@pytest.mark.parametrize("edge", [nearest, mirrored, mirrored_between])
def test_a_side_of_one(edge: Edge) -> None:
    assert not edge(torch.arange(-4, 6), 1).any()


def test_correlated() -> None:
    kernel = torch.rand(5, 5, generator=GENERATOR, dtype=torch.float64)
    expected = ndimage.correlate(PICTURES.numpy(), kernel.numpy()[None, :, :, None], mode="mirror")
    np.testing.assert_allclose(correlated(PICTURES, kernel).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("sigma", [0.05, 0.25, 0.96, 2.5])
@pytest.mark.parametrize(("edge", "mode"), [(nearest, "nearest"), (mirrored_between, "reflect"), (mirrored, "mirror")])
@pytest.mark.parametrize("truncate", [3.0, 4.0])
def test_smoothed(sigma: float, edge: Edge, mode: str, truncate: float) -> None:
    expected = ndimage.gaussian_filter(PICTURES.numpy(), (0, sigma, sigma, 0), mode=mode, truncate=truncate)
    np.testing.assert_allclose(smoothed(PICTURES, sigma, truncate, edge).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize(("edge", "mode"), [(mirrored, "mirror"), (mirrored_between, "reflect"), (nearest, "nearest")])
def test_between(edge: Edge, mode: str) -> None:
    rows, columns = (torch.rand(2, 9, 13, generator=GENERATOR, dtype=torch.float64) * 30 - 8 for _ in range(2))
    found = between(PICTURES, rows, columns, edge).numpy()
    for picture in range(2):
        for channel in range(3):
            expected = ndimage.map_coordinates(
                PICTURES[picture, :, :, channel].numpy(), [rows[picture], columns[picture]], order=1, mode=mode
            )
            np.testing.assert_allclose(found[picture, :, :, channel], expected, atol=1e-12)


def test_zoomed_by_hand() -> None:
    """Of 0, 3, 6, 9 the middle two are spread: 3, 4, 5, 6."""
    slope = torch.tensor([0.0, 3, 6, 9], dtype=torch.float64)
    pictures = (10 * slope[:, None] + slope)[None, :, :, None]
    middle = torch.tensor([3.0, 4, 5, 6], dtype=torch.float64)
    torch.testing.assert_close(zoomed(pictures, 2)[0, :, :, 0], 10 * middle[:, None] + middle)
    assert torch.equal(zoomed(pictures, 1), pictures)


@pytest.mark.parametrize(("height", "width", "expected"), [(32, 32, 1), (8, 8, 1), (64, 48, 1.5), (224, 224, 7)])
def test_lengths_grow_with_the_shorter_side_and_do_not_shrink(height: int, width: int, expected: float) -> None:
    assert scale(torch.zeros(1, height, width, 3)) == expected


class TestDraws:
    INDEX = torch.arange(50)

    def test_they_depend_on_the_key_the_name_and_the_index(self) -> None:
        draws = Draws(self.INDEX, 0, "a")
        first = draws.uniform("x", 3, 4)
        assert first.shape == (50, 3, 4)
        assert torch.equal(first, Draws(self.INDEX, 0, "a").uniform("x", 3, 4))
        assert torch.equal(first[7:9], Draws(torch.tensor([7, 8]), 0, "a").uniform("x", 3, 4))
        assert len(first.unique()) > 595  # of 600
        for other in (draws.uniform("y", 3, 4), Draws(self.INDEX, 1, "a").uniform("x", 3, 4)):
            assert not torch.isclose(first, other, atol=1e-5).any()

    def test_uniform(self) -> None:
        found = Draws(self.INDEX, 0).uniform("x", 1000, least=-2, most=4)
        assert found.dtype == torch.float64
        assert -2 < float(found.min()) < -1.99
        assert 3.99 < float(found.max()) < 4
        assert float(found.mean()) == pytest.approx(1, abs=0.03)

    @pytest.mark.parametrize("shape", [(1001,), (7, 11, 13), (1,)])
    def test_normal(self, shape: tuple[int, ...]) -> None:
        found = Draws(torch.arange(3000 if shape == (1,) else 50), 0).normal("x", *shape)
        assert found.shape[1:] == shape
        assert float(found.mean()) == pytest.approx(0, abs=0.06)
        assert float(found.std()) == pytest.approx(1, abs=0.04)
        assert float((found**4).mean()) == pytest.approx(3, abs=0.4)


class TestTextures:
    DRAWS = Draws(torch.arange(8), 0, "texture")

    @pytest.mark.parametrize(("side", "size"), [(1, 2), (8, 8), (20, 32), (32, 32)])
    def test_plasma_reaches_from_0_to_1(self, side: int, size: int) -> None:
        found = plasma(side, 3, self.DRAWS)
        assert found.shape == (8, size, size)
        assert found.amin((1, 2)).tolist() == 8 * [0]
        assert found.amax((1, 2)).tolist() == 8 * [1]

    def test_plasma_is_smoother_with_more_decay_and_has_no_seam(self) -> None:
        def roughness(found: Tensor) -> float:
            return float(found.diff(dim=1).abs().mean())

        smooth, rough = plasma(32, 3, self.DRAWS), plasma(32, 1.5, self.DRAWS)
        assert 2 * roughness(smooth) < roughness(rough)
        assert float((smooth[:, 0] - smooth[:, -1]).abs().max()) < 0.2

    def test_ice(self) -> None:
        found = ice(20, 32, 1.0, self.DRAWS)
        assert found.shape == (8, 20, 32, 3)
        assert 0 <= float(found.min()) < float(found.max()) <= 1
        assert (found[..., 0] <= found[..., 1]).all()
        assert (found[..., 1] <= found[..., 2]).all()
        assert float(found.std(dim=(1, 2)).min()) > 0.08
        assert not torch.isclose(found[0], found[1], atol=1e-3).all()
