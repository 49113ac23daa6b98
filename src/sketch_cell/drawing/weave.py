"""The loom's kernels: tones of half-cells, and rows of half-waves that carry them."""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from sketch_cell.drawing.wave import SAMPLES_PER_CELL

FloatImage = NDArray[np.float32]
Array = NDArray[np.float64]


def summed(tone: FloatImage) -> Array:
    """Integral (rows + 1, columns + 1) of a tone, from which any rectangle's mean is four look-ups."""
    return np.asarray(cv2.integral(tone, sdepth=cv2.CV_64F))


@njit(cache=True, nogil=True)
def _mean(total, u0, u1, v0, v1):  # type: ignore[no-untyped-def]
    """Mean tone of the rectangle of pixels u0..u1, v0..v1, cut at the border; u whole, v any."""
    v1 = min(max(v1, 0.5), len(total) - 1.0)
    v0 = max(min(v0, v1 - 0.5), 0.0)
    low, high = int(v0), min(int(v1), len(total) - 2)
    a = total[low, u1] - total[low, u0]
    a += (v0 - low) * (total[low + 1, u1] - total[low + 1, u0] - a)
    b = total[high, u1] - total[high, u0]
    b += (v1 - high) * (total[high + 1, u1] - total[high + 1, u0] - b)
    return (b - a) / ((u1 - u0) * (v1 - v0))


@njit(cache=True, nogil=True)
def cell_tones(total, centres, up, down, bins, bins_per_m, tones):  # type: ignore[no-untyped-def]
    """Mean tone of each cell into tones (rows, columns); arguments as in `weave`."""
    for r in range(len(tones)):
        for c in range(tones.shape[1]):
            at = c * SAMPLES_PER_CELL + SAMPLES_PER_CELL // 2
            top, bottom = centres[r, at] - up[r, at], centres[r, at] + down[r, at]
            tones[r, c] = _mean(total, c * bins, (c + 1) * bins, top * bins_per_m, bottom * bins_per_m)


@njit(cache=True, nogil=True)
def weave(total, kind, half_waves, tables, shapes, centres, up, down, share, bins, bins_per_m, v):  # type: ignore[no-untyped-def]
    """Add the wave to rows v (rows, samples + 1) [m].

    total: integral of the tone, `bins` pixels per cell, `bins_per_m` across the rows. kind (rows, columns) numbers
    the wave of each cell; half_waves (kinds,), tables (kinds, tones, 2), shapes (kinds, samples per cell) tell of
    it. centres, up and down (rows, samples) [m]: middle of each row and how far its wave may reach; share (rows,
    samples): how much of the wave is left.
    """
    top = tables.shape[1] - 1
    for r in range(len(kind)):
        sign = np.float32(-1)
        for c in range(kind.shape[1]):
            own = kind[r, c]
            count = half_waves[own]
            repeat = SAMPLES_PER_CELL // count
            for k in range(count):
                first = c * SAMPLES_PER_CELL + k * repeat
                middle = first + repeat // 2
                at = centres[r, middle] * bins_per_m
                u0, u1 = (first * bins) // SAMPLES_PER_CELL, -((-(first + repeat) * bins) // SAMPLES_PER_CELL)
                if sign < 0:
                    tone = _mean(total, u0, u1, at - up[r, middle] * bins_per_m, at)
                else:
                    tone = _mean(total, u0, u1, at, at + down[r, middle] * bins_per_m)
                x = min(max(tone, 0.0), 1.0) * top
                entry = min(int(x), top - 1)
                part = np.float32(x - entry)
                amplitude = tables[own, entry, 0] + part * (tables[own, entry + 1, 0] - tables[own, entry, 0])
                steepness = tables[own, entry, 1] + part * (tables[own, entry + 1, 1] - tables[own, entry, 1])
                room = up if sign < 0 else down
                for i in range(repeat):
                    height = min(steepness * shapes[own, i], np.float32(1)) * amplitude * sign
                    v[r, first + i] += height * room[r, first + i] * share[r, first + i]
                sign = -sign
