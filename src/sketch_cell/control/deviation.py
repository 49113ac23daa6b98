"""How far a drawn trace is from the planned line, both ways, and only where both mean the same place.

A neighbouring row is closer than a lost row is to its own, so distances are taken only within a window along the
line. Which part of the trace belongs to which part of the line is found by dynamic time warping (Sakoe and Chiba,
1978) on both curves smoothed to the level of rows, where even an erased wave leaves its row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sketch_cell.control.polyline import arc_length_m
from sketch_cell.errors import InputError

Array = NDArray[np.float64]

SPACING_M = 1e-4  # both curves are sampled this densely, so that every millimetre of ink counts the same
COARSE_M = 4e-3
SMOOTH_M = 6e-3
WINDOW_M = 5e-3


@dataclass(frozen=True)
class Deviation:
    """Distances between a trace and a line, in metres; the figures pool both directions.

    `trace_xy_m` (M, 2) is the part of the trace that draws the line, and `trace_along_m` (M,) where along the whole
    trace it is.
    """

    rms_m: float
    p95_m: float
    max_m: float
    trace_xy_m: Array
    trace_along_m: Array
    trace_to_line_m: Array
    line_xy_m: Array
    line_to_trace_m: Array


def deviation(trace_xy_m: Array, line_xy_m: Array, window_m: float = WINDOW_M) -> Deviation:
    """Compare a trace (M, 2) with a planned line (N, 2), both [m, screen], both in drawing order.

    A lead-in and a lead-out of the trace that do not belong to the line are left out. `window_m` is how far along
    the line on either side of the matching place a nearest point may lie. Raises `InputError` for curves of no length.
    """
    trace = resample(trace_xy_m, SPACING_M)
    line = resample(line_xy_m, SPACING_M)
    if len(trace) < 2 or len(line) < 2:
        raise InputError("a deviation needs a trace and a line of some length: nothing was drawn or planned.")
    place, first, last = _match(trace, line)
    last = max(last, first + 2)
    along = np.linspace(0.0, arc_length_m(trace_xy_m)[-1], len(trace))[first:last]
    trace, place = trace[first:last], place[first:last]
    reach = max(1, round(window_m / SPACING_M))
    to_line = distances_m(trace, line, _clip(place - reach, len(line)), _clip(place + reach, len(line)))
    low, high = _inverse(place, len(line), reach)
    to_trace = distances_m(line, trace, low, high)
    both = np.concatenate([to_line, to_trace])
    # Ink counts by its length, and so does ink that is missing.
    return Deviation(
        rms_m=float(np.sqrt(0.5 * np.mean(to_line**2) + 0.5 * np.mean(to_trace**2))),
        p95_m=float(np.percentile(both, 95)),
        max_m=float(both.max()),
        trace_xy_m=trace,
        trace_along_m=along,
        trace_to_line_m=to_line,
        line_xy_m=line,
        line_to_trace_m=to_trace,
    )


def resample(xy_m: Array, spacing_m: float) -> Array:
    """Points every `spacing_m` along a polyline (N, 2), its ends included; standstill leaves no points."""
    xy = np.asarray(xy_m, dtype=np.float64).reshape(-1, 2)
    along = arc_length_m(xy)
    if len(xy) < 2 or along[-1] <= 0:
        return xy[:1].copy()
    count = max(2, round(along[-1] / spacing_m) + 1)
    at = np.linspace(0.0, along[-1], count)
    return np.column_stack([np.interp(at, along, xy[:, axis]) for axis in range(2)])


def _match(trace: Array, line: Array) -> tuple[NDArray[np.int64], int, int]:
    """Index into `line` for every point of `trace`, and the part of the trace [first, last) that draws the line."""
    step = max(1, round(COARSE_M / SPACING_M))
    smooth = max(1, round(SMOOTH_M / SPACING_M))
    rows = _warp(_smoothed(trace, smooth)[::step], _smoothed(line, smooth)[::step])
    at, to = rows[:, 0] * step, rows[:, 1] * step
    first = _closest(trace, line[0], int(at[0]), smooth)
    last = _closest(trace, line[-1], int(at[-1]), smooth) + 1
    place = np.interp(np.arange(len(trace)), *_strictly(at.astype(float), to.astype(float)))
    return np.clip(np.round(place), 0, len(line) - 1).astype(np.int64), first, last


def _closest(trace: Array, point: Array, near: int, reach: int) -> int:
    """Index of the point of `trace` closest to `point`, at most `reach` away from index `near`."""
    low = max(0, near - reach)
    part = trace[low : near + reach + 1] - point
    return low + int(np.argmin((part**2).sum(axis=1)))


def _strictly(at: Array, to: Array) -> tuple[Array, Array]:
    """One `to` (the mean) per distinct `at`, so that it can be interpolated."""
    values, index, counts = np.unique(at, return_inverse=True, return_counts=True)
    return values, np.bincount(index, weights=to) / counts


def _smoothed(xy: Array, width: int) -> Array:
    """Moving average over `width` points; the ends repeat."""
    from scipy.ndimage import uniform_filter1d

    return np.asarray(uniform_filter1d(xy, width, axis=0, mode="nearest"))


def _clip(index: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return np.clip(index, 0, count - 1)


def _inverse(place: NDArray[np.int64], count: int, reach: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each point of the line, the first and last index of the trace whose place is within reach."""
    wanted = np.arange(count)
    low = np.searchsorted(place, wanted - reach, side="left")
    high = np.searchsorted(place, wanted + reach, side="right") - 1
    last = len(place) - 1
    low = np.clip(low, 0, last)
    return low, np.clip(np.maximum(high, low), 0, last)


