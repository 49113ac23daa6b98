"""The path the tip must have taken since the last image: dragged by the motors, with a gap between.

Each axis is a play operator (Krasnosel'skii and Pokrovskii 1989): motor minus tip stays between two limits,
and the tip moves only where the motor pulls at one of them. The tracker learns both limits from the images;
their uncertainties say which ways the predicted path may bend.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LOW, HIGH = 0, 1
# Longest piece of a predicted path, and the most of them between two samples.
_STEP_PX, _MOST_PIECES = 1.5, 40
_FIRST_PULL_PX = 0.8  # how far a limit may be off where a pull begins (the cable gives way gradually)
_PULL_PX = 0.25  # and from image to image while it lasts
_SOFT_PX = 2.0  # nearer to the limit than this the tip may already creep
_ONSET_PX = 1.5  # how gradually it comes along
_SHIFT_PX, _WIDEN_PX = 0.1, 0.05  # how offset and width of the gap wander from image to image
_JUMP_PX = 3.0  # how far lost steps move both limits


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
    """What is known of motor minus tip per axis: a gap with an offset and a width, by a Kalman filter.

    Inside, lengths are in pixels; limits are offset - width / 2 and offset + width / 2.
    """

    def __init__(self, backlash_m: float, pixels_per_m: float) -> None:
        self._scale = pixels_per_m
        self._least_px, self._most_px = 0.2 * backlash_m * pixels_per_m, 2.5 * backlash_m * pixels_per_m
        width_px = backlash_m * pixels_per_m
        self._state = np.array([[0.0, width_px]] * 2)  # [axis, (offset, width)]
        self._covariance = np.array([np.diag([0.5 * width_px, 0.35 * width_px]) ** 2] * 2)
        self._last_pulled = [-1, -1]
        self._believed = self._state.copy(), self._covariance.copy()

    def predict(self, motor_m: Floats, tip_m: Floats, tip_sigma_px: Floats) -> Prediction:
        """The tip's path from tip_m (2,) while the motors went along motor_m (N, 2)."""
        motor = _subdivided(motor_m, _STEP_PX / self._scale)
        path, pull = _dragged(motor, tip_m, *self.limits_m())
        weights, sigma = np.zeros((len(path), 4)), np.full(4, 0.01)
        pulled, earlier = [-1, -1], [-1, -1]
        gaps_px = (np.vstack([motor[:1], motor]) - tip_m) * self._scale
        for axis in (0, 1):
            sides = pull[:, axis]
            used = np.flatnonzero(sides)
            if len(used) == 0:
                weights[:, axis], sigma[axis] = self._standing(gaps_px[:, axis], axis, tip_sigma_px[axis])
                continue
            last = HIGH if sides[used[-1]] > 0 else LOW
            others = used[sides[used] != sides[used[-1]]]
            begin = used[used > others[-1]][0] if len(others) else used[0]
            weights[begin:, axis] = 1.0
            pulled[axis] = last
            went_on = len(others) == 0 and self._last_pulled[axis] == last
            sigma[axis] = self._sigma(axis, last, went_on)
            if len(others):
                weights[used[0] : begin, 2 + axis] = 1.0
                earlier[axis] = 1 - last
                sigma[2 + axis] = self._sigma(axis, 1 - last, False)
            else:
                _soften(weights[:, axis], gaps_px[:, axis], begin, sides[begin])
        return Prediction(path, weights, sigma, (pulled[0], pulled[1]), (earlier[0], earlier[1]))

    def predict_lost(self, motor_m: Floats, tip_m: Floats, sigma_px: float) -> Prediction:
        """The path if the motors had dragged the tip all along, ending where the limits put it: a rough guess."""
        motor = _subdivided(motor_m, _STEP_PX / self._scale)
        dragged, _ = _dragged(motor, tip_m, *self.limits_m())
        path = motor - motor[-1] + dragged[-1]
        travel_px = float(np.abs(motor[-1] - motor[0]).max()) * self._scale
        weights = np.stack([_ramp(path)] * 2 + [np.ones(len(path))] * 2, axis=1)
        loose = 0.5 + 0.5 * travel_px
        sigma = np.array([loose, loose, sigma_px, sigma_px])
        return Prediction(path, weights, sigma, (-1, -1), (-1, -1))

    def learn(
        self,
        prediction: Prediction,
        motor_m: Floats,
        tip_m: Floats,
        bends_px: Floats,
        sigma_px: Floats,
        assumed_sigma_px: Floats,
    ) -> None:
        """The path bent by bends_px (4,) to the tip tip_m (2,), so the limits are off.

        sigma_px (4,) is known of the bends now, assumed_sigma_px (4,) was before the image was seen;
        motor_m (N, 2) is the motors' path meanwhile.
        """
        gap_px = (motor_m[-1] - tip_m) * self._scale
        for axis in (0, 1):
            self._covariance[axis] += np.diag([_SHIFT_PX**2, _WIDEN_PX**2])
            last, before = prediction.pulled[axis], prediction.earlier[axis]
            if last < 0:
                moved = bends_px[axis]
                travel = motor_m[-1, axis] - motor_m[0, axis]
                if abs(moved) > max(0.5, 2.5 * sigma_px[axis]) and moved * travel > 0:  # it came along early
                    self._last_pulled[axis] = HIGH if moved > 0 else LOW
                    self._measure(axis, self._last_pulled[axis], gap_px[axis], 0.7)
                continue
            if abs(bends_px[axis]) > 1.5 and before < 0:
                self._covariance[axis][0, 0] += _JUMP_PX**2
            for k, side, first in (
                (axis, last, self._last_pulled[axis] != last),
                (2 + axis, before, True),
            ):
                share = 1 - (sigma_px[k] / assumed_sigma_px[k]) ** 2
                if side < 0 or share < 0.1:  # the image said next to nothing
                    continue
                seen_sigma = sigma_px[k] / np.sqrt(share)
                at = self._limit_px(axis, side) - bends_px[k] / share
                self._measure(axis, side, at, np.hypot(seen_sigma, _FIRST_PULL_PX if first else _PULL_PX))
            self._last_pulled[axis] = last

    def not_yet(self, prediction: Prediction, motor_m: Floats, tip_m: Floats) -> None:
        """The tip still is at tip_m (2,) though motors at motor_m (2,) should pull it: the gap is wider."""
        gap_px = (motor_m - tip_m) * self._scale
        for axis, side in enumerate(prediction.pulled):
            if side >= 0 and prediction.earlier[axis] < 0:
                self._measure(axis, side, gap_px[axis], 1.0)

    def found(self, motor_m: Floats, tip_m: Floats, sigma_px: float) -> None:
        """The tip was found anew at tip_m (2,), dragged by the motors along motor_m (N, 2)."""
        travel_px = (motor_m[-1] - motor_m[0]) * self._scale
        gap_px = (motor_m[-1] - tip_m) * self._scale
        for axis in (0, 1):
            if abs(travel_px[axis]) > 0.7:
                side = HIGH if travel_px[axis] > 0 else LOW
                self._last_pulled[axis] = side
                self._measure(axis, side, gap_px[axis], np.hypot(sigma_px, _FIRST_PULL_PX))

    def hold(self, motor_m: Floats, tip_m: Floats) -> None:
        """Motor_m - tip_m (2,) was seen, so it is within the limits."""
        gap_px = (motor_m - tip_m) * self._scale
        for axis in (0, 1):
            if gap_px[axis] > self._limit_px(axis, HIGH):
                self._measure(axis, HIGH, gap_px[axis], 1.0)
            elif gap_px[axis] < self._limit_px(axis, LOW):
                self._measure(axis, LOW, gap_px[axis], 1.0)

    def believe(self) -> None:
        """What was learnt so far is from tips that can be trusted."""
        self._believed = self._state.copy(), self._covariance.copy()

    def doubt(self) -> None:
        """The tip was lost: back to what was believed, for the last finds may have been a hand's edge; and steps may
        have been lost, too."""
        state, covariance = self._believed
        covariance[:, 0, 0] += 1.0
        self._state, self._covariance = state.copy(), covariance.copy()
        self._last_pulled = [-1, -1]

    def limits_m(self) -> tuple[Floats, Floats]:
        """The lower and the upper limits (2,) [m] of motor minus tip."""
        offset, half = self._state[:, 0], self._state[:, 1] / 2
        return (offset - half) / self._scale, (offset + half) / self._scale

    def _limit_px(self, axis: int, side: int) -> float:
        offset, width = self._state[axis]
        return float(offset + width / 2 if side == HIGH else offset - width / 2)

    def _sigma(self, axis: int, side: int, went_on: bool) -> float:
        half = 0.5 if side == HIGH else -0.5
        (pp, pq), (_, qq) = self._covariance[axis].tolist()
        extra = _PULL_PX if went_on else _FIRST_PULL_PX
        return math.sqrt(pp + 2 * half * pq + half * half * qq + extra**2)

    def _measure(self, axis: int, side: int, limit_px: float, sigma_px: float) -> None:
        """Kalman's update with one limit seen at limit_px to sigma_px."""
        half = 0.5 if side == HIGH else -0.5
        (pp, pq), (_, qq) = self._covariance[axis].tolist()
        offset, width = self._state[axis].tolist()
        to_offset, to_width = pp + half * pq, pq + half * qq
        variance = to_offset + half * to_width + float(sigma_px) ** 2
        surprise = (float(limit_px) - offset - half * width) / variance
        width = min(max(width + to_width * surprise, self._least_px), self._most_px)
        self._state[axis] = offset + to_offset * surprise, width
        cross = pq - to_offset * to_width / variance
        self._covariance[axis] = [
            [pp - to_offset**2 / variance, cross],
            [cross, qq - to_width**2 / variance],
        ]

    def _standing(self, gap_px: Floats, axis: int, tip_sigma_px: float) -> tuple[Floats, float]:
        """How a tip that should stand would come along (weights), and how far it may have (sigma)."""
        travel = gap_px[-1] - gap_px[0]
        if abs(travel) < 0.2:
            return np.linspace(0, 1, len(gap_px)), float(np.hypot(tip_sigma_px, 0.05))
        side = HIGH if travel > 0 else LOW
        room = abs(self._limit_px(axis, side) - gap_px[-1])
        creep = max(0.0, _SOFT_PX + self._sigma(axis, side, True) - room) * 0.5
        lag = np.abs(gap_px - gap_px[-1])
        weights = np.clip(1 - lag / _ONSET_PX, 0, 1)
        weights[0] = 0.0
        return weights, float(np.sqrt(tip_sigma_px**2 + 0.05**2 + creep**2))


def _soften(weights: Floats, gap_px: Floats, begin: int, side: int) -> None:
    """A limit that comes earlier than assumed pulls the nodes before `begin` too, less and less."""
    lag = (gap_px[begin] - gap_px[1:begin]) * side
    weights[1:begin] = np.clip(1 - lag / _ONSET_PX, 0, 1)


@njit(cache=True)
def _subdivided(points, step):  # type: ignore[no-untyped-def]
    """The same polyline with pieces no longer than step; at least two points."""
    out = np.empty((max(2, 1 + _MOST_PIECES * (len(points) - 1)), 2))
    out[0] = points[0]
    size = 1
    for i in range(len(points) - 1):
        dx, dy = points[i + 1, 0] - points[i, 0], points[i + 1, 1] - points[i, 1]
        count = min(_MOST_PIECES, math.ceil(max(abs(dx), abs(dy)) / step))
        for k in range(1, count + 1):
            out[size, 0] = points[i, 0] + k / count * dx
            out[size, 1] = points[i, 1] + k / count * dy
            size += 1
    if size == 1:
        out[1] = out[0]
        size = 2
    return out[:size]


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
