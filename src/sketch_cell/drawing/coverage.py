"""How much ink a wave leaves on its row: the exact coverage of a sine, and the table that inverts it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ellipe

Array = NDArray[np.float64]

QUADRATURE_POINTS = 128
TABLE_POINTS = 192


def sine_arc_length(amplitude: ArrayLike, period: float) -> Array:
    """Arc length of one period of a sine: p (2/pi) sqrt(1 + s^2) E(s^2 / (1 + s^2)), s = 2 pi A / p."""
    steepness = 2 * np.pi * np.asarray(amplitude, float) / period
    return np.asarray(
        period * 2 / np.pi * np.sqrt(1 + steepness**2) * ellipe(steepness**2 / (1 + steepness**2))
    )


def sine_coverage(amplitude: ArrayLike, period: float, pitch: float, line_width: float) -> Array:
    """Share of a row (pitch wide) that a sine of the given amplitude and period covers with ink.

    All lengths in one unit; amplitude of any shape, the result of the same shape. Exact while neighbouring
    rows do not overlap: with no overlap between the wave's own flanks, arc length times line width
    (A <= p^2 / (2 pi^2 w)); beyond, the area outside the inner parallel curve, integrated from its
    self-crossing t* on (the method of the project's issue 3).
    """
    amplitude = np.asarray(amplitude, float)
    free = sine_arc_length(amplitude, period) * line_width / (period * pitch)
    crossed = amplitude > period**2 / (2 * np.pi**2 * line_width)
    if not crossed.any():
        return free
    result = free.copy()
    result[crossed] = _overlapping(amplitude[crossed], period, pitch, line_width)
    return result


def _overlapping(amplitude: Array, period: float, pitch: float, line_width: float) -> Array:
    """C = -4 / (p r) times the integral of Y dX over the inner parallel curve from t* to p/2."""
    start = _self_crossing(amplitude, period, line_width)
    nodes, weights = np.polynomial.legendre.leggauss(QUADRATURE_POINTS)
    half = (period / 2 - start)[:, None] / 2
    t = start[:, None] + half * (nodes + 1)
    k = 2 * np.pi / period
    steepness = k * amplitude[:, None]
    sine, cosine = np.sin(k * t), np.cos(k * t)
    g = np.sqrt(1 + steepness**2 * sine**2)
    y = amplitude[:, None] * cosine - line_width / 2 / g
    # d/dt of sin(kt)/g is k cos(kt)/g^3, so dX is closed-form.
    dx = 1 - line_width / 2 * steepness * k * cosine / g**3
    return np.asarray(-4 / (period * pitch) * (weights * y * dx * half).sum(axis=1))


def _self_crossing(amplitude: Array, period: float, line_width: float) -> Array:
    """Largest t in (0, p/2) where the inner parallel curve meets the axis of its crest, by bisection."""
    k = 2 * np.pi / period
    steepness = k * amplitude

    def x(t: Array) -> Array:
        sine = np.sin(k * t)
        return np.asarray(t - line_width / 2 * steepness * sine / np.sqrt(1 + steepness**2 * sine**2))

    # X falls to its lowest value, then rises through 0: the root lies between there and p/2.
    grid = np.linspace(0, period / 2, 65)[1:, None]
    low = grid[np.argmin(x(grid), axis=0), 0]
    high = np.full_like(amplitude, period / 2)
    for _ in range(50):
        middle = (low + high) / 2
        below = x(middle) < 0
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2)


@dataclass(frozen=True)
class ToneTable:
    """Ink coverage measured or computed at rising amplitudes [m], and its inverse.

    A camera's measurements of a test chart on the real machine make a table as good as the computed one.
    Raises ValueError unless amplitudes and coverages rise.
    """

    amplitude_m: Array
    coverage: Array

    def __post_init__(self) -> None:
        if len(self.amplitude_m) != len(self.coverage) or len(self.coverage) < 2:
            raise ValueError("a tone table needs as many coverages as amplitudes, two at least")
        if np.any(np.diff(self.amplitude_m) <= 0) or np.any(np.diff(self.coverage) < 0):
            raise ValueError("amplitudes and coverages of a tone table must rise")

    def amplitude_for(self, coverage: NDArray[np.floating]) -> Array:
        """Amplitude [m] that gives this coverage; tones out of reach take the nearest end."""
        return np.asarray(np.interp(coverage, self.coverage, self.amplitude_m))

    @property
    def darkest(self) -> float:
        """The largest coverage in reach."""
        return float(self.coverage[-1])


def sine_table(period_m: float, pitch_m: float, line_width_m: float, amplitude_max_m: float) -> ToneTable:
    """Tone table of a sine up to the given amplitude; the coverage is capped where rows would overlap."""
    amplitude = np.linspace(0, max(amplitude_max_m, 1e-9), TABLE_POINTS)
    coverage = sine_coverage(amplitude, period_m, pitch_m, line_width_m)
    return ToneTable(amplitude, np.minimum(np.maximum.accumulate(coverage), 1.0))
