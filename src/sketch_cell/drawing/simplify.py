"""Fewer commands for the same line: Ramer-Douglas-Peucker over whole arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

COMMAND_TOLERANCE_M = 0.00003
STRETCH = 384  # points


def simplify(xy: ArrayLike, tolerance_m: float = COMMAND_TOLERANCE_M) -> Array:
    """The vertices of polyline xy (N, 2) [m] that matter: no point of it is farther than the tolerance away.

    Source: Ramer 1972, Douglas and Peucker 1973, worked level by level so that each level is a few array
    operations. The first and the last point stay; the result is a subset of the input's points, in order.
    """
    points = np.asarray(xy, float)
    if len(points) < 3:
        return points.copy()
    keep = np.zeros(len(points), bool)
    # A long line halves badly (a spiral takes a hundred levels), so it is first cut into equal stretches.
    anchors = np.arange(0, len(points) - 1, STRETCH)
    keep[anchors] = keep[-1] = True
    first, last = anchors, np.append(anchors[1:], len(points) - 1)
    first, last = first[last - first > 1], last[last - first > 1]
    while len(first):
        farthest, distance = _farthest(points, first, last)
        split = distance > tolerance_m
        farthest = farthest[split]
        keep[farthest] = True
        first, last = (
            np.stack([first[split], farthest], axis=1).ravel(),
            np.stack([farthest, last[split]], axis=1).ravel(),
        )
        long_enough = last - first > 1
        first, last = first[long_enough], last[long_enough]
    _drop_needless(points, keep, anchors[1:], tolerance_m)
    return points[keep]


def _drop_needless(
    points: Array, keep: NDArray[np.bool_], anchors: NDArray[np.int64], tolerance_m: float
) -> None:
    """Give up every second cut, then every other, where the neighbours' chord is close enough; in place."""
    for some in (anchors[::2], anchors[1::2]):
        if len(some) == 0:
            continue
        kept = np.flatnonzero(keep)
        place = np.searchsorted(kept, some)
        _, distance = _farthest(points, kept[place - 1], kept[place + 1])
        keep[some[distance <= tolerance_m]] = False


def _farthest(
    points: Array, first: NDArray[np.int64], last: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Array]:
    """For each span of points, the inner point farthest from the chord: its index and its distance."""
    count = last - first - 1
    offset = np.cumsum(count) - count
    owner = np.repeat(np.arange(len(first)), count)
    index = np.arange(len(owner)) - offset[owner] + first[owner] + 1
    chord = points[last] - points[first]
    length_sq = np.maximum((chord**2).sum(axis=1), 1e-300)
    away = points[index] - points[first][owner]
    along = np.clip((away * chord[owner]).sum(axis=1) / length_sq[owner], 0, 1)
    distance_sq = ((away - along[:, None] * chord[owner]) ** 2).sum(axis=1)
    peak = np.maximum.reduceat(distance_sq, offset)
    at_peak = np.flatnonzero(distance_sq == peak[owner])
    _, earliest = np.unique(owner[at_peak], return_index=True)
    return index[at_peak[earliest]], np.sqrt(peak)
