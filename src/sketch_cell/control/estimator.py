"""Where the stylus really is: offset, backlash, lost steps and the camera's delay, from tips and commands.

Method: an extended Kalman filter on (offset x, offset y, backlash x, backlash y, delay) through a play operator,
tip = Play_b(u) + o. When the camera and the board disagree about time by some milliseconds, the tip is uncertain along
its motion and sharp across it and at take-ups, where it stands: three points of the model, spread over the timing
uncertainty, give that covariance (Gauss-Hermite quadrature). Lost steps come in known sizes, so they are found by a
cumulative sum of log-likelihood ratios (Page, 1954) instead of being smeared into drift.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sketch_cell.control.play import CommandPath, PlayState
from sketch_cell.settings import Settings, setting

Array = NDArray[np.float64]

# Gauss-Hermite points of order 3 are at 0 and +-sqrt(3) sigma, with weights 2/3 and 1/6.
_SPREAD = math.sqrt(3.0)
_MAX_RATIO = 4.0  # one frame alone, however odd, proves no lost step
# Log-likelihood ratio that tells which axis lost steps: on a slanting stroke each would explain it.
_LEAD = 3.0
_EVIDENCE = 1.0  # a log-likelihood ratio above this speaks for lost steps
# Before the tip is predicted this well, a surprise is news about the backlash, not a lost step.
_SETTLED_M = 2e-4
_DELAY = 4


@dataclass(frozen=True)
class EstimatorSettings(Settings):
    """What is assumed of the toy before it is seen, and how much each kind of evidence is trusted."""

    backlash_x_m: float = setting(
        0.0016, "backlash of x expected before it is measured", unit="m", minimum=0.0, maximum=0.01
    )
    backlash_y_m: float = setting(
        0.0016, "backlash of y expected before it is measured", unit="m", minimum=0.0, maximum=0.01
    )
    backlash_sigma_m: float = setting(
        0.0004, "how far the expected backlash may be off", unit="m", minimum=1e-6
    )
    offset_sigma_m: float = setting(
        0.0004, "how far the stylus may be off after homing", unit="m", minimum=1e-6
    )
    delay_sigma_s: float = setting(0.02, "how well the camera's delay is known", unit="s", minimum=1e-4)
    timing_sigma_s: float = setting(
        0.005, "random error between the clocks of board and camera", unit="s", minimum=1e-4
    )
    tip_sigma_m: float = setting(
        0.00006, "error of a tip beyond what the tracker claims", unit="m", minimum=1e-6
    )
    drift_m_per_sqrt_m: float = setting(
        0.0006, "drift of offset and backlash with place, per root metre of line", unit="m", minimum=0.0
    )
    lost_step_m: float = setting(
        0.00072, "stylus travel of one lost electrical cycle", unit="m", minimum=1e-4
    )
    lost_step_evidence: float = setting(
        12.0, "log-likelihood ratio that proves a lost step", minimum=1.0, maximum=100.0
    )


@dataclass(frozen=True)
class Jump:
    """Lost steps found: when, on which axis (0 = x), how far the stylus moved against the command."""

    stamp_s: float
    axis: int
    size_m: float


class Estimator:
    """Feed it the path, the board's progress and the tips; read offset, backlash, delay and jumps."""

    def __init__(
        self,
        settings: EstimatorSettings,
        path: CommandPath,
        offset_m: Array | None = None,
        backlash_m: Array | None = None,
    ) -> None:
        """Begin with what the settings expect after homing, or with what was known before."""
        self._settings = s = settings
        self._path = path
        self._play = path.start()
        backlash = np.array([s.backlash_x_m, s.backlash_y_m]) if backlash_m is None else backlash_m
        # Homing ends moving towards the switches, so the stylus stands b/2 on the far side of the motor.
        offset = -backlash / 2 if offset_m is None else offset_m
        self._mean = np.concatenate([offset, backlash, [0.0]])
        self._covariance = np.diag(
            [s.offset_sigma_m**2] * 2 + [s.backlash_sigma_m**2] * 2 + [s.delay_sigma_s**2]
        )
        self._stamps: list[float] = []
        self._progress: list[float] = []
        self._scores = np.zeros((2, 2))
        self._seen_along_m = 0.0
        self._strange = 0.0
        self._sides, self._weighing = np.zeros(2), False
        self.jumps: list[Jump] = []
        self.innovation_m = np.zeros(2)

    @property
    def offset_m(self) -> Array:
        """Estimated offset o (2,) [m]: where the stylus is beyond the play's middle."""
        return self._mean[:2].copy()

    @property
    def backlash_m(self) -> Array:
        """Estimated total backlash (2,) [m]."""
        return self._mean[2:4].copy()

    @property
    def delay_s(self) -> float:
        """Estimated delay of the camera's stamps behind the board's [s]."""
        return float(self._mean[_DELAY])

    @property
    def sigma(self) -> Array:
        """Standard deviations (5,) of offset x, y, backlash x, y [m] and delay [s]."""
        return np.asarray(np.sqrt(np.diag(self._covariance)))

    def progress(self, stamp_s: float, timeline_s: float) -> None:
        """The board had moved to `timeline_s` at `stamp_s`; calls are in order of stamps, or the clock was set back."""
        if self._stamps and stamp_s < self._stamps[-1]:
            self._stamps.clear()
            self._progress.clear()
        if self._stamps and stamp_s == self._stamps[-1]:
            return
        self._stamps.append(stamp_s)
        self._progress.append(timeline_s)
        if len(self._stamps) > 400:
            del self._stamps[:200], self._progress[:200]

    def can_see(self, stamp_s: float) -> bool:
        """Whether the board's progress is known around a tip with this stamp."""
        margin = _SPREAD * self._settings.timing_sigma_s
        return bool(self._stamps) and stamp_s - self.delay_s + margin <= self._stamps[-1]

    def see(self, stamp_s: float, tip_m: Array, covariance_m2: Array) -> Jump | None:
        """Take in one tip (2,) [m, screen] with its covariance (2, 2); returns lost steps that it proves."""
        predicted, timing, velocity, play = self._predict(stamp_s)
        self._play = play
        self._drift()
        self.innovation_m = innovation = tip_m - predicted
        sides_before, sides = self._sides, np.array([play.side_x, play.side_y])
        self._sides = sides
        jacobian = np.zeros((2, 5))
        jacobian[0, 0] = jacobian[1, 1] = 1.0
        jacobian[0, 2], jacobian[1, 3] = -0.5 * sides
        jacobian[:, _DELAY] = -velocity
        noise = covariance_m2 + timing + np.eye(2) * self._settings.tip_sigma_m**2
        total = jacobian @ self._covariance @ jacobian.T + noise
        inverse = np.asarray(np.linalg.inv(total), dtype=np.float64)
        if max(total[0, 0] - noise[0, 0], total[1, 1] - noise[1, 1]) < _SETTLED_M**2:
            jump, speaks = self._lost_steps(stamp_s, innovation, inverse)
            # Between two tips on one side of the play, the backlash explains nothing: such a surprise is not learnt
            # while it is being weighed, or a loss would be smeared into the backlash.
            begins = np.array_equal(sides[speaks], sides_before[speaks])
            self._weighing = jump is None and bool(speaks.any() and (self._weighing or begins))
            if jump is not None or self._weighing:
                return jump
        if innovation @ inverse @ innovation > 16.0:
            self._doubt(1.0)
            return None
        self._doubt(0.0)
        gain = self._covariance @ jacobian.T @ inverse
        self._mean = self._mean + gain @ innovation
        left = np.eye(5) - gain @ jacobian
        self._covariance = left @ self._covariance @ left.T + gain @ noise @ gain.T
        return None

    def model_tip_m(self, timeline_s: float) -> Array:
        """Where the stylus should be (2,) [m] when the board is at `timeline_s` (not before the last tip)."""
        state = self._play.copy()
        self._path.advance(state, timeline_s, (self._mean[2], self._mean[3]))
        return np.array([state.x + self._mean[0], state.y + self._mean[1]])

    def _predict(self, stamp_s: float) -> tuple[Array, Array, Array, PlayState]:
        """Mean tip, its covariance through timing alone, its velocity, and the play at that time."""
        spread = _SPREAD * self._settings.timing_sigma_s
        at = [self.timeline_s(stamp_s + shift) for shift in (-spread, 0.0, spread)]
        backlash = (self._mean[2], self._mean[3])
        state = self._play
        points = np.empty((3, 2))
        kept = state
        for row, timeline_s in enumerate(at):
            state = state.copy()
            self._path.advance(state, timeline_s, backlash)
            points[row] = state.x, state.y
            if row == 0:
                kept = state.copy()
        weights = np.array([1 / 6, 2 / 3, 1 / 6])
        mean = weights @ points
        away = points - mean
        timing = (away * weights[:, None]).T @ away
        velocity = (points[2] - points[0]) / (2 * spread)
        kept_middle = kept.copy()
        self._path.advance(kept_middle, at[1], backlash)
        kept.side_x, kept.side_y = kept_middle.side_x, kept_middle.side_y
        return mean + self._mean[:2], timing, velocity, kept

    def timeline_s(self, stamp_s: float) -> float:
        """How far along the timeline the board was when a tip with this stamp was seen [s]."""
        stamps, progress = self._stamps, self._progress
        at_s = stamp_s - self.delay_s
        index = bisect_right(stamps, at_s)
        if index in (0, len(stamps)):
            return progress[max(index - 1, 0)]
        share = (at_s - stamps[index - 1]) / (stamps[index] - stamps[index - 1])
        return progress[index - 1] + share * (progress[index] - progress[index - 1])

    def _drift(self) -> None:
        """Let offset and backlash wander with the length of line drawn since the last tip."""
        along_m = self._path.along_m[self._play.index]
        drawn_m = max(0.0, along_m - self._seen_along_m)
        self._seen_along_m = max(along_m, self._seen_along_m)
        wander = self._settings.drift_m_per_sqrt_m**2 * drawn_m
        self._covariance[[0, 1, 2, 3], [0, 1, 2, 3]] += (wander / 4, wander / 4, wander, wander)
        self._covariance[_DELAY, _DELAY] += 1e-10

    def _lost_steps(
        self, stamp_s: float, innovation: Array, inverse: Array
    ) -> tuple[Jump | None, NDArray[np.bool_]]:
        """Weigh 'one electrical cycle lost now' against 'nothing happened' for each axis and direction.

        Returns the loss that is proven, and for which axes (2,) this tip speaks for one.
        """
        size = self._settings.lost_step_m
        speaks = np.zeros(2, bool)
        for axis in range(2):
            across = inverse[axis] @ innovation
            for k, sign in enumerate((1.0, -1.0)):
                shift = sign * size
                ratio = shift * across - 0.5 * shift**2 * inverse[axis, axis]
                ratio = min(max(ratio, -_MAX_RATIO), _MAX_RATIO)
                speaks[axis] |= ratio > _EVIDENCE
                self._scores[axis, k] = max(0.0, self._scores[axis, k] + ratio)
        best = np.unravel_index(np.argmax(self._scores), (2, 2))
        axis = int(best[0])
        lead = self._scores[best] - self._scores[1 - axis].max()
        if self._scores[best] < self._settings.lost_step_evidence or lead < _LEAD:
            return None, speaks
        shift = size if best[1] == 0 else -size
        self._scores[:] = 0.0
        self._mean[axis] += shift
        self._covariance[axis, axis] += (0.1 * size) ** 2
        jump = Jump(stamp_s, axis, shift)
        self.jumps.append(jump)
        return jump, speaks

    def _doubt(self, strange: float) -> None:
        """Follow the share of tips that fit nothing; when it is high, something unmodelled happened: look afresh."""
        self._strange += 0.08 * (strange - self._strange)
        if self._strange > 0.5:
            self._strange = 0.0
            s = self._settings
            self._covariance += np.diag([s.offset_sigma_m**2] * 2 + [s.backlash_sigma_m**2] * 2 + [0.0])
