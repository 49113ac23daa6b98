"""Grbl's look-ahead rules as a pure planner: when will the board pass each vertex of a polyline?

Method: the board limits the speed at a junction by its deviation rule (S. Jeon's article "Improving Grbl:
Cornering Algorithm", 2011), can always stop at the end of the blocks it holds, and runs each block as a
trapezoid of speed. Legend of suffixes: `_sq` is a speed squared [m2/s2].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sketch_cell.settings import Settings, setting

Array = NDArray[np.float64]

RAMP_PARTS = 4  # a ramp drawn as four straight pieces is off by less than 0.03 mm at 40 mm/s
STRAIGHT = 0.999999  # cosine beyond which Grbl takes a junction for straight on, or for a full reversal


@dataclass(frozen=True)
class MotionSettings(Settings):
    """What the board allows, both axes alike; Grbl's `$11`, `$110`, `$120` and its planner's depth."""

    feed_m_per_s: float = setting(0.04, "nominal speed of the stylus", unit="m/s", minimum=1e-4, maximum=0.5)
    max_rate_m_per_s: float = setting(
        0.09, "fastest speed of one axis", unit="m/s", minimum=1e-4, maximum=0.5
    )
    acceleration_m_per_s2: float = setting(
        0.5, "acceleration of one axis", unit="m/s2", minimum=0.01, maximum=20.0
    )
    junction_deviation_m: float = setting(
        1e-5, "how far a rounded corner may pass inside the vertex", unit="m", minimum=0.0, maximum=1e-3
    )
    step_m: float = setting(
        0.036 / 3200,
        "motor step the board rounds vertices to: small corners slow it down; 0 is none",
        unit="m",
        minimum=0.0,
        maximum=1e-3,
    )
    lookahead_blocks: int = setting(15, "blocks the board's planner holds", minimum=2, maximum=1000)


def draw_time_s(xy: ArrayLike, settings: MotionSettings | None = None) -> float:
    """Seconds the board takes from rest to rest along xy (N, 2) [m]; 0 for fewer than two points."""
    times = vertex_times_s(xy, settings)
    return float(times[-1]) if len(times) else 0.0


def vertex_times_s(
    xy: ArrayLike, settings: MotionSettings | None = None, feed_m_per_s: ArrayLike | None = None
) -> Array:
    """Times (N,) [s] at which the board passes the vertices of xy (N, 2) [m], from rest at 0 to rest.

    `feed_m_per_s` is the nominal speed of all segments or of each, (N-1,); the settings' feed by default.
    Vertices within one motor step of each other take no time. Raises ValueError for a wrong shape, or a speed
    that is not positive.
    """
    points, feed, settings = _checked(xy, settings, feed_m_per_s)
    length, blocks = _blocks(points, feed, settings)
    times = np.zeros(len(points))
    if blocks is not None:
        times[1:][length > 0] = blocks.phases_s().sum(axis=1)
    return np.cumsum(times)


def passage(
    xy: ArrayLike, settings: MotionSettings | None = None, feed_m_per_s: ArrayLike | None = None
) -> tuple[Array, Array]:
    """When the board is where along xy (N, 2) [m]: times (K,) [s] from 0, and places (K,) from 0 to N - 1.

    A place is the number of a vertex plus the share of the segment after it. Between the entries both grow evenly:
    ramps of speed come in `RAMP_PARTS` parts. Arguments and errors as for `vertex_times_s`.
    """
    points, feed, settings = _checked(xy, settings, feed_m_per_s)
    length, blocks = _blocks(points, feed, settings)
    if blocks is None:
        return np.zeros(min(len(points), 1)), np.zeros(min(len(points), 1))
    times, distances = blocks.course()
    first = np.flatnonzero(length > 0)
    ends = np.concatenate([[0.0], np.cumsum(blocks.phases_s().sum(axis=1))[:-1]])
    places = first[:, None] + np.minimum(distances / length[first, None], 1.0)
    return np.append(0.0, (ends[:, None] + times).ravel()), np.append(first[0], places.ravel())


class _Blocks(NamedTuple):
    """Trapezoids of speed, all (M,): length [m], acceleration [m/s2], entry, peak and exit speed [m/s]."""

    length: Array
    acceleration: Array
    entry: Array
    peak: Array
    exit: Array

    def phases_s(self) -> Array:
        """Seconds (M, 3) of speeding up, going evenly and slowing down."""
        up, down = (self.peak - self.entry) / self.acceleration, (self.peak - self.exit) / self.acceleration
        even = self.length - ((self.peak + self.entry) * up + (self.peak + self.exit) * down) / 2
        return np.stack([up, np.maximum(even, 0.0) / self.peak, down], axis=1)

    def course(self) -> tuple[Array, Array]:
        """Times [s] and distances [m] (M, 2 RAMP_PARTS + 1) within each block, its start left out."""
        up, even, down = self.phases_s().T
        share = np.arange(1, RAMP_PARTS + 1) / RAMP_PARTS
        rising, falling = up[:, None] * share, down[:, None] * (1 - share[::-1])
        a = self.acceleration[:, None]
        risen = self.entry[:, None] * rising + a / 2 * rising**2
        left = down[:, None] - falling
        fallen = self.length[:, None] - (self.exit[:, None] * left + a / 2 * left**2)
        times = np.column_stack([rising, (up + even)[:, None] + falling, up + even + down])
        return times, np.column_stack([risen, fallen, self.length])


def _checked(
    xy: ArrayLike, settings: MotionSettings | None, feed_m_per_s: ArrayLike | None
) -> tuple[Array, Array, MotionSettings]:
    """Points (N, 2) as the board rounds them, and the nominal feed (N-1,) of each segment."""
    settings = settings or MotionSettings()
    points = np.asarray(xy, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"a polyline has the shape (N, 2), not {points.shape}")
    if settings.step_m:
        points = np.round(points / settings.step_m) * settings.step_m
    feed = np.broadcast_to(
        np.asarray(settings.feed_m_per_s if feed_m_per_s is None else feed_m_per_s, dtype=np.float64),
        (max(len(points) - 1, 0),),
    )
    if (feed <= 0).any():
        raise ValueError("a feed must be positive")
    return points, feed, settings


def _blocks(points: Array, feed: Array, settings: MotionSettings) -> tuple[Array, _Blocks | None]:
    """Lengths (N-1,) [m] of all segments, and the speeds of those that move; None where none does."""
    steps = np.diff(points, axis=0)
    length = np.hypot(steps[:, 0], steps[:, 1])
    moving = length > 0
    if not moving.any():
        return length, None
    unit, long = steps[moving] / length[moving, None], length[moving]
    acceleration = per_axis_limit(unit, settings.acceleration_m_per_s2)
    nominal_sq = np.minimum(feed[moving], per_axis_limit(unit, settings.max_rate_m_per_s)) ** 2
    entry_sq = _entry_speeds_sq(unit, long, acceleration, nominal_sq, settings)
    exit_sq = np.append(entry_sq[1:], 0.0)
    peak_sq = np.minimum(nominal_sq, acceleration * long + (entry_sq + exit_sq) / 2)
    return length, _Blocks(long, acceleration, np.sqrt(entry_sq), np.sqrt(peak_sq), np.sqrt(exit_sq))


def per_axis_limit(unit: Array, limit: float) -> Array:
    """The largest magnitude (M,) along directions unit (M, 2) that keeps each axis within `limit`."""
    return np.asarray(limit / np.abs(unit).max(axis=1))


def junction_speeds_sq(unit: Array, acceleration: float, deviation: float) -> Array:
    """Highest squared speed (M-1,) at the junctions of directions unit (M, 2), by the deviation rule.

    Zero where the path doubles back, infinite where it goes straight on.
    """
    cosine = -(unit[:-1] * unit[1:]).sum(axis=1)
    change = unit[1:] - unit[:-1]
    size = np.hypot(change[:, 0], change[:, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        limit = per_axis_limit(change / size[:, None], acceleration)
        sine_half = np.sqrt((1 - cosine) / 2)
        speed_sq = limit * deviation * sine_half / (1 - sine_half)
    speed_sq[cosine > STRAIGHT] = 0.0
    speed_sq[cosine < -STRAIGHT] = np.inf
    return np.asarray(speed_sq)


def _entry_speeds_sq(
    unit: Array, length: Array, acceleration: Array, nominal_sq: Array, settings: MotionSettings
) -> Array:
    """Squared speed (M,) with which the board enters each block while its planner is kept full."""
    junction = junction_speeds_sq(unit, settings.acceleration_m_per_s2, settings.junction_deviation_m)
    highest = np.zeros(len(length))
    highest[1:] = np.minimum(junction, np.minimum(nominal_sq[1:], nominal_sq[:-1]))
    gain = 2 * acceleration * length
    reachable = _stoppable(highest, gain, settings.lookahead_blocks)
    return _accelerated(reachable, gain)


def _stoppable(highest_sq: Array, gain_sq: Array, blocks: int) -> Array:
    """Entry speeds from which the board can stop within the blocks it sees: one backward pass per block."""
    allowed = np.zeros_like(highest_sq)
    for _ in range(blocks):
        exit_sq = np.append(allowed[1:], 0.0)
        faster = np.minimum(highest_sq, exit_sq + gain_sq)
        if np.array_equal(faster, allowed):
            break
        allowed = faster
    return allowed


def _accelerated(allowed_sq: Array, gain_sq: Array) -> Array:
    """Entry speeds the board reaches from the block before: the forward pass, a running minimum.

    v[i+1] <= v[i] + gain[i] for all i means v - cumsum(gain) is bounded by its running minimum.
    """
    total = np.concatenate([[0.0], np.cumsum(gain_sq[:-1])])
    return np.asarray(np.maximum(np.minimum.accumulate(allowed_sq - total) + total, 0.0))
