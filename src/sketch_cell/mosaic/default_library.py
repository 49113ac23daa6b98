"""The library for those who have no photo of sweets: eight colours of sugar-coated sweets, rendered."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sketch_cell.mosaic.colour import linear_from_srgb, srgb_from_linear
from sketch_cell.mosaic.library import Colour

# sRGB of the sugar coat, in the middle of the sweet.
DEFAULT_COLOURS = {
    "red": (196, 20, 38),
    "orange": (240, 106, 16),
    "yellow": (247, 208, 28),
    "green": (52, 150, 40),
    "purple": (48, 20, 46),
    "blue": (24, 92, 190),
    "pink": (240, 130, 165),
    "white": (244, 242, 236),
}
CHIPS_PER_COLOUR = 4
CHIP_PIXELS = 48
SIDE_HEIGHT = 0.63  # of the diameter: 8 mm of 12.7 mm
SOFT_EDGE_PIXELS = 0.7


def default_library() -> tuple[Colour, ...]:
    """Eight colours of four chips each, from above and from the side; the same on every call."""
    rng = np.random.default_rng(2017)
    colours = []
    for name, srgb in DEFAULT_COLOURS.items():
        coat = linear_from_srgb(np.array(srgb, np.uint8)).astype(np.float64)
        top = tuple(_chip(coat, CHIP_PIXELS, rng) for _ in range(CHIPS_PER_COLOUR))
        side = tuple(_chip(coat, round(CHIP_PIXELS * SIDE_HEIGHT), rng) for _ in range(CHIPS_PER_COLOUR))
        colours.append(Colour(name, top, side))
    return tuple(colours)


def _chip(coat: NDArray[np.float64], height: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One sweet (height, CHIP_PIXELS, 4): a soft shade towards the rim and a gleam of the lamp."""
    y, x = np.mgrid[0:height, 0:CHIP_PIXELS] + 0.5
    u, v = 2.0 * x / CHIP_PIXELS - 1.0, 2.0 * y / height - 1.0
    # From the side a sweet is a lens with blunt ends: a superellipse fills its rectangle better than an ellipse.
    power = 2.0 if height == CHIP_PIXELS else 3.0
    radius = (np.abs(u) ** power + np.abs(v) ** power) ** (1.0 / power)
    alpha = np.clip((1.0 - radius) * 0.5 * height / SOFT_EDGE_PIXELS + 0.5, 0.0, 1.0)
    shade = 1.05 - 0.25 * radius**3 + 0.10 * (-u - v) / 2.0
    gleam_u, gleam_v = rng.normal((-0.3, -0.35), 0.05)
    gleam = 0.18 * np.exp(-((u - gleam_u) ** 2 + (v - gleam_v) ** 2) / 0.02)
    strength = rng.normal(1.0, 0.03)
    linear = strength * shade[..., None] * coat + gleam[..., None]
    return np.dstack([srgb_from_linear(linear), np.round(alpha * 255.0).astype(np.uint8)])
