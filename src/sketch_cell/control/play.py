"""The commanded path, and where a stylus with backlash would be along it: tip = Play_b(u) + o per axis.

Positions on the path are found by its timeline, the coordinate in which waypoints are appended to the driver and in
which the driver says how far the board has moved. Plain floats: this runs for every camera frame.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pair = tuple[float, float]


@dataclass
class PlayState:
    """How far along the path (`index` is the last vertex passed), where the hard play is, and which side touches."""

    index: int
    x: float
    y: float
    side_x: float = 0.0
    side_y: float = 0.0

    def copy(self) -> PlayState:
        """An independent copy."""
        return PlayState(self.index, self.x, self.y, self.side_x, self.side_y)


class CommandPath:
    """Waypoints as they were sent: `time_s` on the timeline, commanded positions [m], place along the line [m]."""

    def __init__(self, start_m: Pair) -> None:
        self.time_s: list[float] = [0.0]
        self.u_x: list[float] = [float(start_m[0])]
        self.u_y: list[float] = [float(start_m[1])]
        self.along_m: list[float] = [0.0]

    def append(
        self, time_s: NDArray[np.float64], u_m: NDArray[np.float64], along_m: NDArray[np.float64]
    ) -> None:
        """Add waypoints (n,), (n, 2), (n,), later than those before."""
        self.time_s.extend(time_s.tolist())
        self.u_x.extend(u_m[:, 0].tolist())
        self.u_y.extend(u_m[:, 1].tolist())
        self.along_m.extend(along_m.tolist())

    def locate(self, time_s: float) -> tuple[int, float]:
        """Index of the last vertex at or before `time_s`, and the share of the segment after it."""
        last = len(self.time_s) - 1
        index = min(max(bisect_right(self.time_s, time_s) - 1, 0), last)
        if index == last:
            return last, 0.0
        span = self.time_s[index + 1] - self.time_s[index]
        return index, min(max((time_s - self.time_s[index]) / span, 0.0), 1.0)

    def command(self, time_s: float) -> Pair:
        """Commanded position [m] at a place of the timeline."""
        index, share = self.locate(time_s)
        if share == 0.0:
            return self.u_x[index], self.u_y[index]
        x, y = self.u_x[index], self.u_y[index]
        return x + share * (self.u_x[index + 1] - x), y + share * (self.u_y[index + 1] - y)

    def along(self, time_s: float) -> float:
        """Place along the line [m] at a place of the timeline."""
        index, share = self.locate(time_s)
        if share == 0.0:
            return self.along_m[index]
        return self.along_m[index] + share * (self.along_m[index + 1] - self.along_m[index])

    def start(self) -> PlayState:
        """The play at the beginning, in the middle of its gap, as nothing is known."""
        return PlayState(0, self.u_x[0], self.u_y[0])

    def advance(self, state: PlayState, time_s: float, backlash_m: Pair) -> None:
        """Run the play from where `state` is to `time_s` (not earlier), with the total backlash per axis."""
        half_x, half_y = 0.5 * backlash_m[0], 0.5 * backlash_m[1]
        index, _ = self.locate(time_s)
        for vertex in range(state.index + 1, index + 1):
            _pull(state, self.u_x[vertex], self.u_y[vertex], half_x, half_y)
        state.index = index
        u_x, u_y = self.command(time_s)
        _pull(state, u_x, u_y, half_x, half_y)


def _pull(state: PlayState, u_x: float, u_y: float, half_x: float, half_y: float) -> None:
    if u_x - half_x > state.x:
        state.x, state.side_x = u_x - half_x, 1.0
    elif u_x + half_x < state.x:
        state.x, state.side_x = u_x + half_x, -1.0
    if u_y - half_y > state.y:
        state.y, state.side_y = u_y - half_y, 1.0
    elif u_y + half_y < state.y:
        state.y, state.side_y = u_y + half_y, -1.0
