"""What a list of waypoints must be before the driver takes it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sketch_cell.errors import MachineError
from sketch_cell.machine.board import BoardSettings
from sketch_cell.machine.driver_types import DriverSettings

Array = NDArray[np.float64]

PRINTED_M = 1e-5  # lines are written in hundredths of a millimetre


def checked_waypoints(time_s: ArrayLike, position_m: ArrayLike) -> tuple[Array, Array]:
    """Times (N,) [s] and points (N, 2) [m] as arrays; raises `MachineError` where they make no sense."""
    times = np.atleast_1d(np.asarray(time_s, dtype=np.float64))
    points = np.asarray(position_m, dtype=np.float64).reshape(-1, 2)
    if times.ndim != 1 or len(times) != len(points):
        raise MachineError(f"{times.size} times were given for {len(points)} waypoints; each needs its own.")
    if not (np.isfinite(times).all() and np.isfinite(points).all()):
        raise MachineError("A waypoint is not a finite number. Nothing was queued.")
    if (times[1:] <= times[:-1]).any():
        raise MachineError("The waypoints' times do not increase. Append in order of time.")
    return times, points


def checked_feeds(feed_m_per_s: ArrayLike | None, count: int) -> list[float] | None:
    """One feed [m/s] per waypoint, or None to take distance over time; raises `MachineError`."""
    if feed_m_per_s is None:
        return None
    feeds = np.asarray(feed_m_per_s, dtype=np.float64)
    if feeds.ndim == 0:
        feeds = np.full(count, float(feeds))
    if feeds.shape != (count,):
        raise MachineError(f"{feeds.size} feeds were given for {count} waypoints; give one, or one for each.")
    if not (np.isfinite(feeds) & (feeds > 0)).all():
        raise MachineError("A feed is not a positive number. Nothing was queued.")
    return [float(feed) for feed in feeds]


def reach_m(board: BoardSettings, settings: DriverSettings) -> tuple[Array, Array]:
    """Lowest and highest (x, y) [m, frame screen] that are surely within the board's soft limits after homing.

    The machine stands `pull_off_m` from the end of its travel at the corner of the switches then, but on a whole step.
    """
    home = np.array([settings.home_x_m, settings.home_y_m])
    travel = np.array([board.travel_x_m, board.travel_y_m])
    low_end = np.array(["left" in board.homing_corner, "lower" in board.homing_corner])
    lowest = np.where(low_end, home - board.pull_off_m, home + board.pull_off_m - travel)
    within_m = board.step_m + PRINTED_M
    return lowest + within_m, lowest + travel - within_m


def check_reach(points: Array, reach: tuple[Array, Array]) -> None:
    """Raise `MachineError` where one of points (N, 2) [m] is not within the lowest and highest of `reach`."""
    lowest, highest = reach
    outside = (points < lowest) | (points > highest)
    if outside.any():
        x, y = points[outside.any(axis=1)][0] * 1000
        raise MachineError(
            f"The point ({x:.2f}, {y:.2f}) mm is outside the machine's reach, x {lowest[0] * 1000:.2f} to "
            f"{highest[0] * 1000:.2f} and y {lowest[1] * 1000:.2f} to {highest[1] * 1000:.2f} mm. "
            "Move or shrink the drawing."
        )
