"""The running picture of the glass that new ink is told from."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from sketch_cell.vision.calibration import Calibration, Floats
from sketch_cell.vision.steady import Shake, cubic_taps

Grey = NDArray[np.float32]

_MOST_AVERAGED = 12.0
_CHANGED_SIGMA = 3.0
_STRIPES = 20
_SATURATED = 250.0
_MARGIN = 2  # of the five taps


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
        light = self._light[(window.top + window.bottom) // 2, (window.left + window.right) // 2]
        gain = _local_gain(raw, mean, light, np.float32(shake.gain))
        seen, darkening, variance, old_ink = _compared(
            raw, mean, count, gain, light, np.float32(darkness), np.float32(self.noise_sigma)
        )
        return View(window, seen, darkening, variance, old_ink, float(light))

    def absorb(self, view: View) -> None:
        """Learn a view: average what is the same, take anew what changed (and its neighbours)."""
        self._learn_part(view.window, view.seen)

    def replace(self, view: View) -> None:
        """Take a whole view as it is now."""
        part = (slice(view.window.top, view.window.bottom), slice(view.window.left, view.window.right))
        self._mean[part] = view.seen
        self._count[part] = 1.0

    def refresh(self, image: NDArray[np.uint8], shake: Shake) -> None:
        """Learn the next stripe of the glass, so that what happened away from the tip is soon known."""
        glass = self._glass
        height = glass.bottom - glass.top
        top, bottom = (glass.top + height * (self._stripe + k) // _STRIPES for k in (0, 1))
        self._stripe = (self._stripe + 1) % _STRIPES
        window = Window(top, bottom, glass.left, glass.right)
        self._learn_part(window, _steadied(image, window, shake, shake.gain))

    def _learn_part(self, window: Window, seen: Grey) -> None:
        threshold = np.float32(_CHANGED_SIGMA * self.noise_sigma * 1.2)
        _learn(self._mean, self._count, window.top, window.left, seen, threshold, np.float32(_MOST_AVERAGED))


@njit(cache=True, fastmath=True)
def _learn(mean, count, top, left, seen, threshold, most):  # type: ignore[no-untyped-def]
    """Average seen (h, w) into mean (H, W) at (top, left), but start anew at pixels that changed and around them."""
    rows, columns = seen.shape
    right, bottom = left + columns, top + rows
    for row in range(rows):
        old, new = mean[top + row, left:right], seen[row]
        most_changed = np.float32(0.0)
        for column in range(columns):
            most_changed = max(most_changed, abs(old[column] - new[column]))
        if most_changed <= threshold:
            continue
        for column in range(columns):
            if abs(old[column] - new[column]) > threshold:
                for i in range(max(top + row - 1, top), min(top + row + 2, bottom)):
                    for j in range(max(left + column - 1, left), min(left + column + 2, right)):
                        count[i, j] = 0.0
    for row in range(rows):
        old, new, times = mean[top + row, left:right], seen[row], count[top + row, left:right]
        for column in range(columns):
            weight = min(times[column] + np.float32(1.0), most)
            times[column] = weight
            old[column] += (new[column] - old[column]) / weight


def _steadied(image: NDArray[np.uint8], window: Window, shake: Shake, gain: float = 1.0) -> Grey:
    """The window's pixels as they would be without the shake and this gain, float32."""
    shift_x, shift_y = shake.at(
        np.array([window.left + window.right, window.top + window.bottom]) / 2
    ).tolist()
    whole_x, whole_y = round(shift_x), round(shift_y)
    rows, columns = image.shape
    top, left = window.top + whole_y - _MARGIN, window.left + whole_x - _MARGIN
    bottom, right = window.bottom + whole_y + _MARGIN, window.right + whole_x + _MARGIN
    wide = image[max(top, 0) : min(bottom, rows), max(left, 0) : min(right, columns)]
    if wide.shape != (bottom - top, right - left):
        sides = (max(-top, 0), max(bottom - rows, 0), max(-left, 0), max(right - columns, 0))
        wide = cv2.copyMakeBorder(wide, *sides, cv2.BORDER_REPLICATE)
    taps_x, taps_y = cubic_taps(whole_x - shift_x), cubic_taps(whole_y - shift_y) / np.float32(gain)
    return np.asarray(_filtered(wide, taps_y, taps_x))


@njit(cache=True, fastmath=True)
def _filtered(wide, taps_y, taps_x):  # type: ignore[no-untyped-def]
    """An image (H + 4, W + 4) uint8 under five taps each way, (H, W) float32."""
    rows, columns = wide.shape[0] - 4, wide.shape[1] - 4
    out = np.empty((rows, columns), np.float32)
    line = np.empty(columns + 4, np.float32)
    a, b, c, d, e = taps_y[0], taps_y[1], taps_y[2], taps_y[3], taps_y[4]
    p, q, r, s, t = taps_x[0], taps_x[1], taps_x[2], taps_x[3], taps_x[4]
    for i in range(rows):
        for j in range(columns + 4):
            line[j] = (
                a * np.float32(wide[i, j])
                + b * np.float32(wide[i + 1, j])
                + c * np.float32(wide[i + 2, j])
                + d * np.float32(wide[i + 3, j])
                + e * np.float32(wide[i + 4, j])
            )
        for j in range(columns):
            out[i, j] = p * line[j] + q * line[j + 1] + r * line[j + 2] + s * line[j + 3] + t * line[j + 4]
    return out


@njit(cache=True, fastmath=True)
def _local_gain(raw, mean, light, gain):  # type: ignore[no-untyped-def]
    """Brightness against the background, from clean glass in the window where there is enough of it."""
    step = 2 if raw.size > 600 else 1
    ratios, count = np.empty(raw.size, np.float32), 0
    for row in range(0, raw.shape[0], step):
        for column in range(0, raw.shape[1], step):
            now, before = raw[row, column], mean[row, column]
            if before > 0.8 * light and 0.6 * gain * light < now < _SATURATED:
                ratios[count] = now / before
                count += 1
    if count < 60:
        return gain
    return np.partition(ratios[:count], count // 2)[count // 2]


@njit(cache=True, fastmath=True)
def _compared(raw, mean, count, gain, light, darkness, noise_sigma):  # type: ignore[no-untyped-def]
    """Seen, darkening, its variance and old ink, all (H, W); see `View`."""
    seen, darkening = np.empty_like(raw), np.empty_like(raw)
    variance, old_ink = np.empty_like(raw), np.empty_like(raw)
    one = np.float32(1.0)
    for row in range(raw.shape[0]):
        for column in range(raw.shape[1]):
            now, before = raw[row, column], mean[row, column]
            seen[row, column] = now / gain
            darkening[row, column] = before - now / gain
            blind = now >= _SATURATED or before >= _SATURATED
            noise = noise_sigma * noise_sigma * (one + one / count[row, column])
            variance[row, column] = np.float32(1e6) if blind else noise
            old_ink[row, column] = min(max((one - before / light) / darkness, np.float32(0.0)), one)
    return seen, darkening, variance, old_ink


def _clean_light(mean: Grey) -> Grey:
    """Brightness (H, W) of the glass as if it were clean: the brightest nearby, smoothed."""
    small = cv2.resize(cv2.blur(mean, (3, 3)), None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    bright = cv2.erode(cv2.dilate(small, np.ones((9, 9))), np.ones((9, 9)))
    return cv2.resize(cv2.blur(bright, (5, 5)), mean.shape[::-1], interpolation=cv2.INTER_LINEAR)  # type: ignore[no-any-return]
