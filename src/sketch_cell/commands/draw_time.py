"""How long a machine draws a line: the board's own look-ahead, with the take-up of the backlash at every reversal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sketch_cell.control.job_words import ControlSettings
from sketch_cell.control.route import route
from sketch_cell.machine.motion import MotionSettings, draw_time_s

Array = NDArray[np.float64]


@dataclass(frozen=True)
class DrawTime:
    """Seconds of moving along the line, and of what the backlash adds."""

    moving_s: float
    take_up_s: float

    @property
    def total_s(self) -> float:
        """Seconds from the first to the last point."""
        return self.moving_s + self.take_up_s


def draw_time(commands_xy: Array, motion: MotionSettings, backlash_m: tuple[float, float]) -> DrawTime:
    """Time to draw commands_xy (N, 2) [m] on a machine with this backlash on x and on y.

    A take-up b from rest to rest takes 2 sqrt(b / a), but a steep flank that follows goes on at the speed which the
    take-up has reached. So the whole way of the motors is timed, as the controller sends it.
    """
    moving_s = draw_time_s(commands_xy, motion)
    if not any(backlash_m) or len(commands_xy) < 2:
        return DrawTime(moving_s, 0.0)
    line = route(commands_xy, 0.0, ControlSettings().smallest_reversal_m)
    motors_xy, _ = line.with_take_ups(np.array(backlash_m))
    return DrawTime(moving_s, draw_time_s(motors_xy, motion) - moving_s)
