"""The padded board that the kernels search: its fields, and in which cells each kind of change is seen."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from sketch_cell.mosaic.layout import Layout
from sketch_cell.mosaic.search_kernel import LANES, PLANES, Optics
from sketch_cell.mosaic.seen import Spread, spread

# From a sweet in an even row and in an odd one to the neighbours below it and to its right: each pair counts once.
SQUARE_PARTNERS = (((0, 1), (0, 1)), ((1, 0), (1, 0)), ((1, 1), (1, 1)), ((1, -1), (1, -1)))
HEXAGONAL_PARTNERS = (((0, 1), (0, 1)), ((1, -1), (1, 0)), ((1, 0), (1, 1)))
ALONE = ((0, 0), (0, 0))

Weights = dict[tuple[int, int], float]  # of the cells at an offset of rows and columns


def make_optics(
    fields: NDArray[np.float32],
    light: NDArray[np.float32],
    layout: Layout,
    sigma_lightness: float,
    sigma_chroma: float,
) -> Optics:
    """Fields (rows, cols, PLANES) and light (K, 3) of a board made ready for the kernels.

    The blurs' standard deviations are in pitches.
    """
    spreads = spread(layout, sigma_lightness), spread(layout, sigma_chroma)
    partner = np.array((ALONE, *(HEXAGONAL_PARTNERS if layout.shift else SQUARE_PARTNERS)))
    # A swap is seen one cell farther than a sweet, and whole vectors are read beyond the end of a run.
    above, left = (np.abs(spreads[0].offsets).max(axis=(0, 1)) + 1).tolist()
    rows, cols = fields.shape[:2]
    planes = np.zeros((rows + 2 * above, PLANES, cols + 2 * left + LANES), np.float32)
    planes[above : above + rows, :, left : left + cols] = np.moveaxis(fields, 2, 1)
    frame = (above * PLANES * planes.shape[2] + left, planes.shape[2], PLANES * planes.shape[2])
    jumps, counts = np.zeros((2, len(partner), 2, 2 * above), np.int64)
    weights = np.zeros((2, *jumps.shape, LANES), np.float32)
    for kind, parity, blur in itertools.product(range(len(partner)), (0, 1), (0, 1)):
        change = _change(spreads[blur], parity, *partner[kind, parity].tolist())
        for run, (i, first, cells) in enumerate(_runs(change)):
            jumps[kind, parity, run], counts[kind, parity, run] = i * frame[2] + first, len(cells)
            weights[blur, kind, parity, run, : len(cells)] = cells
    return Optics(planes.ravel(), frame, partner, jumps, counts, weights[0], weights[1], light)


def _change(blur: Spread, parity: int, down: int, right: int) -> Weights:
    """How a change at a sweet in a row of this parity is seen, its partner (if any) changing the other way."""
    seen = _weights(blur, parity)
    if (down, right) != (0, 0):
        for (i, j), weight in _weights(blur, (parity + down) % 2).items():
            at = (i + down, j + right)
            seen[at] = seen.get(at, 0.0) - weight
    return seen


def _weights(blur: Spread, parity: int) -> Weights:
    offsets = map(tuple, blur.offsets[parity].tolist())
    return dict(zip(offsets, blur.weights[parity].tolist(), strict=True))


def _runs(seen: Weights) -> list[tuple[int, int, list[float]]]:
    """Row, first column and weights of each row of cells."""
    rows = sorted({i for i, _ in seen})
    spans = [(i, min(j for k, j in seen if k == i), max(j for k, j in seen if k == i)) for i in rows]
    return [(i, low, [seen.get((i, j), 0.0) for j in range(low, high + 1)]) for i, low, high in spans]
