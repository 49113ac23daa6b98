"""The toy's mechanics: what the stylus of an Etch A Sketch does when motors turn its knobs.

Each axis is a set of play operators with spread widths (Prandtl-Ishlinskii): after a reversal nothing moves for a
while, then the cable comes along gradually (the soft zone), then rigidly. Motors lose whole electrical cycles (four
full steps, 0.72 mm of stylus travel) at random after a reversal, and always where they push against an end stop.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sketch_cell.settings import Settings, setting

PLAYS = 8
REVERSAL_M = 5e-5  # less than this back and forth is microstep rounding, not a reversal that could lose steps
_DRAWS = 4096


@dataclass(frozen=True)
class ToySettings(Settings):
    """Geometry and faults of the toy; every fault may be changed while it runs."""

    width_m: float = setting(0.153, "width of the drawable glass", unit="m", minimum=0.01)
    height_m: float = setting(0.107, "height of the drawable glass", unit="m", minimum=0.01)
    start_x_m: float = setting(0.004, "where the stylus stands at power-up, x", unit="m")
    start_y_m: float = setting(0.003, "where the stylus stands at power-up, y", unit="m")
    backlash_x_m: float = setting(
        0.00175, "total backlash of x at the stylus", unit="m", minimum=0.0, maximum=0.01
    )
    backlash_y_m: float = setting(
        0.0020, "total backlash of y at the stylus", unit="m", minimum=0.0, maximum=0.01
    )
    soft_zone: float = setting(
        0.33, "share of the backlash over which the stylus comes along gradually", minimum=0.0, maximum=1.0
    )
    backlash_variation: float = setting(
        0.10, "how much the backlash varies with place, as a share", minimum=0.0, maximum=0.5
    )
    backlash_growth_per_m: float = setting(
        0.0, "share by which the backlash grows per metre drawn (wear)", unit="1/m", minimum=0.0
    )
    stiction_m: float = setting(
        0.0, "pull that a resting stylus withstands before it jumps along", unit="m", minimum=0.0
    )
    lost_step_probability: float = setting(
        0.0, "chance per reversal that a motor loses one electrical cycle", minimum=0.0, maximum=1.0
    )
    lost_step_m: float = setting(
        0.00072, "stylus travel lost each time: four full steps", unit="m", minimum=0.0
    )
    pull_out_m_per_s2: float = setting(
        6.0, "acceleration beyond which a motor loses an electrical cycle", unit="m/s^2", minimum=0.1
    )
    load: float = setting(
        0.0,
        "share of a motor's torque that friction takes: the less is left, the sooner it loses a cycle",
        minimum=0.0,
        maximum=1.0,
    )
    switch_x_m: float = setting(-0.003, "where the x switch closes (below it)", unit="m")
    switch_y_m: float = setting(-0.003, "where the y switch closes (below it)", unit="m")
    switch_repeatability_m: float = setting(
        0.00002, "standard deviation of the point where a switch closes", unit="m", minimum=0.0
    )
    switch_bounce_s: float = setting(
        0.0, "time for which a switch chatters when it closes or opens", unit="s", minimum=0.0, maximum=0.1
    )
    contact_m: float = setting(
        0.0015,
        "how far inside each switch a contact on the probe input closes; 0: none is wired",
        unit="m",
        minimum=0.0,
        maximum=0.01,
    )
    end_stop_m: float = setting(0.012, "how far beyond the glass the end stops are", unit="m", minimum=0.0)


@dataclass(frozen=True)
class LostSteps:
    """One loss: after how many seconds of motion, on which axis (0 = x), by how many metres."""

    time_s: float
    axis: int
    size_m: float


class Toy:
    """The true stylus as a function of the motors; seeded, so that equal calls give equal traces."""

    def __init__(self, settings: ToySettings, seed: int = 0) -> None:
        self._random = np.random.default_rng([seed, 7])
        self._phase_rad = self._random.uniform(0, 2 * np.pi, 2)
        start = np.array([settings.start_x_m, settings.start_y_m])
        self._plays_m = np.repeat(start[:, None], PLAYS, axis=1)
        self._stylus_m = start.copy()
        self._slip_m = np.zeros(2)
        self._turn_m = start.copy()
        self._turn_sign = np.zeros(2)
        self._motor_m = start.copy()
        self._speed_m_per_s = np.zeros(2)
        self._travelled_m = np.zeros(1)
        self._elapsed_s = 0.0
        self.losses: list[LostSteps] = []
        self._closed = [False, False]
        self._edge_m = np.zeros(2)
        self._chatters_until_s = [0.0, 0.0]
        self.change(settings)

    def change(self, settings: ToySettings) -> None:
        """Go on with other settings: this is how a fault is switched on while the toy runs."""
        self.settings = settings
        probability = settings.lost_step_probability
        shape = (2, _DRAWS)
        never = np.iinfo(np.int64).max
        self._gaps = (
            self._random.geometric(probability, shape) if probability > 0 else np.full(shape, never, np.int64)
        )
        self._countdown = self._gaps[:, 0].copy()
        self._used = np.ones(2, np.int64)

    def move(self, motor_m: NDArray[np.float64], period_s: float) -> NDArray[np.float64]:
        """True stylus trace (n, 2) [m, screen] for step positions (n, 2) [m], one per `period_s`.

        A step position is where the stylus would be with neither backlash nor lost steps.
        """
        motor_m = np.ascontiguousarray(motor_m, dtype=np.float64)
        stylus_m = np.empty_like(motor_m)
        lost = np.zeros((64, 3))
        count = _move(
            motor_m,
            period_s,
            _numbers(self.settings),
            self._phase_rad,
            self._plays_m,
            self._stylus_m,
            self._slip_m,
            self._turn_m,
            self._turn_sign,
            self._motor_m,
            self._speed_m_per_s,
            self._travelled_m,
            self._gaps,
            self._countdown,
            self._used,
            stylus_m,
            lost,
        )
        for index, axis, size in lost[:count]:
            self.losses.append(LostSteps(self._elapsed_s + (index + 1) * period_s, int(axis), float(size)))
        self._elapsed_s += len(motor_m) * period_s
        return stylus_m

    @property
    def stylus_m(self) -> NDArray[np.float64]:
        """Where the stylus is now (2,) [m, screen]."""
        return self._stylus_m.copy()

    @property
    def slip_m(self) -> NDArray[np.float64]:
        """Sum of all lost steps per axis (2,) [m]: motor shaft minus what was commanded."""
        return self._slip_m.copy()

    def backlash_m(self, xy_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """Total backlash per axis (2,) [m] with the stylus at `xy_m` (2,) [m, screen]."""
        return np.array(_widths(_numbers(self.settings), self._phase_rad, xy_m, self._travelled_m[0]))

    def limit_switches(self) -> tuple[bool, bool]:
        """Whether the x and the y switch are closed; each closing has its own small error, and may chatter."""
        points = (self.settings.switch_x_m, self.settings.switch_y_m)
        for axis, point_m in enumerate(points):
            threshold_m = point_m + self._edge_m[axis]
            if self._closed[axis]:  # a switch opens a little later than it closed
                threshold_m += 5e-5
            closed = bool(self._stylus_m[axis] < threshold_m)
            if self._closed[axis] and not closed:
                self._edge_m[axis] = self._random.normal(0.0, self.settings.switch_repeatability_m)
            if closed != self._closed[axis]:
                self._chatters_until_s[axis] = self._elapsed_s + self.settings.switch_bounce_s
            self._closed[axis] = closed
        return self._contact(0), self._contact(1)

    def probe_contact(self) -> bool:
        """Whether an axis touches the contact on the probe input: both are wired to it, so either may be."""
        inside_m, settings = self.settings.contact_m, self.settings
        closes_m = np.array([settings.switch_x_m, settings.switch_y_m]) + inside_m
        return bool(inside_m > 0.0 and np.any(self._stylus_m < closes_m))

    def _contact(self, axis: int) -> bool:
        if self._elapsed_s < self._chatters_until_s[axis]:
            return bool(self._random.random() < 0.5)
        return self._closed[axis]


def _numbers(settings: ToySettings) -> NDArray[np.float64]:
    values: list[Any] = [getattr(settings, item.name) for item in fields(settings)]
    return np.array(values, dtype=np.float64)


_INDEX = {item.name: index for index, item in enumerate(fields(ToySettings))}
_WIDTH, _HEIGHT = _INDEX["width_m"], _INDEX["height_m"]
_BACKLASH_X, _BACKLASH_Y = _INDEX["backlash_x_m"], _INDEX["backlash_y_m"]
_SOFT, _VARIATION, _GROWTH = (
    _INDEX["soft_zone"],
    _INDEX["backlash_variation"],
    _INDEX["backlash_growth_per_m"],
)
_STICTION, _LOST, _PULL_OUT = _INDEX["stiction_m"], _INDEX["lost_step_m"], _INDEX["pull_out_m_per_s2"]
_STOP, _LOAD = _INDEX["end_stop_m"], _INDEX["load"]


@njit(cache=True)
def _widths(n, phase, xy, travelled):  # type: ignore[no-untyped-def]
    place = 2 * np.pi * (xy[0] / n[_WIDTH] + 0.5 * xy[1] / n[_HEIGHT])
    worn = 1 + n[_GROWTH] * travelled
    return (
        n[_BACKLASH_X] * worn * (1 + n[_VARIATION] * np.sin(place + phase[0])),
        n[_BACKLASH_Y] * worn * (1 + n[_VARIATION] * np.sin(place + phase[1])),
    )


@njit(cache=True)
def _move(  # type: ignore[no-untyped-def]
    motor,
    period,
    n,
    phase,
    plays,
    stylus,
    slip,
    turn,
    turn_sign,
    last,
    speed,
    travelled,
    gaps,
    countdown,
    used,
    out,
    lost,
):
    count = 0
    smoothing = min(1.0, period / 0.01)  # microsteps make the raw second difference meaningless
    high = (n[_WIDTH] + n[_STOP], n[_HEIGHT] + n[_STOP])
    for i in range(motor.shape[0]):
        widths = _widths(n, phase, stylus, travelled[0])
        step = 0.0
        for a in range(2):
            u = motor[i, a]
            loses = 0.0
            # a reversal: the motor came back from its farthest point by more than rounding
            if turn_sign[a] * (u - turn[a]) >= 0:
                turn[a] = u
                if turn_sign[a] == 0 and u != last[a]:
                    turn_sign[a] = 1.0 if u > last[a] else -1.0
            elif abs(u - turn[a]) > REVERSAL_M:
                turn_sign[a] = -turn_sign[a]
                turn[a] = u
                countdown[a] -= 1
                if countdown[a] <= 0:
                    countdown[a] = gaps[a, used[a] % gaps.shape[1]]
                    used[a] += 1
                    loses = -turn_sign[a] * n[_LOST]
            change = (u - last[a]) / period - speed[a]
            speed[a] += change * smoothing
            if abs(change) > n[_PULL_OUT] * (1 - n[_LOAD]) * 0.01 + 1e-9:
                speed[a] += change * (1 - smoothing)
                loses = -np.sign(change) * n[_LOST]
            last[a] = u
            low = -n[_STOP]
            if u + slip[a] - widths[a] > high[a]:
                loses = -n[_LOST]
            elif u + slip[a] + widths[a] < low:
                loses = n[_LOST]
            if loses != 0.0:
                slip[a] += loses
                if count < lost.shape[0]:
                    lost[count, 0], lost[count, 1], lost[count, 2] = i, a, loses
                    count += 1
            shaft = u + slip[a]
            mean = 0.0
            for k in range(plays.shape[1]):
                share = 1 + n[_SOFT] * (k / (plays.shape[1] - 1) - 0.5)
                half = 0.5 * widths[a] * share
                plays[a, k] = min(max(plays[a, k], shaft - half), shaft + half)
                mean += plays[a, k]
            mean = min(max(mean / plays.shape[1], low), high[a])
            if abs(mean - stylus[a]) >= n[_STICTION]:
                step += (mean - stylus[a]) ** 2
                stylus[a] = mean
            out[i, a] = stylus[a]
        travelled[0] += np.sqrt(step)
    return count
