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
    left, right = _at_sides(line_m)
    drawn = np.flatnonzero((left | right) & (along_m <= stopped_m))
    last = int(drawn[-1]) if len(drawn) else 0
    x, y = line_m[last]
    left_m, right_m, below_m = _perimeter_m(line_m)
    around = [[left_m, start_m[1]], [left_m, y]]
    if not left[last]:
        around = [[start_m[0], below_m], [right_m, below_m], [right_m, y]]
    return np.vstack([start_m, np.maximum(around, 0.0), [x, y]]), float(along_m[last])


def row_ends_m(line_m: Array, along_m: Array, *, both_sides: bool) -> list[float]:
    """Places [m] along line_m (N, 2) where one row ends and the next begins, the line's ends left out.

    Those on the left are every second one; `both_sides` gives all.
    """
    left, right = _at_sides(line_m)
    places = _middles_m(left, along_m) + (_middles_m(right, along_m) if both_sides else [])
    return sorted(place for place in places if 0.05 < place < along_m[-1] - 0.05)


def way_home(line_m: Array, stop_m: Array, home_y_m: float) -> Array:
    """From a row end stop_m (2,) of line_m (N, 2) around the drawing towards the homing corner at the lower left."""
    left_m, right_m, below_m = _perimeter_m(line_m)
    if stop_m[0] - left_m < right_m - stop_m[0]:
        return np.array([[left_m, stop_m[1]], [left_m, max(home_y_m, 0.0)]])
    return np.maximum([[right_m, stop_m[1]], [right_m, below_m], [left_m, below_m]], 0.0)


def _perimeter_m(line_m: Array) -> tuple[float, float, float]:
    """Left, right and lower side [m] of the way around a drawing."""
    low, high = line_m.min(axis=0), line_m.max(axis=0)
    return max(low[0] - PERIMETER_M, 0.0), high[0] + PERIMETER_M, max(low[1] - PERIMETER_M, 0.0)


def _at_sides(line_m: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which vertices (N,) are at the left and at the right side of the drawing."""
    x = line_m[:, 0]
    return x - x.min() < ROW_END_M, x.max() - x < ROW_END_M


def _middles_m(chosen: NDArray[np.bool_], along_m: Array) -> list[float]:
    """The mean place [m] of each run of chosen vertices."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(int)))
    return [float(along_m[a:b].mean()) for a, b in zip(edges[0::2], edges[1::2], strict=True)]


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
