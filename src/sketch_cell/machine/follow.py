"""Following a timed trajectory within tolerances, as any trajectory client expects; pure, time is an argument."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sketch_cell.errors import MachineError
from sketch_cell.machine.driver_types import READY, DriverState
from sketch_cell.machine.waypoints import checked_waypoints
from sketch_cell.settings import Settings, setting

Array = NDArray[np.float64]


class Verdict(enum.Enum):
    """How a trajectory stands."""

    UNDER_WAY = "under way"
    REACHED = "reached"
    OFF_PATH = "off the path"
    NOT_REACHED = "not reached"
    HALTED = "halted"


@dataclass(frozen=True)
class FollowSettings(Settings):
    """What is tolerated where a goal does not say so itself."""

    path_tolerance_m: float = setting(
        0.0, "distance of an axis from its place on the way; 0: any", unit="m", minimum=0.0, maximum=1.0
    )
    goal_tolerance_m: float = setting(
        0.0002, "distance of an axis from its goal", unit="m", minimum=1e-6, maximum=1.0
    )
    goal_time_s: float = setting(
        1.0, "how much later than planned the goal may be reached", unit="s", minimum=0.0, maximum=3600.0
    )


@dataclass(frozen=True)
class Tolerances:
    """What is tolerated: distance per axis (2,) [m] on the way and at the end (inf: any), and lateness [s]."""

    path_m: tuple[float, float]
    goal_m: tuple[float, float]
    goal_time_s: float

    def __post_init__(self) -> None:
        if not all(value > 0 for value in (*self.path_m, *self.goal_m)) or not self.goal_time_s >= 0:
            raise MachineError("A tolerance is not a positive number. Nothing was moved.")

    @classmethod
    def of(cls, settings: FollowSettings) -> Tolerances:
        """The same for both axes."""
        path_m = settings.path_tolerance_m or math.inf
        return cls((path_m, path_m), (settings.goal_tolerance_m,) * 2, settings.goal_time_s)


class Follow:
    """One trajectory: times time_s (N,) [s] from its start, positions (N, 2) [m, frame screen].

    A trajectory that does not begin at 0 s begins where the machine is. Raises `MachineError` where it cannot be
    followed. Positions between the points are on straight lines, as the board moves.
    """

    def __init__(
        self, time_s: ArrayLike, position_m: ArrayLike, start_m: Array, tolerances: Tolerances
    ) -> None:
        if len(np.atleast_1d(time_s)) == 0:
            raise MachineError("A trajectory without points cannot be followed. Nothing was moved.")
        times, points = checked_waypoints(time_s, position_m)
        if times[0] < 0:
            raise MachineError("A trajectory cannot begin before its start. Nothing was moved.")
        if times[0] > 0:
            times, points = np.concatenate([[0.0], times]), np.vstack([start_m, points])
        self.time_s: Array = times
        self.position_m: Array = points
        self.tolerances = tolerances

    @property
    def goal_m(self) -> Array:
        """Where it ends (2,) [m]."""
        return np.asarray(self.position_m[-1])

    def desired_m(self, elapsed_s: float) -> Array:
        """Where the machine should be (2,) [m]; after the end, the goal."""
        x, y = (np.interp(elapsed_s, self.time_s, axis) for axis in self.position_m.T)
        return np.array([x, y])

    def judge(self, elapsed_s: float, actual_m: Array, state: DriverState) -> Verdict:
        """How it stands `elapsed_s` after its start with the machine at actual_m (2,) [m] in `state`."""
        if state not in READY:
            return Verdict.HALTED
        late_s = elapsed_s - float(self.time_s[-1])
        if late_s < 0:
            off_m = np.abs(actual_m - self.desired_m(elapsed_s))
            return Verdict.OFF_PATH if np.any(off_m > self.tolerances.path_m) else Verdict.UNDER_WAY
        near = bool(np.all(np.abs(actual_m - self.goal_m) <= self.tolerances.goal_m))
        if near and state is DriverState.IDLE:
            return Verdict.REACHED
        return Verdict.NOT_REACHED if late_s > self.tolerances.goal_time_s else Verdict.UNDER_WAY
