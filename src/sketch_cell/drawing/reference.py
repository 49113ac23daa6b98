"""The original method: a patch of sine per cell, its exponent found by successive parabolic interpolation."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.drawing.parabolic import Search, successive_parabolas
from sketch_cell.drawing.rows import RowGrid, rows_ink, serpentine
from sketch_cell.drawing.settings import LineSettings
from sketch_cell.drawing.synthesis import difference
from sketch_cell.drawing.tone import blur, grey, luminance, resample
from sketch_cell.drawing.wave import crest

FloatImage = NDArray[np.float32]
Array = NDArray[np.float64]

EXPONENTS = (0.2, 5.0)  # searched range; the original found its best between 0.75 and 1.65
BINS_PER_CELL = 8


def stretched_darkness(photo: FloatImage, grid: RowGrid) -> FloatImage:
    """Darkness 0..1 per cell (rows, columns), contrast-stretched to the full range; 0 for a flat photo."""
    dark = 1 - resample(grey(photo), grid.rows, grid.columns)
    low, high = float(dark.min()), float(dark.max())
    return (dark - low) / (high - low) if high - low > 1e-6 else np.zeros_like(dark)


def row_line(photo: FloatImage, grid: RowGrid, settings: LineSettings) -> tuple[Array, float, Search | None]:
    """The line (N, 2) in the row frame [m], the exponent it uses, and the search that found it, if any."""
    search = find_exponent(photo, grid, settings) if settings.find_exponent else None
    exponent = search.best_at if search else settings.exponent
    v = rows_for(stretched_darkness(photo, grid) ** np.float32(exponent), grid, settings)
    u = np.arange(v.shape[1]) * (grid.width_m / (v.shape[1] - 1))
    return _chained(u, v, grid, settings), exponent, search


def rows_for(strength: FloatImage, grid: RowGrid, settings: LineSettings) -> FloatImage:
    """Rows v (rows, samples) [m]: each cell a whole number of periods, its amplitude by strength 0..1."""
    samples = _samples_per_cell(settings)
    at = np.arange(samples) / samples * 2 * settings.periods
    patch = np.where(at.astype(int) % 2 == 0, -1.0, 1.0) * crest(at % 1, settings.waveform)
    amplitude = strength * np.float32(settings.amplitude * grid.pitch_m / 2)
    wave = np.repeat(amplitude, samples, axis=1) * np.tile(patch, grid.columns)
    return np.pad(grid.centres_m() + wave, ((0, 0), (0, 1)), mode="wrap").astype(np.float32)


def find_exponent(photo: FloatImage, grid: RowGrid, settings: LineSettings) -> Search:
    """The exponent whose drawing differs least from the photo, by guarded successive parabolic interpolation."""
    darkness = stretched_darkness(photo, grid)
    image = luminance(photo) if settings.tuned_for == "linear" else grey(photo)
    wanted = blur(
        1 - resample(image, grid.rows * BINS_PER_CELL, grid.columns * BINS_PER_CELL),
        settings.blur_cells * BINS_PER_CELL,
    )

    def error(exponent: float) -> float:
        ink = _ink(rows_for(darkness ** np.float32(exponent), grid, settings), grid, settings)
        shown = blur(ink, settings.blur_cells * BINS_PER_CELL)
        if settings.tuned_for == "adapted":
            shown = fitted(shown, wanted)
        return difference(shown, wanted, settings.tuned_for)

    return successive_parabolas(error, EXPONENTS, np.random.default_rng(settings.seed))


def fitted(shown: FloatImage, wanted: FloatImage) -> FloatImage:
    """The picture as an adapted viewer sees it: least-squares gain and offset towards what is wanted."""
    mean, goal = float(shown.mean()), float(wanted.mean())
    spread = float(((shown - mean) ** 2).mean())
    gain = float(((shown - mean) * (wanted - goal)).mean()) / spread if spread > 1e-12 else 0.0
    return (goal + gain * (shown - mean)).astype(np.float32)


def _samples_per_cell(settings: LineSettings) -> int:
    """Points per patch, rounded up so that every zero and crest of its waves is one of them."""
    per_wave = 4 * settings.periods
    return -(-settings.points_per_cell // per_wave) * per_wave


def _ink(v: FloatImage, grid: RowGrid, settings: LineSettings) -> FloatImage:
    fine = rows_ink(
        v,
        step_m=grid.width_m / (v.shape[1] - 1),
        line_width_m=settings.line_width_m,
        bins=grid.rows * BINS_PER_CELL,
        bin_m=grid.pitch_m / BINS_PER_CELL,
        fold=1,
        turns=False,
    )
    return np.asarray(
        cv2.resize(fine, (grid.columns * BINS_PER_CELL, fine.shape[0]), interpolation=cv2.INTER_AREA)
    )


def _chained(u: Array, v: FloatImage, grid: RowGrid, settings: LineSettings) -> Array:
    """The rows as one line; in raster order each is followed by a flyback along its foot."""
    if settings.row_order == "serpentine":
        return serpentine(u, v)
    feet = (np.arange(grid.rows) + 1) * grid.pitch_m
    parts = []
    for row, foot in zip(v, feet, strict=True):
        flyback = np.stack([u[::-1], np.full(len(u), foot)], axis=1)
        parts += [np.stack([u, row], axis=1), flyback]
    return np.concatenate(parts[:-1])
