"""The job's timeline in the driver: which position belongs to which time, and how far the board has come.

The board tells its position only ten times a second and never its place in the job; matching the position with the
path that was sent gives the place, and the board's own look-ahead rules foretell the motion until the next report.
Units: metres and seconds.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sketch_cell.machine.motion import MotionSettings, passage

Point = tuple[float, float]

# Two machine steps: the board rounds to its own steps and we to hundredths of a millimetre.
SAME_PLACE_M = 2e-5
# Vertices kept behind the board; looked at behind and ahead to foretell motion.
KEPT, CONTEXT, AHEAD = 256, 8, 80
WINDOW_S, LEAD_S = 0.3, 0.1


@dataclass(frozen=True)
class Match:
    """Where on the timeline a reported position lies, and how far it is off the path."""

    timeline_s: float
    deviation_m: float


class Timeline:
    """Waypoints in order of time, joined by straight moves at constant speed; old ones are dropped."""

    def __init__(self, start_s: float, position_m: Point) -> None:
        self.times = [start_s]
        self.points = [position_m]
        self.feeds = [0.0]

    @property
    def end_s(self) -> float:
        return self.times[-1]

    @property
    def end_m(self) -> Point:
        return self.points[-1]

    def append(self, time_s: float, position_m: Point, feed_m_per_s: float) -> None:
        """One more waypoint; the caller has checked that it is later than the last."""
        self.times.append(time_s)
        self.points.append(position_m)
        self.feeds.append(feed_m_per_s)

    def forget_before(self, timeline_s: float) -> None:
        """Drop what the board has long passed."""
        done = bisect_right(self.times, timeline_s) - 1 - CONTEXT
        if done > KEPT:
            del self.times[:done], self.points[:done], self.feeds[:done]

    def at(self, timeline_s: float) -> tuple[Point, Point]:
        """Position [m] and velocity per second of timeline [m/s] at a time; at rest outside."""
        index = bisect_right(self.times, timeline_s)
        if index == 0:
            return self.points[0], (0.0, 0.0)
        if index == len(self.times):
            return self.points[-1], (0.0, 0.0)
        t0, t1 = self.times[index - 1], self.times[index]
        (x0, y0), (x1, y1) = self.points[index - 1], self.points[index]
        share = (timeline_s - t0) / (t1 - t0)
        velocity = ((x1 - x0) / (t1 - t0), (y1 - y0) / (t1 - t0))
        return (x0 + share * (x1 - x0), y0 + share * (y1 - y0)), velocity

    def match(self, position_m: Sequence[float], expected_s: float, window_s: float) -> Match:
        """The place on the path nearest to a reported position, among those within the window.

        Where the path passes several times within two steps of the position (a line drawn back over itself), the
        place nearest in time to the expected one wins.
        """
        first = max(bisect_right(self.times, expected_s - window_s) - 1, 0)
        last = min(bisect_right(self.times, expected_s + window_s), len(self.times) - 1)
        best = Match(self.times[first], math.dist(self.points[first], position_m))
        best_cost = _cost(best, expected_s)
        for index in range(first, last):
            match = self._nearest(index, position_m, expected_s)
            cost = _cost(match, expected_s)
            if cost < best_cost:
                best, best_cost = match, cost
        return best

    def _nearest(self, index: int, position_m: Sequence[float], expected_s: float) -> Match:
        (x0, y0), (x1, y1) = self.points[index], self.points[index + 1]
        t0, t1 = self.times[index], self.times[index + 1]
        dx, dy = x1 - x0, y1 - y0
        length_sq = dx * dx + dy * dy
        if length_sq == 0.0:  # a rest: any moment of it fits
            distance = math.hypot(x0 - position_m[0], y0 - position_m[1])
            return Match(min(max(expected_s, t0), t1), distance)
        share = ((position_m[0] - x0) * dx + (position_m[1] - y0) * dy) / length_sq
        share = min(max(share, 0.0), 1.0)
        distance = math.hypot(x0 + share * dx - position_m[0], y0 + share * dy - position_m[1])
        return Match(t0 + share * (t1 - t0), distance)

    def foretold(self, timeline_s: float, limits: MotionSettings) -> tuple[list[float], list[float]]:
        """How the board moves around the given place by its own rules: seconds from there, and timeline times."""
        here = bisect_right(self.times, timeline_s)
        part = slice(max(here - CONTEXT, 0), here + AHEAD)
        times = self.times[part]
        if len(times) < 2:
            return [0.0] * len(times), times
        passed, places = passage(self.points[part], limits, np.maximum(self.feeds[part][1:], 1e-4))
        course = np.interp(places, np.arange(len(times)), times)
        return (passed - np.interp(timeline_s, course, passed)).tolist(), course.tolist()


def _cost(match: Match, expected_s: float) -> tuple[float, float]:
    return max(match.deviation_m - SAME_PLACE_M, 0.0), abs(match.timeline_s - expected_s)


class Progress:
    """How far the board has come along a timeline: what it reported, and what follows from it until now."""

    def __init__(self, timeline: Timeline, limits: MotionSettings, now_s: float) -> None:
        self.timeline, self._limits = timeline, limits
        self.place_s = timeline.end_s
        self.stamp_s = now_s
        self.largest_deviation_m = 0.0
        self._foretell()

    def at(self, now_s: float, sent_until_s: float) -> tuple[float, Point, Point]:
        """Place on the timeline [s], position [m] and velocity [m/s] estimated for now."""
        elapsed_s = max(now_s - self.stamp_s, 0.0)
        if elapsed_s > self._after_s[-1] - LEAD_S and self._foretold_s < self.timeline.end_s:
            self._foretell()
        place_s, rate = _interpolated(elapsed_s, self._after_s, self._times)
        if place_s >= sent_until_s:
            place_s, rate = sent_until_s, 0.0
        place_s = max(place_s, self.place_s)
        position, (vx, vy) = self.timeline.at(place_s)
        return place_s, position, (vx * rate, vy * rate)

    def observe(self, position_m: Sequence[float], stamp_s: float, sent_until_s: float) -> float:
        """Take in a reported position; its distance [m] from the path."""
        elapsed_s = max(stamp_s - self.stamp_s, 0.0)
        expected_s = self.at(stamp_s, sent_until_s)[0]
        match = self.timeline.match(position_m, expected_s, WINDOW_S + elapsed_s)
        self.largest_deviation_m = max(self.largest_deviation_m, match.deviation_m)
        self.place_s = min(max(match.timeline_s, self.place_s), sent_until_s)
        self.stamp_s = max(stamp_s, self.stamp_s)
        self.timeline.forget_before(self.place_s)
        self._foretell()
        return match.deviation_m

    def arrived(self, sent_until_s: float, now_s: float) -> None:
        """The board stands at the end of what was sent."""
        self.place_s, self.stamp_s = sent_until_s, now_s
        self._foretell()

    def _foretell(self) -> None:
        self._after_s, self._times = self.timeline.foretold(self.place_s, self._limits)
        self._foretold_s = self._times[-1]


def _interpolated(x: float, xs: list[float], ys: list[float]) -> tuple[float, float]:
    """Value and slope at x of the line through (xs, ys); constant outside."""
    index = bisect_right(xs, x)
    if index == 0:
        return ys[0], 0.0
    if index == len(xs):
        return ys[-1], 0.0
    slope = (ys[index] - ys[index - 1]) / (xs[index] - xs[index - 1])
    return ys[index - 1] + slope * (x - xs[index - 1]), slope
