"""What nodes computed again from a recording, held against what they said when it was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message
from trajectory_msgs.msg import JointTrajectory

from sketch_cell.machine.knobs import screen_from_knobs

Array = NDArray[np.float64]

WINDOW_S, STEP_S = 0.25, 0.0005


@dataclass(frozen=True)
class Likeness:
    """How many values the recording holds, how many came again, and how far these are apart [m].

    Tips are the same one when they are of the same exposure; a waypoint is held against the nearest place that the
    recorded motion comes through within `WINDOW_S` of its time: corrections also shift the time.
    """

    recorded: int
    again: int
    apart_median_m: float
    apart_p95_m: float

    def __str__(self) -> str:
        median_mm, p95_mm = self.apart_median_m * 1e3, self.apart_p95_m * 1e3
        return f"{self.recorded} recorded, {self.again} again; apart {median_mm:.3f} mm, p95 {p95_mm:.3f} mm"


def job_state(data: bytes) -> str:
    """The state in a serialised job/status."""
    return _job_values(deserialize_message(data, DiagnosticStatus)).get("state", "")


def job_words(data: bytes) -> str:
    """State and progress in a serialised job/status, with the reason where there is one."""
    status = deserialize_message(data, DiagnosticStatus)
    values = _job_values(status)
    state, progress = values.get("state", ""), float(values.get("progress") or 0.0)
    reason = f" ({status.message})" if status.message not in ("", state) else ""
    return f"{state} at {100 * progress:.0f} %{reason}"


def _job_values(status: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}


def tips_alike(recorded: Sequence[bytes], again: Sequence[bytes]) -> Likeness:
    """From serialised PoseWithCovarianceStamped messages."""
    before, now = _tips(recorded), _tips(again)
    common = sorted(before.keys() & now.keys())
    apart = [float(np.hypot(*(before[stamp] - now[stamp]))) for stamp in common]
    return _likeness(len(before), len(now), np.array(apart))


def waypoints_alike(recorded: Sequence[bytes], again: Sequence[bytes]) -> Likeness:
    """From serialised JointTrajectory messages: time from start [s] and knob angles of each point."""
    (times_s, places_m), (times_again_s, again_m) = _waypoints(recorded), _waypoints(again)
    if not len(times_s) or not len(times_again_s):
        return _likeness(len(times_s), len(times_again_s), np.zeros(0))
    even_s = np.arange(times_s[0], times_s[-1] + STEP_S, STEP_S)
    motion_m = np.column_stack([np.interp(even_s, times_s, axis) for axis in places_m.T])
    first = np.searchsorted(even_s, np.clip(times_again_s - WINDOW_S, None, even_s[-1]))
    last = np.searchsorted(even_s, times_again_s + WINDOW_S) + 1
    apart = [
        np.hypot(*(motion_m[a:b] - place).T).min() for a, b, place in zip(first, last, again_m, strict=True)
    ]
    return _likeness(len(times_s), len(times_again_s), np.array(apart))


def _likeness(recorded: int, again: int, apart_m: Array) -> Likeness:
    if not len(apart_m):
        return Likeness(recorded, again, float("nan"), float("nan"))
    return Likeness(recorded, again, *np.percentile(apart_m, [50, 95]).tolist())


def _tips(messages: Sequence[bytes]) -> dict[tuple[int, int], Array]:
    """Exposure (s, ns) -> place (2,) [m]."""
    found = {}
    for data in messages:
        tip = deserialize_message(data, PoseWithCovarianceStamped)
        place, stamp = tip.pose.pose.position, tip.header.stamp
        found[stamp.sec, stamp.nanosec] = np.array([place.x, place.y])
    return found


def _waypoints(messages: Sequence[bytes]) -> tuple[Array, Array]:
    """Times (N,) [s] and places (N, 2) [m, screen]."""
    points = [point for data in messages for point in deserialize_message(data, JointTrajectory).points]
    times = [point.time_from_start.sec + point.time_from_start.nanosec * 1e-9 for point in points]
    angles = np.array([list(point.positions) for point in points], np.float64).reshape(-1, 2)
    return np.array(times, np.float64), screen_from_knobs(angles)
