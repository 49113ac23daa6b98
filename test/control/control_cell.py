"""Follower, estimator, stand-in board and toy in one loop, with the true tip plus noise for a camera."""

from __future__ import annotations

import numpy as np
from control_standin import StandInBoard, waves

from sketch_cell.control.deviation import Deviation, deviation
from sketch_cell.control.estimator import Estimator, EstimatorSettings
from sketch_cell.control.follower import Follower, FollowerSettings
from sketch_cell.control.route import route
from sketch_cell.machine.motion import MotionSettings
from sketch_cell.twin.toy import Toy, ToySettings

STEP_S = 0.02


class Cell:
    """Draws `line_m` from its own start; `loop` is "camera", "backlash" (exact feed-forward) or "open"."""

    def __init__(
        self,
        line_m: np.ndarray | None = None,
        *,
        seed: int = 0,
        loop: str = "camera",
        noise_m: float = 1.2e-4,
        delay_s: float = 0.0,
        jitter_s: float = 0.0,
        timing_sigma_s: float = 0.01,
        **faults: float,
    ) -> None:
        self.route = route(waves() if line_m is None else line_m, 2e-5, 5e-5)
        start = self.route.xy_m[0] - np.array([0.001, 0.0])
        toy = ToySettings(
            start_x_m=float(start[0]), start_y_m=float(start[1]), pull_out_m_per_s2=1e6, **faults
        )
        self.toy = Toy(toy, seed)
        self._rng = np.random.default_rng(seed)
        self._loop, self._noise_m, self._delay_s, self._jitter_s = loop, noise_m, delay_s, jitter_s
        exact = np.array([toy.backlash_x_m, toy.backlash_y_m])
        self._fixed_m = {"open": 0 * exact, "backlash": exact, "camera": np.array([0.0016, 0.0016])}[loop]
        self.follower = Follower(
            self.route, start, np.zeros(2), self._fixed_m, FollowerSettings(), MotionSettings()
        )
        # The toy starts in the middle of its play here, not at a switch.
        settings = EstimatorSettings(timing_sigma_s=timing_sigma_s, offset_sigma_m=0.001)
        self.estimator = Estimator(settings, self.follower.path)
        self.board = StandInBoard(start)
        self.trace: list[np.ndarray] = []
        self._tips: list[tuple[float, np.ndarray]] = []
        self._frames = 0

    def run(self, until_s: float = 1e9) -> None:
        """Draw until a time or to the end of the line."""
        while self.board.now_s < until_s:
            jitter_s = self._rng.normal(0, self._jitter_s) if self._jitter_s else 0.0
            self.estimator.progress(self.board.now_s, max(self.board.now_s + jitter_s, 0.0))
            offset, backlash = np.zeros(2), self._fixed_m
            if self._loop == "camera":
                offset, backlash = self.estimator.offset_m, self.estimator.backlash_m
            times, points = self.follower.send(self.board.now_s, offset, backlash)
            if len(times):
                self.board.append(times, points)
            elif self.follower.finished and self.board.now_s > self.board.times[-1]:
                return
            self.trace.append(self.toy.move(self.board.advance(STEP_S), 1e-3))
            self._look()

    def deviation(self) -> Deviation:
        """Deviation of everything drawn so far from the whole line."""
        return deviation(np.concatenate(self.trace), self.route.xy_m)

    def _look(self) -> None:
        if int(self.board.now_s * 30) != self._frames:
            self._frames = int(self.board.now_s * 30)
            tip = self.toy.stylus_m + self._rng.normal(0, self._noise_m, 2)
            self._tips.append((self.board.now_s + self._delay_s, tip))
        while self._tips and self.estimator.can_see(self._tips[0][0]):
            stamp_s, tip = self._tips.pop(0)
            self.estimator.see(stamp_s, tip, np.eye(2) * self._noise_m**2)
