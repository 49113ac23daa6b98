"""A classical deblocking filter: bilinear interpolation across block edges, the kind the network improves on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sketch_cell.picture.quality import BLOCK_PX

Image = NDArray[np.uint8]
# Share of an edge's step that moves into the pixels nearest to it and next to those: a ramp over four pixels.
RAMP = ((0, 3 / 8), (1, 1 / 8))


def deblock_classically(image: Image, luma_table: NDArray[np.int64]) -> Image:
    """`image` (H, W, 3) or (H, W) uint8 with small steps across its 8 x 8 blocks' edges turned into ramps.

    A step larger than the luma table's finest low-frequency step is taken for the picture's own and kept.
    """
    largest_step = float(luma_table.flat[:2].min()) * 2
    levels = image.astype(np.float32)
    for _ in range(2):
        levels = _ramped(levels, largest_step).swapaxes(0, 1)
    return np.asarray(np.clip(np.rint(levels), 0, 255), np.uint8)


def _ramped(levels: NDArray[np.float32], largest_step: float) -> NDArray[np.float32]:
    """Smooth the edges between rows of blocks."""
    smoothed = levels.copy()
    edges = np.arange(BLOCK_PX, levels.shape[0] - 1, BLOCK_PX)
    step = levels[edges] - levels[edges - 1]
    step[np.abs(step) > largest_step] = 0
    for distance, share in RAMP:
        smoothed[edges + distance] -= share * step
        smoothed[edges - 1 - distance] += share * step
    return smoothed
