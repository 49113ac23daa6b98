"""The path the tip must have taken since the last image: dragged by the motors, with a gap between.

Each axis is a play operator (Krasnosel'skii and Pokrovskii 1989): motor minus tip stays between two limits,
and the tip moves only where the motor pulls at one of them. The tracker learns both limits from the images;
their uncertainties say which ways the predicted path may bend.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LOW, HIGH = 0, 1
_STEP_PX = 1.5  # longest piece of a predicted path
_FIRST_PULL_PX = 0.8  # how far a limit may be off where a pull begins (the cable gives way gradually)
_PULL_PX = 0.25  # and from image to image while it lasts
_SOFT_PX = 2.0  # nearer to the limit than this the tip may already creep


class Prediction(NamedTuple):
    """A path (N, 2) [m, screen] of the tip and the ways it may bend.

    weights (N, K): by how much of bend k node i moves along axis k % 2; sigma_px (K,): how far each may bend.
    Bends 0 and 1 hold at the end of the path. pulled (2,): the limit each axis was last pulled by (-1: none);
    earlier (2,): the one before that within the same path (-1: none).
    """

    path_m: Floats
    weights: Floats
    sigma_px: Floats
    pulled: tuple[int, int]
    earlier: tuple[int, int]


class Gap:
    """What is known of motor minus tip [m] per axis: its two limits and their standard deviations [px]."""

    def __init__(self, backlash_m: float, pixels_per_m: float) -> None:
        self._pixels_per_m = pixels_per_m
        self._backlash_m = backlash_m
        self.limit_m = np.array([[-0.5, -0.5], [0.5, 0.5]]) * backlash_m  # [LOW or HIGH, axis]
        self.sigma_px = np.full((2, 2), 0.5 * backlash_m * pixels_per_m)
        self._last_pulled = [-1, -1]

    def predict(self, motor_m: Floats, tip_m: Floats, tip_sigma_px: Floats) -> Prediction:
        """The tip's path from tip_m (2,) while the motors went along motor_m (N, 2)."""
        motor = _subdivided(motor_m, _STEP_PX / self._pixels_per_m)
        path, pull = _dragged(motor, tip_m, self.limit_m[LOW], self.limit_m[HIGH])
        weights, sigma = np.zeros((len(path), 4)), np.full(4, 0.01)
        along = _ramp(path)
        pulled, earlier = [-1, -1], [-1, -1]
        for axis in (0, 1):
            sides = pull[:, axis]
            used = np.flatnonzero(sides)
            if len(used) == 0:
                weights[:, axis] = along
                sigma[axis] = self._standing_sigma(motor[:, axis] - tip_m[axis], axis, tip_sigma_px[axis])
                continue
            last = HIGH if sides[used[-1]] > 0 else LOW
            others = used[sides[used] != sides[used[-1]]]
            begin = used[used > others[-1]][0] if len(others) else used[0]
            weights[begin:, axis] = 1.0
            pulled[axis] = last
            went_on = len(others) == 0 and self._last_pulled[axis] == last
            extra = _PULL_PX if went_on else _FIRST_PULL_PX
            sigma[axis] = np.hypot(self.sigma_px[last, axis], extra)
            if len(others):
                weights[used[0] : begin, 2 + axis] = 1.0
                earlier[axis] = 1 - last
                sigma[2 + axis] = np.hypot(self.sigma_px[1 - last, axis], _FIRST_PULL_PX)
        return Prediction(path, weights, sigma, (pulled[0], pulled[1]), (earlier[0], earlier[1]))

    def predict_lost(self, motor_m: Floats, tip_m: Floats, sigma_px: float) -> Prediction:
        """The path if the motors had dragged the tip all along, ending where the limits put it: a rough guess."""
        motor = _subdivided(motor_m, _STEP_PX / self._pixels_per_m)
        dragged, _ = _dragged(motor, tip_m, self.limit_m[LOW], self.limit_m[HIGH])
        path = motor - motor[-1] + dragged[-1]
        travel_px = float(np.abs(motor[-1] - motor[0]).max()) * self._pixels_per_m
        weights = np.stack([_ramp(path)] * 2 + [np.ones(len(path))] * 2, axis=1)
        loose = 0.5 + 0.5 * travel_px
        sigma = np.array([loose, loose, sigma_px, sigma_px])
        return Prediction(path, weights, sigma, (-1, -1), (-1, -1))

    def learn(
        self, prediction: Prediction, motor_m: Floats, tip_m: Floats, bends_px: Floats, sigma_px: Floats
    ) -> None:
        """The path bent by bends_px (4,), known to sigma_px (4,), to the tip tip_m (2,): the limits are off.

        motor_m (N, 2) is the motors' path meanwhile.
        """
        for axis in (0, 1):
            moved = bends_px[axis]
            if prediction.pulled[axis] < 0 and abs(moved) > max(0.6, 2.5 * sigma_px[axis]):
                side = HIGH if moved > 0 else LOW
                if moved * (motor_m[-1, axis] - motor_m[0, axis]) > 0:  # it came along unexpectedly
                    self.limit_m[side, axis] = motor_m[-1, axis] - tip_m[axis]
                    self.sigma_px[side, axis] = max(0.5, sigma_px[axis])
                    self._last_pulled[axis] = side
            ends = ((axis, prediction.pulled[axis]), (2 + axis, prediction.earlier[axis]))
            for k, side in ends:
                if side < 0:
                    continue
                change_m = bends_px[k] / self._pixels_per_m
                self.limit_m[side, axis] -= change_m
                self.sigma_px[side, axis] = max(0.2, sigma_px[k])
                if abs(bends_px[k]) > 1.5 and ends[1][1] < 0:  # as lost steps do, which move both limits
                    self.limit_m[1 - side, axis] -= change_m
                    self.sigma_px[1 - side, axis] = np.hypot(self.sigma_px[1 - side, axis], 0.7)
            if prediction.pulled[axis] >= 0:
                self._last_pulled[axis] = prediction.pulled[axis]
        self._keep_apart()

    def not_yet(self, prediction: Prediction, motor_m: Floats, tip_m: Floats) -> None:
        """The tip still is at tip_m (2,) though motors at motor_m (2,) should pull it: the gap is wider."""
        for axis, side in enumerate(prediction.pulled):
            if side >= 0 and prediction.earlier[axis] < 0:
                self.limit_m[side, axis] = motor_m[axis] - tip_m[axis]
                self.sigma_px[side, axis] = max(1.0, self.sigma_px[side, axis])

    def found(self, motor_m: Floats, tip_m: Floats, sigma_px: float) -> None:
        """The tip was found anew at tip_m (2,), dragged by the motors along motor_m (N, 2)."""
        travel, gap = motor_m[-1] - motor_m[0], motor_m[-1] - tip_m
        for axis in (0, 1):
            if abs(travel[axis]) * self._pixels_per_m > 0.7:
                side = HIGH if travel[axis] > 0 else LOW
                change = gap[axis] - self.limit_m[side, axis]
                self._last_pulled[axis] = side
            else:
                low, high = self.limit_m[:, axis]
                change = min(0.0, gap[axis] - low) + max(0.0, gap[axis] - high)
            self.limit_m[:, axis] += change
            self.sigma_px[:, axis] = np.hypot(np.maximum(self.sigma_px[:, axis], 0.5), sigma_px)

    def doubt(self) -> None:
        """The tip was lost: the limits may have moved since."""
        self.sigma_px = np.maximum(self.sigma_px, 1.0)
        self._last_pulled = [-1, -1]

    def hold(self, motor_m: Floats, tip_m: Floats) -> None:
        """Keep motor_m - tip_m (2,) within the limits, where the tip was seen to be."""
        gap = motor_m - tip_m
        self.limit_m[LOW] = np.minimum(self.limit_m[LOW], gap)
        self.limit_m[HIGH] = np.maximum(self.limit_m[HIGH], gap)

    def _keep_apart(self) -> None:
        """The limits of a real toy are apart by between a fifth and three times the first guess."""
        width = self.limit_m[HIGH] - self.limit_m[LOW]
        excess = np.clip(width, 0.2 * self._backlash_m, 3 * self._backlash_m) - width
        self.limit_m += np.array([[-0.5], [0.5]]) * excess

    def _standing_sigma(self, gap_m: Floats, axis: int, tip_sigma_px: float) -> float:
        """How far a tip that should stand may have crept: more so near the limits."""
        room_m = np.minimum(self.limit_m[HIGH, axis] - gap_m, gap_m - self.limit_m[LOW, axis]).min()
        limit_px = float(self.sigma_px[:, axis].max())
        creep_px = max(0.0, _SOFT_PX + limit_px - room_m * self._pixels_per_m) * 0.5
        if abs(gap_m[-1] - gap_m[0]) * self._pixels_per_m < 0.05:
            creep_px = 0.0
        return float(np.sqrt(tip_sigma_px**2 + 0.05**2 + creep_px**2))


