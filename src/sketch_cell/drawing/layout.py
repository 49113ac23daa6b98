"""Where the middle of each row runs: evenly spaced, or in pairs on one track where the photo is light."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.drawing.rows import RowGrid
from sketch_cell.drawing.wave import SAMPLES_PER_CELL

FloatImage = NDArray[np.float32]

MERGE_BELOW = (
    0.6  # of the lightest tone of single rows: above, the ripple of lone tracks costs more than it gives
)
SHORTEST_CELLS = 3
RAMP_CELLS = 0.5


def merged_share(target: FloatImage, grid: RowGrid, line_width_m: float) -> FloatImage:
    """How far each pair of rows has come together (pairs, samples): 0 apart, 1 on one track.

    target is the wanted ink, (rows * b, columns * b) for any b. Short stretches are not worth two bends.
    """
    pairs = grid.rows // 2
    samples = grid.columns * SAMPLES_PER_CELL
    if pairs == 0:
        return np.zeros((0, samples), np.float32)
    bins = target.shape[0] // grid.rows
    ink = cv2.resize(target[: 2 * pairs * bins], (2 * grid.columns, pairs), interpolation=cv2.INTER_AREA)
    ink = cv2.GaussianBlur(ink.reshape(pairs, -1), (0, 0), sigmaX=1.0, sigmaY=1e-6)
    light = (ink < MERGE_BELOW * line_width_m / grid.pitch_m).astype(np.uint8)
    light = cv2.morphologyEx(light, cv2.MORPH_CLOSE, np.ones((1, 5), np.uint8))
    light = cv2.morphologyEx(light, cv2.MORPH_OPEN, np.ones((1, 2 * SHORTEST_CELLS), np.uint8))
    share = np.repeat(light.reshape(pairs, -1).astype(np.float32), SAMPLES_PER_CELL // 2, axis=1)
    ramp = (int(RAMP_CELLS * SAMPLES_PER_CELL) | 1, 1)
    return np.asarray(cv2.blur(cv2.blur(share, ramp), ramp), np.float32).reshape(pairs, samples)


def row_centres(grid: RowGrid, tone: FloatImage, share: FloatImage, line_width_m: float) -> FloatImage:
    """v [m] of the middle of each row (rows, samples); merged pairs part again by as much as their tone asks."""
    samples = grid.columns * SAMPLES_PER_CELL
    centres = np.repeat(grid.centres_m(), samples, axis=1).astype(np.float32)
    pairs = len(share)
    if not share.any():
        return centres
    bins = tone.shape[0] // grid.rows
    ink = cv2.resize(tone[: 2 * pairs * bins], (grid.columns, pairs), interpolation=cv2.INTER_AREA)
    ink = cv2.resize(ink.reshape(pairs, -1), (samples, pairs), interpolation=cv2.INTER_LINEAR)
    gap = np.clip(2 * grid.pitch_m * ink.reshape(pairs, samples) - line_width_m, 0, line_width_m)
    closing = share * (grid.pitch_m - gap) / 2
    centres[0 : 2 * pairs : 2] += closing
    centres[1 : 2 * pairs : 2] -= closing
    return centres
