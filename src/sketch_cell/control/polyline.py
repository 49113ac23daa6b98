"""Lengths and distances along a polyline, in plain numpy: what a job needs while it runs, without a compiler."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def arc_length_m(xy_m: Array) -> Array:
    """Distance along a polyline (N, 2) at each of its vertices (N,) [m]."""
    return (
        np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy_m, axis=0).T))]) if len(xy_m) else np.zeros(0)
    )


def distance_m(point_m: Array, xy_m: Array) -> float:
    """Distance [m] of a point (2,) from a polyline (N, 2), N >= 1."""
    away, strokes = point_m - xy_m, np.diff(xy_m, axis=0)
    if not len(strokes):
        return float(np.hypot(away[0, 0], away[0, 1]))
    squares = np.maximum(np.einsum("ij,ij->i", strokes, strokes), 1e-18)
    share = np.clip(np.einsum("ij,ij->i", away[:-1], strokes) / squares, 0.0, 1.0)
    left = away[:-1] - share[:, None] * strokes
    return float(np.sqrt(np.einsum("ij,ij->i", left, left).min()))