def _subdivided(points: Floats, step: float) -> Floats:
    """The same polyline with pieces no longer than step."""
    pieces = [points[:1]]
    for a, b in pairwise(points):
        count = min(40, int(np.ceil(max(abs(b[0] - a[0]), abs(b[1] - a[1])) / step)))
        if count:
            pieces.append(a + np.arange(1, count + 1)[:, None] / count * (b - a))
    subdivided = np.concatenate(pieces)
    return subdivided if len(subdivided) > 1 else np.repeat(subdivided, 2, axis=0)


def _ramp(path: Floats) -> Floats:
    """How far along its length each point of a path (N, 2) is, 0..1."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    if along[-1] < 1e-7:
        return np.linspace(0, 1, len(path))
    ramp: Floats = along / along[-1]
    return ramp


@njit(cache=True)
def _dragged(motor, tip, low, high):  # type: ignore[no-untyped-def]
    """Tips (N + 1, 2), the first where it was, and what pulled each axis there: 1 high, -1 low limit, 0 none."""
    n = motor.shape[0]
    path, pull = np.empty((n + 1, 2)), np.zeros((n + 1, 2), np.int8)
    path[0] = tip
    for i in range(n):
        for axis in range(2):
            gap = motor[i, axis] - path[i, axis]
            path[i + 1, axis] = path[i, axis]
            if gap > high[axis] + 1e-7:
                path[i + 1, axis], pull[i + 1, axis] = motor[i, axis] - high[axis], 1
            elif gap < low[axis] - 1e-7:
                path[i + 1, axis], pull[i + 1, axis] = motor[i, axis] - low[axis], -1
    return path, pull
