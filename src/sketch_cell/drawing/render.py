"""Exact rasteriser: the area of ink that a round pen leaves along any polyline."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sketch_cell.drawing.simplify import simplify

FloatImage = NDArray[np.float32]
Array = NDArray[np.float64]

SUBCOLUMNS = 4  # lines of sight per pixel; along each of them the ink is exact


def render_ink(
    xy: ArrayLike, *, width_m: float, height_m: float, line_width_m: float, pixels_per_m: float
) -> FloatImage:
    """Ink coverage 0..1, float32 (rows, columns), of polyline xy (N, 2) [m, frame screen]; row 0 is the top.

    Ink is every spot no farther than half the line width from the line. Each segment's ink is convex, so it
    cuts a vertical line of sight in one interval; the union of the intervals is measured exactly. Ink beyond
    the glass (0..width, 0..height) is cut off.
    """
    rows, columns = max(1, round(height_m * pixels_per_m)), max(1, round(width_m * pixels_per_m))
    points = simplify(xy, 0.02 / pixels_per_m)
    if len(points) == 1:
        points = np.repeat(points, 2, axis=0)
    pixels = pixels_from_screen(points, rows, pixels_per_m) * np.array([SUBCOLUMNS, 1.0])
    radius = line_width_m * pixels_per_m / 2
    column, low, high = _intervals(pixels, radius, columns * SUBCOLUMNS)
    column, low, high = _united(column, np.clip(low, 0, rows), np.clip(high, 0, rows), rows)
    fine = _area(column // SUBCOLUMNS, low, high, rows, columns)
    return np.clip(fine / SUBCOLUMNS, 0, 1).astype(np.float32)


def pixels_from_screen(xy: Array, rows: int, pixels_per_m: float) -> Array:
    """Picture positions (N, 2) as (x, y) in pixels from the upper left corner, of screen points [m]."""
    return np.stack([xy[:, 0] * pixels_per_m, rows - xy[:, 1] * pixels_per_m], axis=1)


def _intervals(points: Array, radius: float, columns: int) -> tuple[NDArray[np.int64], Array, Array]:
    """Column, low and high end of the ink of every segment on every line of sight it meets.

    points (N, 2): x in lines of sight (SUBCOLUMNS per pixel), y in pixels; radius in pixels.
    """
    swap = points[:-1, 0] > points[1:, 0]
    left = np.where(swap[:, None], points[1:], points[:-1])
    right = np.where(swap[:, None], points[:-1], points[1:])
    reach = radius * SUBCOLUMNS
    first = np.clip(np.ceil(left[:, 0] - reach - 0.5), 0, columns).astype(np.int64)
    last = np.clip(np.floor(right[:, 0] + reach - 0.5), -1, columns - 1).astype(np.int64)
    count = np.maximum(last - first + 1, 0)
    owner = np.repeat(np.arange(len(left)), count)
    column = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count) + first[owner]
    to_pixels = np.array([1 / SUBCOLUMNS, 1.0])
    low, high = _capsule((column + 0.5) / SUBCOLUMNS, left * to_pixels, right * to_pixels, radius, owner)
    return column, low, high


def _capsule(
    x: Array, left: Array, right: Array, radius: float, owner: NDArray[np.int64]
) -> tuple[Array, Array]:
    """Where the line of sight at x cuts the capsule around its owner's segment left-right: (low, high)."""
    along = right - left
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-12)
    shift = (radius * along[:, 1] / length)[owner]
    rise = (radius * along[:, 0] / length)[owner]
    slope = (along[:, 1] / np.maximum(along[:, 0], 1e-12))[owner]
    left, right = left[owner], right[owner]
    start = np.sqrt(np.maximum(radius**2 - (x - left[:, 0]) ** 2, 0))
    end = np.sqrt(np.maximum(radius**2 - (x - right[:, 0]) ** 2, 0))
    ends = []
    for sign in (-1.0, 1.0):
        begin, finish = left[:, 0] - sign * shift, right[:, 0] - sign * shift
        straight = left[:, 1] + sign * rise + (x - begin) * slope
        curve = np.where(x <= begin, left[:, 1] + sign * start, right[:, 1] + sign * end)
        ends.append(np.where((x > begin) & (x < finish), straight, curve))
    return ends[0], ends[1]


def _united(
    column: NDArray[np.int64], low: Array, high: Array, rows: int
) -> tuple[NDArray[np.int64], Array, Array]:
    """The same ink with every overlap within a column counted once: disjoint intervals, possibly empty."""
    lift = column * (rows + 1.0)
    order = np.argsort(lift + low)
    lift, low, high = lift[order], low[order], high[order]
    reached = np.maximum.accumulate(lift + high) - lift
    low[1:] = np.maximum(low[1:], np.where(lift[1:] == lift[:-1], reached[:-1], 0.0))
    return column[order], low, np.maximum(high, low)


def _area(column: NDArray[np.int64], low: Array, high: Array, rows: int, columns: int) -> Array:
    """Length of ink per pixel (rows, columns), summed over disjoint intervals low..high within columns."""
    return _beyond(column, low, rows, columns) - _beyond(column, high, rows, columns)


def _beyond(column: NDArray[np.int64], edge: Array, rows: int, columns: int) -> Array:
    """How much of each pixel (rows, columns) lies beyond the edges, one edge (0..rows) per entry of `column`."""
    whole = edge.astype(np.int64)
    part = edge - whole
    index = whole * columns + column
    size = (rows + 2) * columns
    steps = np.bincount(index, 1 - part, size) + np.bincount(index + columns, part, size)
    return np.cumsum(steps.reshape(-1, columns), axis=0)[:rows]
