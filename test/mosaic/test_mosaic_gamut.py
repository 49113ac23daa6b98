"""What can be reached: mixtures can, the nearest colour is as near as brute force finds, flat palettes work."""

from __future__ import annotations

import numpy as np
import pytest

from sketch_cell.mosaic.colour import delta_e, lab_from_linear
from sketch_cell.mosaic.gamut import Gamut


def test_mixtures_are_reached_exactly():
    rng = np.random.default_rng(0)
    light = rng.random((6, 3))
    mixtures = rng.dirichlet(np.ones(6), 200) @ light
    assert Gamut(light).floor(mixtures) < 0.05


def test_the_floor_is_as_low_as_any_of_many_mixtures_and_nearest_is_almost():
    rng = np.random.default_rng(1)
    light = 0.2 + 0.4 * rng.random((6, 3))
    gamut = Gamut(light)
    outside = np.vstack([rng.random((20, 3)) * 0.1, 0.8 + 0.2 * rng.random((20, 3))])
    found = delta_e(lab_from_linear(outside), lab_from_linear(gamut.nearest(outside)))
    many = lab_from_linear(rng.dirichlet(np.full(6, 0.3), 40_000) @ light)
    for colour, distance in zip(outside, found, strict=True):
        least = delta_e(np.broadcast_to(lab_from_linear(colour), many.shape), many).min()
        assert gamut.floor(colour[None]) < 1.05 * least + 0.1
        assert gamut.floor(colour[None]) > 0.9 * least
        assert distance < 1.1 * least + 0.25


@pytest.mark.parametrize("count", [1, 2, 3])
def test_flat_palettes_have_a_gamut(count):
    light = np.random.default_rng(2).random((count, 3))
    np.testing.assert_allclose(Gamut(light).nearest(light.mean(axis=0)), light.mean(axis=0), atol=0.03)
