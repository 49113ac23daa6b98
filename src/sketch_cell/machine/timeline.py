"""The job's timeline in the driver: which position belongs to which time, and how far the board has come.

The board tells its position only ten times a second and never its place in the job; matching the position with the
path that was sent gives the place. Units: metres and seconds.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

SAME_PLACE_M = (
    2e-5  # two machine steps: the board rounds to its own steps and we to hundredths of a millimetre
)


@dataclass(frozen=True)
class Match:
    """Where on the timeline a reported position lies, and how far it is off the path."""

    timeline_s: float
    deviation_m: float


class Timeline:
    """Waypoints in order of time, joined by straight moves at constant speed; old ones are dropped."""

    def __init__(self, start_s: float, position_m: tuple[float, float]) -> None:
        self._times = [start_s]
        self._points = [position_m]

    @property
    def start_s(self) -> float:
        return self._times[0]

    @property
    def end_s(self) -> float:
        return self._times[-1]

    @property
    def end_m(self) -> tuple[float, float]:
        return self._points[-1]

    def append(self, time_s: float, position_m: tuple[float, float]) -> None:
        """One more waypoint; the caller has checked that it is later than the last."""
        self._times.append(time_s)
        self._points.append(position_m)

    def forget_before(self, timeline_s: float) -> None:
        """Drop what the board has long passed."""
        keep = bisect_right(self._times, timeline_s) - 1
        if keep > 256:
            del self._times[:keep], self._points[:keep]

    def at(self, timeline_s: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Position [m] and velocity per second of timeline [m/s] at a time; at rest outside."""
        index = bisect_right(self._times, timeline_s)
        if index == 0:
            return self._points[0], (0.0, 0.0)
        if index == len(self._times):
            return self._points[-1], (0.0, 0.0)
        t0, t1 = self._times[index - 1], self._times[index]
        (x0, y0), (x1, y1) = self._points[index - 1], self._points[index]
        share = (timeline_s - t0) / (t1 - t0)
        velocity = ((x1 - x0) / (t1 - t0), (y1 - y0) / (t1 - t0))
        return (x0 + share * (x1 - x0), y0 + share * (y1 - y0)), velocity

    def match(self, position_m: Sequence[float], expected_s: float, window_s: float) -> Match:
        """The place on the path nearest to a reported position, among those within the window.

        Where the path passes several times within two steps of the position (a line drawn back over itself), the
        place nearest in time to the expected one wins.
        """
        first = max(bisect_right(self._times, expected_s - window_s) - 1, 0)
        last = min(bisect_right(self._times, expected_s + window_s), len(self._times) - 1)
        best = Match(self._times[first], math.dist(self._points[first], position_m))
        best_cost = self._cost(best, expected_s)
        for index in range(first, last):
            match = self._nearest(index, position_m, expected_s)
            cost = self._cost(match, expected_s)
            if cost < best_cost:
                best, best_cost = match, cost
        return best

    @staticmethod
    def _cost(match: Match, expected_s: float) -> tuple[float, float]:
        return max(match.deviation_m - SAME_PLACE_M, 0.0), abs(match.timeline_s - expected_s)

    def _nearest(self, index: int, position_m: Sequence[float], expected_s: float) -> Match:
        (x0, y0), (x1, y1) = self._points[index], self._points[index + 1]
        t0, t1 = self._times[index], self._times[index + 1]
        dx, dy = x1 - x0, y1 - y0
        length_sq = dx * dx + dy * dy
        if length_sq == 0.0:  # a rest: any moment of it fits
            distance = math.hypot(x0 - position_m[0], y0 - position_m[1])
            return Match(min(max(expected_s, t0), t1), distance)
        share = ((position_m[0] - x0) * dx + (position_m[1] - y0) * dy) / length_sq
        share = min(max(share, 0.0), 1.0)
        distance = math.hypot(x0 + share * dx - position_m[0], y0 + share * dy - position_m[1])
        return Match(t0 + share * (t1 - t0), distance)
