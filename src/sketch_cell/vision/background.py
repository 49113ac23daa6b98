"""The running picture of the glass that new ink is told from."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from sketch_cell.vision.calibration import Calibration, Floats
from sketch_cell.vision.steady import Shake, moved

Grey = NDArray[np.float32]

_MOST_AVERAGED = 12.0
_CHANGED_SIGMA = 3.0
_STRIPES = 20
_SATURATED = 250.0
_MARGIN = 3


class Window(NamedTuple):
    """A rectangle of image pixels: rows top to bottom, columns left to right (ends excluded)."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def origin_px(self) -> Floats:
        """Pixel (x, y) of the upper left pixel's centre."""
        return np.array([self.left, self.top], float)


class View(NamedTuple):
    """One window of an image, steadied and brought to the background's brightness, all (H, W).

    `seen` and `darkening` (background - seen) in grey levels, `variance` of the darkening, `old_ink` 0..1,
    `light` the brightness of clean glass here.
    """

    window: Window
    seen: Grey
    darkening: Grey
    variance: Grey
    old_ink: Grey
    light: float


class Background:
    """A mean image that follows the glass: pixels that changed are taken anew, the others averaged."""

    def __init__(self, mean: Grey, calibration: Calibration, noise_sigma: float) -> None:
        self._mean = mean.astype(np.float32, copy=True)
        self._count = np.full(mean.shape, 4.0, np.float32)
        self.noise_sigma = noise_sigma
        self._light = _clean_light(mean)
        low, high = np.floor(calibration.corners_px.min(0)), np.ceil(calibration.corners_px.max(0))
        self._glass = Window(int(low[1]) + 1, int(high[1]), int(low[0]) + 1, int(high[0]))
        self._stripe = 0

    def window_around(self, points_px: Floats, reach_px: float) -> Window | None:
        """The window that holds points (N, 2) [px] and what is within reach; None outside the glass."""
        low, high = np.floor(points_px.min(0) - reach_px), np.ceil(points_px.max(0) + reach_px) + 1
        glass = self._glass
        top, bottom = max(int(low[1]), glass.top), min(int(high[1]), glass.bottom)
        left, right = max(int(low[0]), glass.left), min(int(high[0]), glass.right)
        return Window(top, bottom, left, right) if bottom - top >= 8 and right - left >= 8 else None

    def look(self, image: NDArray[np.uint8], window: Window, shake: Shake, darkness: float) -> View:
        """The view of an image (H, W) in a window; darkness is the light that full ink takes away."""
        part = (slice(window.top, window.bottom), slice(window.left, window.right))
        mean, count = self._mean[part], self._count[part]
        raw = _steadied(image, window, shake)
        light = float(self._light[(window.top + window.bottom) // 2, (window.left + window.right) // 2])
        seen = raw / np.float32(_local_gain(raw, mean, light, shake.gain))
        variance = np.asarray(self.noise_sigma**2 * (1 + 1 / count), np.float32)
        variance[(raw >= _SATURATED) | (mean >= _SATURATED)] = 1e6
        old_ink = np.asarray(((1 - mean / light) / darkness).clip(0, 1), np.float32)
        return View(window, seen, mean - seen, variance, old_ink, light)

    def absorb(self, view: View) -> None:
        """Learn a view: average what is the same, take anew what changed (and its neighbours)."""
        w = view.window
        self._learn_part((slice(w.top, w.bottom), slice(w.left, w.right)), view.seen)

    def replace(self, view: View) -> None:
        """Take a whole view as it is now."""
        part = (slice(view.window.top, view.window.bottom), slice(view.window.left, view.window.right))
        self._mean[part] = view.seen
        self._count[part] = 1.0

    def refresh(self, image: NDArray[np.uint8], shake: Shake) -> None:
        """Learn the next stripe of the glass, so that what happened away from the tip is soon known."""
        glass = self._glass
        edges = np.linspace(glass.top, glass.bottom, _STRIPES + 1).astype(int)
        window = Window(int(edges[self._stripe]), int(edges[self._stripe + 1]), glass.left, glass.right)
        self._stripe = (self._stripe + 1) % _STRIPES
        part = (slice(window.top, window.bottom), slice(window.left, window.right))
        seen = _steadied(image, window, shake) / np.float32(shake.gain)
        self._learn_part(part, seen)

    def _learn_part(self, part: tuple[slice, slice], seen: Grey) -> None:
        threshold = np.float32(_CHANGED_SIGMA * self.noise_sigma * 1.2)
        _learn(self._mean[part], self._count[part], seen, threshold, np.float32(_MOST_AVERAGED))


@njit(cache=True, fastmath=True)
def _learn(mean, count, seen, threshold, most):  # type: ignore[no-untyped-def]
    """Average seen (H, W) into mean, but start anew at pixels that changed by the threshold and around them."""
    rows, columns = mean.shape
    for row in range(rows):
        for column in range(columns):
            if abs(mean[row, column] - seen[row, column]) > threshold:
                for i in range(max(row - 1, 0), min(row + 2, rows)):
                    for j in range(max(column - 1, 0), min(column + 2, columns)):
                        count[i, j] = 0.0
    for row in range(rows):
        for column in range(columns):
            weight = min(count[row, column] + np.float32(1.0), most)
            count[row, column] = weight
            mean[row, column] += (seen[row, column] - mean[row, column]) / weight


def _steadied(image: NDArray[np.uint8], window: Window, shake: Shake) -> Grey:
    """The window's pixels as they would be without the shake, float32."""
    shift = shake.at(np.array([window.left + window.right, window.top + window.bottom]) / 2)
    whole = np.round(shift).astype(int)
    rest = shift - whole
    rows, columns = image.shape
    top, left = window.top + whole[1] - _MARGIN, window.left + whole[0] - _MARGIN
    bottom, right = window.bottom + whole[1] + _MARGIN, window.right + whole[0] + _MARGIN
    wide = image[max(top, 0) : min(bottom, rows), max(left, 0) : min(right, columns)]
    if wide.shape != (bottom - top, right - left):
        sides = (max(-top, 0), max(bottom - rows, 0), max(-left, 0), max(right - columns, 0))
        wide = cv2.copyMakeBorder(wide, *sides, cv2.BORDER_REPLICATE)
    steady = moved(wide.astype(np.float32), -rest[0], -rest[1])
    return steady[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]


def _local_gain(raw: Grey, mean: Grey, light: float, gain: float) -> float:
    """Brightness against the background, from clean glass in the window where there is enough of it."""
    step = 2 if raw.size > 600 else 1
    now, before = raw[::step, ::step], mean[::step, ::step]
    clean = (before > 0.8 * light) & (now > 0.6 * gain * light) & (now < _SATURATED)
    if np.count_nonzero(clean) < 60:
        return gain
    ratio = now[clean] / before[clean]
    return float(np.partition(ratio, len(ratio) // 2)[len(ratio) // 2])


def _clean_light(mean: Grey) -> Grey:
    """Brightness (H, W) of the glass as if it were clean: the brightest nearby, smoothed."""
    small = cv2.resize(cv2.blur(mean, (3, 3)), None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    bright = cv2.erode(cv2.dilate(small, np.ones((9, 9))), np.ones((9, 9)))
    return cv2.resize(cv2.blur(bright, (5, 5)), mean.shape[::-1], interpolation=cv2.INTER_LINEAR)  # type: ignore[no-any-return]
