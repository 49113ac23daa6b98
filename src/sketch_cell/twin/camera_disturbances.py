"""What spoils a camera image: shaking, hands and glare."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from sketch_cell.twin.camera_settings import CameraSettings

Floats = NDArray[np.float64]
Grey = NDArray[np.float32]

FIXED_POINT_BITS = 4  # of OpenCV's drawing functions


def fixed_point(pixels: Floats) -> NDArray[np.int32]:
    """Pixel coordinates as OpenCV's drawing functions take them, in sixteenths."""
    points: NDArray[np.int32] = np.round(pixels * 2**FIXED_POINT_BITS).astype(np.int32)
    return points


class Hand:
    """A forearm with a fist that comes in from a side, stays near a place on the glass and leaves."""

    def __init__(self, rng: np.random.Generator, settings: CameraSettings) -> None:
        size = np.array([settings.width_px, settings.height_px])
        self._target = size * rng.uniform(0.25, 0.75, 2)
        angle = rng.uniform(0.15, 0.85) * math.pi  # from below, where the person sits
        self._outward = np.array([math.cos(angle), math.sin(angle)])
        self._reach = float(np.hypot(*size))
        self._width = settings.height_px * rng.uniform(0.12, 0.2)
        self._brightness = float(rng.uniform(85, 150))
        self._tremble = rng.uniform(-4, 4, (2, 3))

    def cover(self, light: Grey, share: float) -> None:
        """Darken light in place; share 0..1 is how much of the visit has passed."""
        way = max(0.0, abs(2 * share - 1) - 0.5) * 2  # in for a quarter, rest for a half, out
        tremble = self._tremble @ np.sin(share * np.array([9.0, 23.0, 41.0]))
        fist = self._target + tremble + self._outward * self._reach * way
        elbow = fist + self._outward * self._reach
        mask = np.zeros(light.shape, np.uint8)
        arm = fixed_point(np.array([fist, elbow]))
        cv2.polylines(mask, [arm], False, 255, round(self._width), cv2.LINE_AA, FIXED_POINT_BITS)
        knuckles = fixed_point(fist[None])[0]
        radius = round(self._width * 0.75 * 2**FIXED_POINT_BITS)
        cv2.circle(mask, knuckles.tolist(), radius, 255, -1, cv2.LINE_AA, FIXED_POINT_BITS)
        shadow = cv2.boxFilter(mask, cv2.CV_32F, (41, 41)) * np.float32(0.18 / 255)
        skin = mask * np.float32(1 / 255)
        light *= 1 - shadow
        light += skin * (self._brightness - light)


def add_glare(light: Grey, strength: float, now_s: float) -> None:
    """Add a slowly wandering reflection of `strength` grey levels to light (H, W), in place."""
    rows, columns = light.shape
    centre = (0.6 + 0.2 * math.sin(now_s / 7), 0.4 + 0.15 * math.sin(now_s / 5 + 1))
    x = np.exp(-(((np.arange(columns) / columns - centre[0]) / 0.09) ** 2)).astype(np.float32)
    y = np.exp(-(((np.arange(rows) / rows - centre[1]) / 0.12) ** 2)).astype(np.float32)
    light += np.float32(strength) * y[:, None] * x


def moved_taps(shift: float) -> tuple[int, NDArray[np.float32]]:
    """Whole samples and five taps that together move a row by shift samples; Keys 1981 with a = -1/2."""
    whole = round(shift)
    x = np.abs(np.arange(-2, 3) + shift - whole)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return whole, np.where(x < 1, near, np.where(x < 2, far, 0.0)).astype(np.float32)


@njit(cache=True, fastmath=True)
def expose(  # type: ignore[no-untyped-def]
    scene, whole_y, taps_y, whole_x, taps_x, gain, noise, sigma, starts, image
):
    """Render gain * scene (H, W), moved by whole samples and taps, plus sigma * noise, into image (H, W) uint8.

    Row i gets the noise (N,) from starts[i] on. One pass over the rows, because at this size memory
    is what costs; borders repeat.
    """
    rows, columns = scene.shape
    last = rows - 1
    reach = abs(whole_x) + 2
    line, light = np.empty(columns + 2 * reach, np.float32), np.empty(columns, np.int32)
    a, b, c, d, e = taps_y[0] * gain, taps_y[1] * gain, taps_y[2] * gain, taps_y[3] * gain, taps_y[4] * gain
    p, q, r, s, t = taps_x[0], taps_x[1], taps_x[2], taps_x[3], taps_x[4]
    half, black, white = np.float32(0.5), np.float32(0.0), np.float32(255.0)
    for i in range(rows):
        y = i - whole_y
        row_a, row_b = scene[min(max(y - 2, 0), last)], scene[min(max(y - 1, 0), last)]
        row_c, row_d = scene[min(max(y, 0), last)], scene[min(max(y + 1, 0), last)]
        row_e = scene[min(max(y + 2, 0), last)]
        inner = line[reach : reach + columns]
        for j in range(columns):
            inner[j] = a * row_a[j] + b * row_b[j] + c * row_c[j] + d * row_d[j] + e * row_e[j]
        for j in range(reach):
            line[j], line[reach + columns + j] = line[reach], line[reach + columns - 1]
        moved = line[reach - 2 - whole_x :]
        grain, out = noise[starts[i] : starts[i] + columns], image[i]
        for j in range(columns):
            grey = p * moved[j] + q * moved[j + 1] + r * moved[j + 2] + s * moved[j + 3] + t * moved[j + 4]
            light[j] = np.int32(min(max(grey + sigma * grain[j] + half, black), white))
        for j in range(columns):  # apart, because compilers do not vectorise a step from float to one byte
            out[j] = light[j]
