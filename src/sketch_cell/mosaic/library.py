"""The library of chips: small pictures of single sweets with an alpha mask, grouped by colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sketch_cell.mosaic.colour import lab_from_linear, linear_from_srgb


@dataclass(frozen=True, eq=False)
class Colour:
    """One colour of sweet: its name and its chips, uint8 RGBA, as seen from above and from the side.

    A chip from above is square and one pitch wide; a chip from the side is one pitch wide and as high as
    the sweet is thick.
    """

    name: str
    top: tuple[NDArray[np.uint8], ...]
    side: tuple[NDArray[np.uint8], ...] = ()

    def chips(self, layout: str) -> tuple[NDArray[np.uint8], ...]:
        """The chips that a layout lays: from the side for `side`, else from above."""
        return self.side if layout == "side" else self.top

    @property
    def linear(self) -> NDArray[np.float64]:
        """Mean colour of all chips (3,), linear light, weighted by alpha."""
        return mean_linear(self.top + self.side)

    @property
    def lab(self) -> NDArray[np.float64]:
        """Mean colour of all chips (3,) in CIELAB."""
        return np.asarray(lab_from_linear(self.linear), np.float64)


def mean_linear(chips: tuple[NDArray[np.uint8], ...]) -> NDArray[np.float64]:
    """Mean colour (3,) of chips (h, w, 4), linear light, weighted by alpha."""
    light, weight = np.zeros(3), 0.0
    for chip in chips:
        alpha = chip[..., 3].astype(np.float64) / 255.0
        light += (linear_from_srgb(chip[..., :3]) * alpha[..., None]).sum(axis=(0, 1))
        weight += float(alpha.sum())
    return light / max(weight, 1e-9)


@dataclass(frozen=True)
class Paint:
    """What one cell of each colour adds to the board, for one layout and card.

    `light` (K, 3): linear light of an infinite board of that colour, card showing between its sweets;
    `card` (3,): the bare card. Both relative to white.
    """

    light: NDArray[np.float64]
    card: NDArray[np.float64]


def cell_paint(colours: tuple[Colour, ...], layout: str, row_step: float, card: NDArray[np.float64]) -> Paint:
    """Mean light of a cell of each colour, its sweet on `card` (3,) [linear light].

    A cell is one pitch wide and `row_step` pitches high, a chip one pitch wide: the share of the cell
    that a sweet covers follows from its alpha mask.
    """
    light = np.empty((len(colours), 3))
    for index, colour in enumerate(colours):
        chips = colour.chips(layout)
        share = np.mean([chip[..., 3].mean() / 255.0 * chip.shape[0] / chip.shape[1] for chip in chips])
        cover = min(1.0, float(share) / row_step)
        light[index] = cover * mean_linear(chips) + (1.0 - cover) * card
    return Paint(light, np.asarray(card, np.float64))
