"""The way from the homing corner to the line: along the left margin, with a zigzag that shows the backlash."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEFT_M, RIGHT_M = 0.0006, 0.0022  # the zigzag's sides, within the margin that the planner leaves free
NARROWEST_M = 0.0028  # a line that begins further left leaves no margin to draw in
UP_M, DOWN_M, TEETH = 0.0033, 0.0017, 10  # both axes reverse at every tooth, and no stroke covers another


ROW_END_M = 0.004  # closer than this to the side of the drawing, a place counts as the end of a row
PERIMETER_M = 0.0015  # how far outside the drawing the way around it runs


def way_back(start_m: Array, line_m: Array, along_m: Array, stopped_m: float) -> tuple[Array, float]:
    """From start_m (2,) around the drawing to the last row end before `stopped_m`; and where on the line that is [m].

    The line is line_m (N, 2) [m, screen] with its arc length along_m (N,). No ink falls inside the drawing that does
    not belong there: the way leads around it, and from the row's end over ink already drawn.
    """
    low, high = line_m.min(axis=0), line_m.max(axis=0)
    sides = (line_m[:, 0] - low[0] < ROW_END_M, high[0] - line_m[:, 0] < ROW_END_M)
    drawn = np.flatnonzero((sides[0] | sides[1]) & (along_m <= stopped_m))
    last = int(drawn[-1]) if len(drawn) else 0
    left_m, right_m, below_m = low[0] - PERIMETER_M, high[0] + PERIMETER_M, low[1] - PERIMETER_M
    x, y = line_m[last]
    around = [[left_m, start_m[1]], [left_m, y]]
    if not sides[0][last]:
        around = [[start_m[0], below_m], [right_m, below_m], [right_m, y]]
    return np.vstack([start_m, np.maximum(around, 0.0), [x, y]]), float(along_m[last])


def left_row_ends_m(line_m: Array, along_m: Array) -> list[float]:
    """Places [m] along line_m (N, 2) where one row ends on the left and the next begins, the line's ends left out."""
    near = line_m[:, 0] - line_m[:, 0].min() < ROW_END_M
    edges = np.flatnonzero(np.diff(np.concatenate([[False], near, [False]]).astype(int)))
    places = [float(along_m[a:b].mean()) for a, b in zip(edges[0::2], edges[1::2], strict=True)]
    return [place for place in places if 0.05 < place < along_m[-1] - 0.05]


def way_home(line_m: Array, stop_m: Array, home_y_m: float) -> Array:
    """From a row end stop_m (2,) on the left of line_m (N, 2), down beside the drawing towards the homing corner."""
    left_m = max(float(line_m[:, 0].min()) - PERIMETER_M, 0.0)
    return np.array([[left_m, stop_m[1]], [left_m, max(home_y_m, 0.0)]])


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
