"""Screen metres <-> knob radians: the whole kinematics of an Etch A Sketch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sketch_cell.settings import Settings, setting


@dataclass(frozen=True)
class KnobSettings(Settings):
    """How far the stylus travels when a knob turns."""

    travel_per_turn_m: float = setting(
        0.036, "stylus travel for one whole turn of a knob", unit="m", minimum=0.001, maximum=1.0
    )


def knobs_from_screen(xy: ArrayLike, settings: KnobSettings | None = None) -> NDArray[np.float64]:
    """Knob angles (..., 2) [rad] that put the stylus at xy (..., 2) [m, frame screen]; velocities too."""
    travel = (settings or KnobSettings()).travel_per_turn_m
    return np.asarray(xy, dtype=np.float64) * (2 * math.pi / travel)


def screen_from_knobs(angles: ArrayLike, settings: KnobSettings | None = None) -> NDArray[np.float64]:
    """Stylus positions (..., 2) [m, frame screen] at knob angles (..., 2) [rad]; also for velocities."""
    travel = (settings or KnobSettings()).travel_per_turn_m
    return np.asarray(angles, dtype=np.float64) * (travel / (2 * math.pi))
