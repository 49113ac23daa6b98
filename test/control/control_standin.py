"""A board without protocol or acceleration for control's own tests: it moves along its waypoints at their times."""

from __future__ import annotations

import numpy as np


class StandInBoard:
    """Waypoints in, step positions out; the driver's timeline is the clock, stretched by nothing."""

    def __init__(self, start_m: np.ndarray) -> None:
        self.times = [0.0]
        self.points = [np.asarray(start_m, float)]
        self.now_s = 0.0

    def append(self, time_s: np.ndarray, position_m: np.ndarray) -> None:
        assert np.all(np.diff(np.concatenate([[self.times[-1]], time_s])) > 0)
        if self.now_s > self.times[-1]:
            raise AssertionError("the board starved")
        self.times += list(time_s)
        self.points += list(position_m)

    def advance(self, duration_s: float, period_s: float = 1e-3) -> np.ndarray:
        count = round(duration_s / period_s)
        at = self.now_s + period_s * np.arange(1, count + 1)
        self.now_s = float(at[-1])
        points = np.array(self.points[-400:])
        return np.column_stack([np.interp(at, self.times[-400:], points[:, a]) for a in (0, 1)])


def waves(rows: int = 4, cells: int = 24, cell_m: float = 0.0024, seed: int = 1) -> np.ndarray:
    """A serpentine of sine cells whose amplitudes are random: what the planner draws for a noisy photo."""
    rng = np.random.default_rng(seed)
    parts = []
    for row in range(rows):
        t = np.linspace(0, cells, cells * 40, endpoint=False)
        amplitude = rng.uniform(0.1, 1.1, cells)[t.astype(int)] * 1e-3
        x = 0.03 + t * cell_m
        y = 0.06 - row * cell_m + amplitude * np.sin(2 * np.pi * 2 * t)
        part = np.column_stack([x, y])
        parts.append(part if row % 2 == 0 else part[::-1])
    return np.concatenate(parts)
