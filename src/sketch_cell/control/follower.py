"""Turns a route into waypoints for the driver, a short horizon at a time, with the newest estimates in them.

u = r + d with d = s b / 2 - o per axis. At a reversal d takes its new value at once, because the stylus stands while
the play is taken up; between reversals a change of d is spread along the line, because every correction is ink. One
that goes against the pull would be swallowed by the play, so the play is taken up before it and again behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sketch_cell.control.play import CommandPath
from sketch_cell.control.polyline import distance_m
from sketch_cell.control.route import Route
from sketch_cell.machine.motion import MotionSettings, vertex_times_s
from sketch_cell.settings import Settings, setting

Array = NDArray[np.float64]

LONGEST_SENT_M = 1.5e-3  # a longer stroke is sent in parts, so that no correction waits for its end
LONGEST_PIECE_M = 1e-3  # while the offset moves, a segment is sent in pieces no longer than this
SLACK_M = 5e-4  # how much further along the line than it is long a stroke that somebody else sent may lead
WORTH_TAKE_UPS_M = 1.5e-4  # smaller corrections against the pull wait for the next reversal


@dataclass(frozen=True)
class FollowerSettings(Settings):
    """How the line is followed and corrected."""

    horizon_s: float = setting(
        0.2, "motion sent ahead of the board: a correction takes this long", unit="s", minimum=0.05, maximum=5
    )
    slew: float = setting(
        0.3, "how fast the offset moves, in metres per metre of line", minimum=0.001, maximum=1.0
    )
    dead_band_m: float = setting(
        0.00003, "corrections smaller than this wait: they would only kink the line", unit="m", minimum=0.0
    )
    take_up_share: float = setting(
        1.0, "share of the estimated backlash that is taken up", minimum=0.0, maximum=1.2
    )


class Follower:
    """Walks along a route once; `path` is the record of what the board was told: of everything sent, unless somebody
    else's commands are heard (`hear`)."""

    def __init__(
        self,
        route: Route,
        start_m: Array,
        offset_m: Array,
        backlash_m: Array,
        settings: FollowerSettings,
        motion: MotionSettings,
    ) -> None:
        """Begin at the motor position `start_m` (2,) [m] with estimates for the first metres."""
        self.route = route = route.cut(LONGEST_SENT_M)
        self._settings, self._feed = settings, motion.feed_m_per_s
        self.path = CommandPath((float(start_m[0]), float(start_m[1])))
        self._pull = route.side[0].copy()
        self._shift_m = self._wanted_m(np.asarray(offset_m), np.asarray(backlash_m))
        self._swing_m = np.zeros(2)  # across the play and back, while a correction goes against the pull
        self._slewing = False
        self._next = 0
        self._end_m, self._end_s = np.asarray(start_m, dtype=np.float64), 0.0
        self._hears = False
        nominal, vertex = route.with_take_ups(backlash_m)
        # When the board should be where along the line: twice at a vertex with a take-up, before and after it.
        self._plan_m = route.along_m[vertex]
        self._plan_s = vertex_times_s(np.vstack([start_m, nominal]), motion)[1:]
        self.planned_s = float(self._plan_s[-1])
        change = vertex[1:] != vertex[:-1]
        self._arrive_s = self._plan_s[np.concatenate([[True], change])]
        self._leave_s = self._plan_s[np.concatenate([change, [True]])]

    @property
    def finished(self) -> bool:
        """Whether the whole route has been sent."""
        return self._next >= len(self.route.xy_m)

    @property
    def begins(self) -> bool:
        """Whether nothing has been sent yet."""
        return self._end_s == 0.0

    @property
    def told_to_s(self) -> float:
        """End of what the board was told, on the driver's timeline [s]."""
        return self.path.time_s[-1]

    def due_s(self, along_m: float) -> float:
        """Planned time [s] at which the board passes a place along the line."""
        return float(np.interp(along_m, self._plan_m, self._plan_s))

    def _reached_s(self, timeline_s: float) -> float:
        """How much of the plan [s] the board has done at a place of the timeline, within take-ups too."""
        index, share = self.path.locate(timeline_s)
        along_m = self.path.along_m[index]
        vertex = int(np.searchsorted(self.route.along_m, along_m))
        takes_up = share > 0.0 and self.path.along_m[index + 1] == along_m == self.route.along_m[vertex]
        if not takes_up:
            return self.due_s(self.path.along(timeline_s))
        return float(self._arrive_s[vertex] + share * (self._leave_s[vertex] - self._arrive_s[vertex]))

    def distance_m(self, point_m: Array, along_m: float) -> float:
        """Distance [m] of a point (2,) from the part of the line within 2 mm of a place along it."""
        low, high = np.searchsorted(self.route.along_m, (along_m - 2e-3, along_m + 2e-3))
        return distance_m(np.asarray(point_m), self.route.xy_m[max(low - 1, 0) : high + 1])

    def send(self, timeline_s: float, offset_m: Array, backlash_m: Array) -> tuple[Array, Array]:
        """Waypoints that keep the horizon full: times (n,) [s] on the timeline and motor positions (n, 2) [m].

        `timeline_s` is how far the board has moved; the estimates are those to use from here on.
        """
        until_s = self._reached_s(timeline_s) + self._settings.horizon_s
        times: list[float] = []
        points: list[Array] = []
        places: list[float] = []
        previous, at_s = self._end_m, self._end_s
        while not self.finished:
            before, turns = max(self._next - 1, 0), self._turned().any()
            if self._next and (self._arrive_s if turns else self._leave_s)[before] >= until_s:
                break
            for u, along_m in (self._take_up if turns else self._stroke)(offset_m, backlash_m):
                length = float(np.hypot(*(u - previous)))
                if length < 1e-7:
                    continue
                at_s += length / self._feed
                times.append(at_s)
                points.append(u)
                places.append(along_m)
                previous = u
        self._end_m, self._end_s = previous, at_s
        sent = np.array(times), np.reshape(points, (-1, 2)), np.array(places)
        if not self._hears:
            self.path.append(*sent)
        return sent[0], sent[1]

    def hear(self, time_s: Array, motor_m: Array, offset_m: Array, backlash_m: Array) -> None:
        """Waypoints (n,) [s], (n, 2) [m] that somebody else sent: from now on `path` holds them, not what is sent here.

        Where along the line each belongs follows from its place and the present estimates.
        """
        self._hears = True
        for at_s, place_m in zip(time_s, motor_m, strict=True):
            if at_s <= self.told_to_s:
                continue
            way_m = float(np.hypot(*(place_m - (self.path.u_x[-1], self.path.u_y[-1]))))
            along_m = self._place_m(place_m, way_m, offset_m, backlash_m)
            self.path.append(np.array([at_s]), place_m[None], np.array([along_m]))

    def _place_m(self, motor_m: Array, way_m: float, offset_m: Array, backlash_m: Array) -> float:
        """Where along the line [m], at most a little more than `way_m` on, a motor position (2,) [m] belongs."""
        line, first = self.route, self.path.along_m[-1]
        last = min(first + 1.5 * way_m + SLACK_M, float(line.along_m[-1]))
        places = np.linspace(first, last, 200)
        segment = np.searchsorted(line.along_m[:-1], places, side="right")
        shift = 0.5 * self._settings.take_up_share * line.side[segment] * backlash_m - offset_m
        xy = np.column_stack([np.interp(places, line.along_m, line.xy_m[:, axis]) for axis in (0, 1)])
        return float(places[np.argmin(((xy + shift - motor_m) ** 2).sum(axis=1))])

    def _turned(self) -> NDArray[np.bool_]:
        """The axes (2,) that reverse at the vertex from which the next stroke begins."""
        return np.asarray(self.route.side[self._next] != self._pull)

    def _take_up(self, offset_m: Array, backlash_m: Array) -> list[tuple[Array, float]]:
        """Motor position and place of the take-up at a reversal."""
        turned, before = self._turned(), self._next - 1
        self._pull = self.route.side[self._next].copy()
        self._shift_m = np.where(turned, self._wanted_m(offset_m, backlash_m), self._shift_m)
        self._swing_m = np.where(turned, 0.0, self._swing_m)
        return [(self.route.xy_m[before] + self._shift_m + self._swing_m, self.route.along_m[before])]

    def _stroke(self, offset_m: Array, backlash_m: Array) -> list[tuple[Array, float]]:
        """Motor positions and places from the vertex before to the next, after a take-up there."""
        k, xy, along = self._next, self.route.xy_m, self.route.along_m
        before = max(k - 1, 0)
        stroke, length = xy[k] - xy[before], along[k] - along[before]
        most = self._settings.slew * length
        legs = []
        target = self._wanted_m(offset_m, backlash_m)
        if float(np.abs(target - self._shift_m).max()) > self._settings.dead_band_m:
            self._slewing = True
        if self._slewing or self._swing_m.any():
            target = self._swing(target, stroke, most, backlash_m)
            legs.append((xy[before] + self._shift_m + self._swing_m, along[before]))
        pieces = max(1, int(np.ceil(length / LONGEST_PIECE_M))) if self._slewing else 1
        # The last piece ends exactly on the vertex, by which `_reached_s` knows a take-up.
        for piece, along_m in enumerate(np.linspace(along[before], along[k], pieces + 1)[1:], start=1):
            if self._slewing:
                self._shift_m = _slewed(self._shift_m, target, most / pieces)
            legs.append((xy[before] + piece / pieces * stroke + self._shift_m + self._swing_m, along_m))
        self._slewing = self._slewing and not np.array_equal(self._shift_m, target)
        self._next += 1
        return legs

    def _swing(self, target: Array, stroke: Array, most: float, backlash_m: Array) -> Array:
        """Go to the other side of the play, or back, as the next stroke (2,) [m] needs it with at most `most` [m] of
        correction in it; returns `target` (2,) [m] without what is not worth that."""
        wanted = target - self._shift_m
        against = self._pull * (stroke + _slewed(self._shift_m, target, most) - self._shift_m) < 0
        is_worth = (np.abs(wanted) > np.minimum(WORTH_TAKE_UPS_M, backlash_m)) | (self._swing_m != 0)
        across = -self._settings.take_up_share * self._pull * backlash_m
        swings = against & is_worth & self._slewing
        self._swing_m = np.where(swings, np.where(self._swing_m != 0, self._swing_m, across), 0.0)
        return np.where(against & ~is_worth, self._shift_m, target)

    def _wanted_m(self, offset_m: Array, backlash_m: Array) -> Array:
        """The shift (2,) [m] that puts the stylus on the line while the play pulls as it does now."""
        wanted = 0.5 * self._settings.take_up_share * self._pull * backlash_m - offset_m
        return np.asarray(wanted, dtype=np.float64)


def _slewed(now: Array, target: Array, most: float) -> Array:
    """`now` moved towards `target` by at most `most`."""
    change = target - now
    size = float(np.hypot(change[0], change[1]))
    return target.copy() if size <= most else np.asarray(now + change * (most / size))
