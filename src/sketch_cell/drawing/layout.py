"""Where the middle of each row runs: spread by tone, and in pairs on one track where even that is too dark."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.drawing.rows import RowGrid
from sketch_cell.drawing.wave import SAMPLES_PER_CELL

FloatImage = NDArray[np.float32]

# Of the lightest tone of single rows: above, the ripple of lone tracks costs more than it gives.
MERGE_BELOW = 0.6
SHORTEST_CELLS = 3
RAMP_CELLS = 0.5
SPARSEST = 0.85  # rows per pitch in white: with fewer the eye sees the rows instead of the tone
SMOOTH_CELLS = 1.5  # so that rows bend gently


def merged_share(target: FloatImage, centres: FloatImage, grid: RowGrid, line_width_m: float) -> FloatImage:
    """How far each pair of rows has come together (pairs, samples): 0 apart, 1 on one track.

    target is the wanted ink, (rows * b, columns * b) for any b; centres are the rows' middles (rows, samples).
    Short stretches are not worth two bends.
    """
    pairs, samples = grid.rows // 2, centres.shape[1]
    if pairs == 0:
        return np.zeros((0, samples), np.float32)
    bins = target.shape[0] // grid.rows
    half_cell = SAMPLES_PER_CELL // 2
    upper, lower = (centres[k : 2 * pairs : 2, half_cell // 2 :: half_cell] for k in (0, 1))
    narrow = cv2.resize(target, (2 * grid.columns, target.shape[0]), interpolation=cv2.INTER_AREA)
    near = cv2.GaussianBlur(narrow, (0, 0), sigmaX=1.0, sigmaY=0.6 * bins)
    column = np.broadcast_to(np.arange(2 * grid.columns, dtype=np.float32), upper.shape)
    line = ((upper + lower) / 2 * (bins / grid.pitch_m) - 0.5).astype(np.float32)
    ink = cv2.remap(near, column, line, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    light = (ink.reshape(upper.shape) * (lower - upper) < MERGE_BELOW * line_width_m).astype(np.uint8)
    light = cv2.morphologyEx(light, cv2.MORPH_CLOSE, np.ones((1, 5), np.uint8))
    light = cv2.morphologyEx(light, cv2.MORPH_OPEN, np.ones((1, 2 * SHORTEST_CELLS), np.uint8))
    share = np.repeat(light.reshape(pairs, -1).astype(np.float32), half_cell, axis=1)
    ramp = (int(RAMP_CELLS * SAMPLES_PER_CELL) | 1, 1)
    return np.asarray(cv2.blur(cv2.blur(share, ramp), ramp), np.float32).reshape(pairs, samples)


def spread_centres(target: FloatImage, grid: RowGrid, line_width_m: float) -> FloatImage:
    """v [m] of the middle of each row (rows, samples), rows apart where the photo is light, closer where dark.

    Bare rows carry ink in proportion to their density, so the density follows the tone up to a level, and in
    each column that level is where all rows find room (water filling). target is (rows * b, columns * b).
    """
    bins = target.shape[0] // grid.rows
    wish = np.asarray(cv2.GaussianBlur(target, (0, 0), SMOOTH_CELLS * bins, borderType=cv2.BORDER_REFLECT))
    wish = np.clip(wish * grid.pitch_m / line_width_m, SPARSEST, None)
    wish = wish[:, bins // 2 :: bins]
    wish = wish / np.minimum(wish.mean(axis=0), 1)
    low, high = np.ones(grid.columns), np.maximum(wish.max(axis=0), 1)
    for _ in range(30):
        level = (low + high) / 2
        short = np.minimum(wish, level).mean(axis=0) < 1
        low, high = np.where(short, level, low), np.where(short, high, level)
    density = np.minimum(wish, high).astype(np.float32)
    density = cv2.GaussianBlur(
        density, (0, 0), sigmaX=SMOOTH_CELLS, sigmaY=SMOOTH_CELLS * bins, borderType=cv2.BORDER_REFLECT
    )
    density = density.reshape(-1, grid.columns)
    filled = np.vstack([np.zeros(grid.columns), np.cumsum(density / density.mean(axis=0), axis=0)]) / bins
    edges = np.linspace(0, grid.height_m, len(filled))
    middles = np.arange(grid.rows) + 0.5
    coarse = np.stack([np.interp(middles, column, edges) for column in filled.T], axis=1)
    samples = grid.columns * SAMPLES_PER_CELL
    return np.asarray(
        cv2.resize(coarse.astype(np.float32), (samples, grid.rows), interpolation=cv2.INTER_LINEAR)
    )


def room_between(centres: FloatImage, grid: RowGrid) -> tuple[FloatImage, FloatImage]:
    """Distance [m] from each row to the one above and to the one below; at the picture's edge twice that far."""
    first, last = 2 * centres[:1], 2 * (grid.height_m - centres[-1:])
    gaps = np.concatenate([first, np.diff(centres, axis=0), last]).astype(np.float32)
    return gaps[:-1], gaps[1:]


def merge_pairs(
    centres: FloatImage, grid: RowGrid, tone: FloatImage, share: FloatImage, line_width_m: float
) -> FloatImage:
    """The same rows with merged pairs on one track, parted again by as much as their tone asks."""
    pairs, samples = share.shape
    if not share.any():
        return centres
    bins = tone.shape[0] // grid.rows
    ink = cv2.resize(tone[: 2 * pairs * bins], (grid.columns, pairs), interpolation=cv2.INTER_AREA)
    ink = cv2.resize(ink.reshape(pairs, -1), (samples, pairs), interpolation=cv2.INTER_LINEAR)
    apart = centres[1 : 2 * pairs : 2] - centres[0 : 2 * pairs : 2]
    gap = np.clip(2 * apart * ink.reshape(pairs, samples) - line_width_m, 0, line_width_m)
    merged = centres.copy()
    closing = share * np.maximum(apart - gap, 0) / 2
    merged[0 : 2 * pairs : 2] += closing
    merged[1 : 2 * pairs : 2] -= closing
    return merged
