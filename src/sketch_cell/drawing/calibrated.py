"""The calibrated method: tone from geometry, corrected by analysis by synthesis."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.drawing.coverage import sine_table
from sketch_cell.drawing.rows import RowGrid, envelope, play, row_ink, serpentine
from sketch_cell.drawing.settings import LineSettings
from sketch_cell.drawing.tone import blur, grey, luminance, resample, srgb_from_linear

FloatImage = NDArray[np.float32]
Array = NDArray[np.float64]

SAMPLES_PER_CELL = 24
BINS_PER_CELL = 8
PERIODS = (1, 2, 3)
SWITCH = 0.93
GAP = 0.06


class Weaver:
    def __init__(self, grid: RowGrid, settings: LineSettings) -> None:
        self.grid, self.settings = grid, settings
        limit = grid.pitch_m / 2
        self.tables = [
            sine_table(grid.cell_m / n, grid.pitch_m, settings.line_width_m, limit) for n in PERIODS
        ]
        phase = np.arange(SAMPLES_PER_CELL) / SAMPLES_PER_CELL
        self.carriers = [
            np.tile(np.sin(2 * np.pi * n * phase), grid.columns).astype(np.float32) for n in PERIODS
        ]

    def choose(self, tone: FloatImage, periods=None):
        """periods per cell (rows, columns)"""
        g = self.grid
        need = (
            tone.reshape(g.rows, 2, BINS_PER_CELL // 2, g.columns, 2, BINS_PER_CELL // 2)
            .mean(axis=(2, 5))
            .max(axis=(1, 3))
        )
        out = np.ones((g.rows, g.columns), np.int64)
        for n in (2, 3):
            up = self.tables[n - 2].darkest * SWITCH
            if periods is None:
                out[need > up] = n
            else:
                out[(need > up) | ((periods >= n) & (need > up - GAP))] = n
        return out

    def weave(self, tone: FloatImage, periods) -> FloatImage:
        g = self.grid
        wave = np.empty((g.rows, g.columns * SAMPLES_PER_CELL), np.float32)
        mask = np.repeat(periods, SAMPLES_PER_CELL, axis=1)
        for n, table, carrier in zip(PERIODS, self.tables, self.carriers):
            if not (periods == n).any():
                continue
            halves = cv2.resize(tone, (g.columns * 2 * n, g.rows * 2), interpolation=cv2.INTER_AREA)
            own = np.empty((g.rows, g.columns * 2 * n), np.float32)
            own[:, 0::2] = halves[0::2, 0::2]
            own[:, 1::2] = halves[1::2, 1::2]
            amp = table.amplitude_for(own).astype(np.float32)
            full = np.repeat(amp, SAMPLES_PER_CELL // (2 * n), axis=1)
            chosen = mask == n
            wave[chosen] = (-full * carrier)[chosen]
        return self.grid.centres_m().astype(np.float32) + np.pad(wave, ((0, 0), (0, 1)))

    def ink(self, v: FloatImage) -> FloatImage:
        g = self.grid
        step = g.cell_m / SAMPLES_PER_CELL
        v = play(v, self.settings.residual_backlash_m)
        low, high = envelope(v, step, self.settings.line_width_m / 2)
        # turn links
        k = max(1, round(self.settings.line_width_m / 2 / step))
        high[0:-1:2, -k:] = np.maximum(high[0:-1:2, -k:], v[1::2, -1:][: len(high[0:-1:2])])
        high[1:-1:2, :k] = np.maximum(high[1:-1:2, :k], v[2::2, :1][: len(high[1:-1:2])])
        low, high = (low[:, 1:] + low[:, :-1]) / 2, (high[:, 1:] + high[:, :-1]) / 2
        return row_ink(
            low, high, g.rows * BINS_PER_CELL, g.pitch_m / BINS_PER_CELL, SAMPLES_PER_CELL // BINS_PER_CELL
        )


def synthesise(target: FloatImage, grid: RowGrid, settings: LineSettings, verbose=False):
    """target: ink (rows*8, columns*8)"""
    w = Weaver(grid, settings)
    sigma = settings.blur_cells * BINS_PER_CELL
    seen = blur(target, sigma)
    linear = settings.tuned_for == "linear"
    enc = (lambda x: srgb_from_linear(1 - x)) if linear else (lambda x: x)
    tone = target.copy()
    best = (np.inf, None)
    periods = None
    for i in range(settings.iterations + 1):
        periods = w.choose(tone, periods)
        v = w.weave(tone, periods)
        shown = blur(w.ink(v), sigma)
        e = float(np.sqrt(np.mean((enc(shown) - enc(seen)) ** 2)))
        if verbose:
            print(i, round(e, 5), np.bincount(periods.ravel()))
        if e < best[0]:
            best = (e, v)
        tone += settings.correction * (seen - shown)
        np.clip(tone, -0.5, 1.5, out=tone)
    return best


def row_line(photo: FloatImage, grid: RowGrid, settings: LineSettings) -> Array:
    """The line (N, 2) in the row frame [m] that draws the photo, float 0..1 as the rows meet it."""
    rows, columns = grid.rows * BINS_PER_CELL, grid.columns * BINS_PER_CELL
    image = luminance(photo) if settings.tuned_for == "linear" else grey(photo)
    target = 1 - resample(image, rows, columns)
    if settings.tuned_for == "adapted":
        target = 0.27 + (0.92 - 0.27) * target
    _, v = synthesise(target, grid, settings)
    u = np.arange(v.shape[1]) * (grid.cell_m / SAMPLES_PER_CELL)
    return serpentine(u, v.astype(np.float64))
