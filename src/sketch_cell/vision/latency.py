"""How much later images are stamped than they were exposed, from tips that the motors pull at different speeds.

While a motor pulls the tip steadily, motor - tip is one limit of the gap plus speed x latency. One speed cannot
tell the two apart; two or more can (least squares with the four limits and the latency as unknowns).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_UNKNOWN_S = 0.1  # what is believed before anything was seen
_SAMPLE_M = 5e-5  # how far a limit differs from image to image
_RUN_IN_M = 0.002  # after a reversal the cable gives way gradually: such images tell nothing
_STEADY = 0.05  # largest change of speed from image to image, as a share


class LatencyEstimate:
    """Collects steadily pulled tips; `seconds` is how late the stamps are, `sigma_s` how well that is known."""

    def __init__(self) -> None:
        self._information = np.diag([0.0] * 4 + [_UNKNOWN_S**-2]) + np.eye(5) * 1e-3
        self._vector = np.zeros(5)
        self._run_m = np.zeros(2)
        self._velocity = np.zeros(2)
        self._side = [-1, -1]

    def see(self, motor_m: Floats, duration_s: float, pulled: tuple[int, int], tip_m: Floats) -> None:
        """A tip (2,) [m] after the motors went along motor_m (N, 2); pulled: by which limit (0, 1; -1: none)."""
        travel = motor_m[-1] - motor_m[0]
        velocity = travel / duration_s
        for axis, side in enumerate(pulled):
            went_on = side >= 0 and side == self._side[axis]
            self._run_m[axis] = self._run_m[axis] + abs(travel[axis]) if went_on else 0.0
            change = abs(velocity[axis] - self._velocity[axis])
            if self._run_m[axis] > _RUN_IN_M and change < _STEADY * abs(velocity[axis]):
                self._add(2 * axis + side, velocity[axis], motor_m[-1, axis] - tip_m[axis])
            self._side[axis] = side
        self._velocity = velocity

    def _add(self, limit: int, velocity_m_per_s: float, gap_m: float) -> None:
        row = np.zeros(5)
        row[limit], row[4] = 1.0, velocity_m_per_s
        self._information += np.outer(row, row) / _SAMPLE_M**2
        self._vector += row * gap_m / _SAMPLE_M**2

    @property
    def seconds(self) -> float:
        """Stamp minus true time [s], beyond what the settings say already."""
        return float(np.linalg.solve(self._information, self._vector)[4])

    @property
    def sigma_s(self) -> float:
        """Standard deviation of `seconds` [s]; 0.1 s as long as only one speed was seen."""
        return float(np.sqrt(np.linalg.inv(self._information)[4, 4]))
