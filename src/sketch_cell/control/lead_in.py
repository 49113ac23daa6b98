"""The way from the homing corner to the line: along the left margin, with a zigzag that shows the backlash."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEFT_M, RIGHT_M = 0.0006, 0.0022  # the zigzag's sides, within the margin that the planner leaves free
NARROWEST_M = 0.0028  # a line that begins further left leaves no margin to draw in
UP_M, DOWN_M, TEETH = 0.0033, 0.0017, 10  # both axes reverse at every tooth, and no stroke covers another


def lead_in(start_m: Array, line_m: Array, calibrate: bool) -> Array:
    """Vertices (K, 2) [m, screen] from start_m (2,) along the left edge to where line_m (N, 2) begins.

    With `calibrate`, and where the margin is wide enough, both axes reverse twenty times on fresh glass on the way.
    """
    first, left = line_m[0], float(line_m[:, 0].min())
    zigzag = np.zeros((0, 2))
    edge_m = min(max(float(start_m[0]), 0.0), max(left, 0.0))
    if calibrate and left >= NARROWEST_M:
        up = np.arange(TEETH) * (UP_M - DOWN_M)
        bottom = max(float(start_m[1]), 0.0) + 0.002
        zigzag = np.empty((2 * TEETH, 2))
        zigzag[0::2] = np.column_stack([np.full(TEETH, LEFT_M), bottom + up])
        zigzag[1::2] = np.column_stack([np.full(TEETH, RIGHT_M), bottom + up + UP_M])
        edge_m = RIGHT_M
    corner = np.array([[edge_m, first[1]]])
    return np.vstack([start_m[None], zigzag, corner])