def _warp(trace: Array, line: Array) -> NDArray[np.int64]:
    """Monotone pairs (K, 2) of indices that match all of `line` with a part of `trace`."""
    moves = _warp_costs(np.ascontiguousarray(trace), np.ascontiguousarray(line))
    return np.asarray(_walk_back(*moves))


@njit(cache=True)
def _warp_costs(trace, line):  # type: ignore[no-untyped-def]
    count, size = len(trace), len(line)
    moves = np.zeros((count, size), np.uint8)
    before = np.empty(size)
    now = np.empty(size)
    best, best_end = np.inf, 0
    for i in range(count):
        for j in range(size):
            cost = (trace[i, 0] - line[j, 0]) ** 2 + (trace[i, 1] - line[j, 1]) ** 2
            if j == 0:
                # the trace may begin to draw the line anywhere: what came before costs nothing
                stay = before[0] if i > 0 else np.inf
                now[0] = cost + min(stay, 0.0)
                moves[i, 0] = 0
                continue
            left = now[j - 1]
            up = before[j] if i > 0 else np.inf
            diagonal = before[j - 1] if i > 0 else np.inf
            if diagonal <= left and diagonal <= up:
                now[j], moves[i, j] = cost + diagonal, 1
            elif left <= up:
                now[j], moves[i, j] = cost + left, 2
            else:
                now[j], moves[i, j] = cost + up, 3
        if now[size - 1] <= best:
            best, best_end = now[size - 1], i
        before, now = now, before
    return moves, best_end


@njit(cache=True)
def _walk_back(moves, end):  # type: ignore[no-untyped-def]
    i, j = end, moves.shape[1] - 1
    pairs = np.empty((moves.shape[0] + moves.shape[1], 2), np.int64)
    count = 0
    while True:
        pairs[count, 0], pairs[count, 1] = i, j
        count += 1
        if j == 0:
            break
        move = moves[i, j]
        if move != 3:
            j -= 1
        if move != 2:
            i -= 1
    return pairs[:count][::-1]


@njit(cache=True)
def distances_m(points, curve, low, high):  # type: ignore[no-untyped-def]
    """Distance (M,) of each point (M, 2) to the polyline curve[low[i]..high[i]], all [m]."""
    out = np.empty(len(points))
    for i in range(len(points)):
        x, y = points[i, 0], points[i, 1]
        k = low[i]
        best = (curve[k, 0] - x) ** 2 + (curve[k, 1] - y) ** 2
        for k in range(low[i], high[i]):
            ax, ay = curve[k, 0], curve[k, 1]
            dx, dy = curve[k + 1, 0] - ax, curve[k + 1, 1] - ay
            length = dx * dx + dy * dy
            t = 0.0
            if length > 0:
                t = min(1.0, max(0.0, ((x - ax) * dx + (y - ay) * dy) / length))
            distance = (ax + t * dx - x) ** 2 + (ay + t * dy - y) ** 2
            if distance < best:
                best = distance
        out[i] = np.sqrt(best)
    return out
