"""A planned line prepared for drawing: fewer vertices, and for each segment which side of the play pulls each axis."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.control.polyline import arc_length_m
from sketch_cell.errors import InputError

Array = NDArray[np.float64]

MOST_M = 2.0  # the longest axis that a board may have (`BoardSettings`)
SMALLEST_M = 1e-6  # what is smaller than this is a point


@dataclass(frozen=True)
class Route:
    """Vertices xy_m (N, 2), arc length along_m (N,), and side (N, 2) in {-1, +1}: the pull on the segment that
    ends at each vertex (that of the first vertex is the pull with which the route begins)."""

    xy_m: Array
    along_m: Array
    side: Array

    @property
    def reversals(self) -> NDArray[np.int64]:
        """How often each axis (2,) reverses."""
        return np.asarray(np.count_nonzero(np.diff(self.side, axis=0), axis=0))

    def tail(self, along_m: float) -> Array:
        """The vertices (K, 2) [m] from a place along the route to its end; at least the last two points differ."""
        along_m = min(max(along_m, 0.0), float(self.along_m[-1]) - 1e-6)
        first = [float(np.interp(along_m, self.along_m, self.xy_m[:, axis])) for axis in (0, 1)]
        return np.vstack([first, self.xy_m[self.along_m > along_m]])

    def part(self, from_m: float, to_m: float) -> Array:
        """The vertices (K, 2) [m] between two places along the route, both places included."""
        last = [float(np.interp(to_m, self.along_m, self.xy_m[:, axis])) for axis in (0, 1)]
        rest = self.tail(from_m)
        return np.vstack([rest[: -np.count_nonzero(self.along_m >= to_m)], last])

    def cut(self, longest_m: float) -> Route:
        """The same route with vertices added, so that no segment is longer than `longest_m`."""
        pieces = np.maximum(np.ceil(np.diff(self.along_m) / longest_m), 1).astype(np.int64)
        begin = np.repeat(np.arange(len(pieces)), pieces)
        number = np.arange(len(begin)) - np.repeat(np.cumsum(pieces) - pieces, pieces) + 1
        share = number / pieces[begin]
        xy = self.xy_m[begin] + share[:, None] * np.diff(self.xy_m, axis=0)[begin]
        along = self.along_m[begin] + share * np.diff(self.along_m)[begin]
        return Route(
            np.vstack([self.xy_m[:1], xy]),
            np.concatenate([self.along_m[:1], along]),
            np.vstack([self.side[:1], self.side[begin + 1]]),
        )

    def nearest_m(self, point_m: Array, from_m: float, to_m: float) -> float:
        """The place [m] along the route between two places that is closest to a point (2,)."""
        places = np.linspace(max(from_m, 0.0), min(to_m, float(self.along_m[-1])), 2000)
        xy = np.column_stack([np.interp(places, self.along_m, self.xy_m[:, axis]) for axis in (0, 1)])
        return float(places[np.argmin(((xy - point_m) ** 2).sum(axis=1))])

    def with_take_ups(self, backlash_m: Array) -> tuple[Array, NDArray[np.int64]]:
        """Motor positions (M, 2) that draw the route on a machine with this backlash, and the vertex of each (M,).

        At a vertex where an axis reverses the motor first takes up the play while the stylus stands:
        u = r + s b / 2 (`grbl.md`).
        """
        turned = np.zeros(len(self.xy_m), bool)
        turned[:-1] = np.any(np.diff(self.side, axis=0) != 0, axis=1)
        vertex = np.repeat(np.arange(len(self.xy_m)), 1 + turned)
        pull = self.side[vertex]
        second = np.concatenate([[False], vertex[1:] == vertex[:-1]])
        pull[second] = self.side[vertex[second] + 1]
        return self.xy_m[vertex] + 0.5 * pull * backlash_m, vertex


def route(line_m: Array, tolerance_m: float, smallest_reversal_m: float) -> Route:
    """Simplify a line (N, 2) [m, screen] to `tolerance_m` (Douglas-Peucker) and find its reversals.

    An axis that goes back by less than `smallest_reversal_m` is not worth a take-up: its play swallows the wiggle.
    Raises `InputError` for a line with fewer than two distinct, finite points.
    """
    line = np.asarray(line_m, dtype=np.float64)
    if line.ndim != 2 or line.shape[1] != 2 or not np.isfinite(line).all():
        raise InputError("the line is not a list of finite points (x, y): plan it anew.")
    if line.size and np.abs(line).max() > MOST_M:
        raise InputError(
            f"the line reaches {np.abs(line).max():.3g} m away, and a screen {MOST_M:g} m at most: give it in metres."
        )
    distinct = np.ones(len(line), bool)
    distinct[1:] = np.any(np.diff(line, axis=0) != 0, axis=1)
    line = line[distinct]
    if len(line) < 2 or np.ptp(line, axis=0).max() < SMALLEST_M:
        raise InputError("the line has fewer than two distinct points: there is nothing to draw.")
    xy = simplified(line, tolerance_m)
    side = np.column_stack([_sides(xy[:, a].tolist(), smallest_reversal_m) for a in (0, 1)])
    return Route(xy, arc_length_m(xy), side)


def simplified(line_m: Array, tolerance_m: float) -> Array:
    """The vertices of a line (N, 2) that keep it within `tolerance_m` of its former course; both ends stay."""
    if tolerance_m <= 0 or len(line_m) < 3:
        return line_m.copy()
    scale = 1e3  # OpenCV computes in float32: millimetres from the line's middle lose nothing that matters
    middle = line_m.mean(axis=0)
    points = np.asarray((line_m - middle) * scale).astype(np.float32)
    kept = _kept(points, tolerance_m * scale)
    return np.asarray(kept / scale + middle, dtype=np.float64)


def _kept(points: NDArray[np.float32], tolerance: float) -> NDArray[np.float32]:
    """The points (K, 2) of a line (N, 2) that Douglas and Peucker keep."""
    away = np.hypot(*(points - points[0]).T)
    far = int(away.argmax())
    if away[-1] > tolerance or far == 0:
        return np.asarray(cv2.approxPolyDP(points[:, None], tolerance, False))[:, 0]
    # OpenCV takes a line that ends where it began for a polygon and drops its end: so there and back apart.
    out, back = (
        cv2.approxPolyDP(way[:, None], tolerance, False)[:, 0] for way in (points[: far + 1], points[far:])
    )
    return np.vstack([out, back[1:]])


def _sides(values: list[float], threshold: float) -> Array:
    """Direction (N,) of one axis on the segment that ends at each vertex, small wiggles ignored."""
    side = np.zeros(len(values))
    direction = 0.0
    extreme, at = values[0], 0
    low, high = values[0], values[0]
    for i in range(1, len(values)):
        value = values[i]
        if direction == 0.0:
            low, high = min(low, value), max(high, value)
            if high - low >= threshold:
                direction = 1.0 if value == high else -1.0
                extreme, at = value, i
                side[: i + 1] = direction
            continue
        if (value - extreme) * direction >= 0:
            extreme, at = value, i
        elif abs(value - extreme) >= threshold:
            direction = -direction
            side[at + 1 : i + 1] = direction
            extreme, at = value, i
        side[i] = direction
    if direction == 0.0:
        side[:] = 1.0
    return side
