"""How far each sweet's light spreads when the board is seen from afar: the eye's blur sampled at the cells."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from sketch_cell.mosaic.layout import Layout

RADIUS = 2.75  # pitches; beyond it lies 3 % of the blur's weight


@dataclass(frozen=True)
class Spread:
    """Offsets (2, M, 2) [cells] seen through a cell in even and odd rows, and their weights (2, M), sum 1."""

    offsets: NDArray[np.int32]
    weights: NDArray[np.float32]


def spread(layout: Layout, sigma: float) -> Spread:
    """A Gaussian of `sigma` [pitches], widened by the sweet's own extent, over the cells within RADIUS.

    The extent adds its variance: diameter**2 / 16 per axis for a disc, side**2 / 12 for a rectangle.
    """
    reach = int(RADIUS / layout.row_step) + 1
    offsets, weights = [], []
    variance = _variance(layout, sigma)
    for parity in (0, 1):
        i, j = np.mgrid[-reach : reach + 1, -int(RADIUS) - 1 : int(RADIUS) + 2].reshape(2, -1)
        x = j + layout.shift * ((parity + i) % 2 - parity)
        y = i * layout.row_step
        near = x**2 + y**2 <= RADIUS**2 + 1e-9
        weight = np.exp(-0.5 * (x[near] ** 2 / variance[0] + y[near] ** 2 / variance[1]))
        offsets.append(np.stack([i[near], j[near]], axis=1))
        weights.append(weight / weight.sum())
    return Spread(np.array(offsets, np.int32), np.array(weights, np.float32))


def _variance(layout: Layout, sigma: float) -> tuple[float, float]:
    if layout.kind == "side":
        return sigma**2 + 1.0 / 12.0, sigma**2 + layout.row_step**2 / 12.0
    return sigma**2 + 1.0 / 16.0, sigma**2 + 1.0 / 16.0


def share_on_board(layout: Layout, sigma: float) -> NDArray[np.float64]:
    """How much of the blur about each cell (rows, cols) falls on the board, 0..1."""

    def inside(place: NDArray[np.float64], length: float, variance: float) -> NDArray[np.float64]:
        scale = math.sqrt(2.0 * variance)
        result: NDArray[np.float64] = 0.5 * (erf((length - place) / scale) + erf(place / scale))
        return result

    centres = layout.centres()
    variance = _variance(layout, sigma)
    return inside(centres[..., 0], layout.width, variance[0]) * inside(
        centres[..., 1], layout.height, variance[1]
    )


def seen_light(
    light_of_cell: NDArray[np.floating[Any]], card: NDArray[np.floating[Any]], layout: Layout, sigma: float
) -> NDArray[np.float32]:
    """What is seen at every cell (rows, cols, 3) of a board whose cells have light (rows, cols, 3) on `card` (3,)."""
    rows, cols = light_of_cell.shape[:2]
    over_card = (light_of_cell - card).astype(np.float32)
    seen = np.zeros_like(over_card)
    blur = spread(layout, sigma)
    for parity in (0, 1):
        for (di, dj), weight in zip(blur.offsets[parity].tolist(), blur.weights[parity], strict=True):
            i = np.arange(parity, rows, 2)
            i = i[(i + di >= 0) & (i + di < rows)]
            j = np.arange(max(0, -dj), min(cols, cols - dj))
            if len(i) and len(j):
                source = over_card[i[0] : i[-1] + 1 : 2, j[0] : j[-1] + 1]
                seen[i[0] + di : i[-1] + di + 1 : 2, j[0] + dj : j[-1] + dj + 1] += weight * source
    seen /= share_on_board(layout, sigma)[..., None].astype(np.float32)
    return seen + card.astype(np.float32)
