"""The commanded motion as the tracker knows it."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_KEPT_S = 4.0
_AHEAD_S = 0.25
_LEAP_M, _SLOWEST_M_PER_S = 0.003, 0.02


class CommandedMotion:
    """Motor positions [m, frame screen] over time, from samples of position and velocity.

    Between two samples the path is the two straight pieces that leave with the first velocity and arrive
    with the second, so that corners of the path stay sharp at slow sample rates.
    """

    def __init__(self) -> None:
        self._points: deque[tuple[float, float, float]] = deque()
        self._velocity = np.zeros(2)

    def note(self, stamp_s: float, position_m: Floats, velocity_m_per_s: Floats) -> None:
        """Add a sample; one that is not later than the last replaces it."""
        position, velocity = np.asarray(position_m, float), np.asarray(velocity_m_per_s, float)
        while self._points and self._points[-1][0] >= stamp_s:
            self._points.pop()
        if self._points and self._leapt(stamp_s, position, velocity):
            self._points.clear()
        if self._points:
            corner = self._corner(stamp_s, position, velocity)
            if corner is not None:
                self._points.append(corner)
        self._points.append((stamp_s, float(position[0]), float(position[1])))
        self._velocity = velocity
        while self._points[0][0] < stamp_s - _KEPT_S:
            self._points.popleft()

    def __bool__(self) -> bool:
        return bool(self._points)

    def covers(self, time_s: float) -> bool:
        """Whether the position at time_s follows from the samples, or from going on for a moment."""
        return bool(self._points) and self._points[0][0] <= time_s <= self._points[-1][0] + _AHEAD_S

    def stands(self, time_s: float, for_s: float) -> bool:
        """Whether no motion is known of in the last `for_s` before time_s, for all of which samples are there."""
        if not (self.covers(time_s) and self.covers(time_s - for_s)) or self._velocity.any():
            return False
        places = self._points_from(time_s - for_s)[:, 1:]
        return bool((places == places[0]).all())

    def path(self, start_s: float, end_s: float) -> Floats:
        """Motor positions (N, 2) [m] from start_s to end_s, with every corner between."""
        points = self._points_from(start_s)
        ahead = points[-1] + np.array([_AHEAD_S, *(self._velocity * _AHEAD_S)])
        points = np.vstack([points, ahead])
        stamps = points[:, 0]
        inner = stamps[(stamps > start_s) & (stamps < end_s)]
        times = np.concatenate([[start_s], inner, [end_s]])
        return np.stack([np.interp(times, stamps, points[:, i]) for i in (1, 2)], axis=1)

    def _points_from(self, start_s: float) -> Floats:
        """The points (N, 3) of time and place from the last one at or before start_s."""
        recent = []
        for point in reversed(self._points):
            recent.append(point)
            if point[0] <= start_s:
                break
        return np.array(recent[::-1])

    def _leapt(self, stamp_s: float, position: Floats, velocity: Floats) -> bool:
        """Whether the position changed by more than any motion: homing gave it a new origin."""
        time_s, x, y = self._points[-1]
        way = np.abs(position - (x, y))
        fastest = np.maximum(np.abs(self._velocity), np.abs(velocity)).max() + _SLOWEST_M_PER_S
        return bool(way.max() > _LEAP_M + fastest * (stamp_s - time_s))

    def _corner(
        self, stamp_s: float, position: Floats, velocity: Floats
    ) -> tuple[float, float, float] | None:
        """Where a path that leaves the last sample and arrives at the new one turns."""
        time_s, x, y = self._points[-1]
        duration_s = stamp_s - time_s
        change = self._velocity - velocity
        if duration_s > 0.5 or float(change @ change) < 1e-8:
            return None
        travel = position - (x, y)
        turn_s = float((travel - velocity * duration_s) @ change / (change @ change))
        if not 0.02 * duration_s < turn_s < 0.98 * duration_s:
            return None
        # Where the two pieces do not meet (the speed changed gradually), the gap is shared along the way.
        gap = travel - self._velocity * turn_s - velocity * (duration_s - turn_s)
        corner = np.array([x, y]) + self._velocity * turn_s + gap * turn_s / duration_s
        return time_s + turn_s, float(corner[0]), float(corner[1])
