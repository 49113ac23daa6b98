"""How far the camera shook: shift and brightness of an image against a reference, from the glass's sides.

Least squares on the brightness along the four sides (Lucas and Kanade 1981), so ink and hands on the
glass itself do not disturb it; pixels that do not fit are left out.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.vision.calibration import Calibration, Floats

# What is nearer to the border may shake out of the image (`_MOST_PX`), and the filter reaches beyond it.
BORDER_PX = 10
_HALF_BAND_PX = 3.0
_SPACING_PX = 5.0
_CLIPPED_SHARE = 0.1
_MOST_PX = 8.0


class Shake(NamedTuple):
    """Image = gain * reference, moved; `seen` is the share of the glass's sides that fits this.

    A point p [px] of the reference is at p + shift_px + linear @ (p - centre_px) in the image: linear (2, 2)
    holds what a turned or tilted camera adds to the shift.
    """

    shift_px: Floats
    linear: Floats
    centre_px: Floats
    gain: float
    seen: float

    def at(self, point_px: Floats) -> Floats:
        """The shift (2,) [px] of a point (2,) of the reference."""
        shift: Floats = self.shift_px + self.linear @ (point_px - self.centre_px)
        return shift

    def most_px(self, points_px: Floats) -> float:
        """The largest shift among points (N, 2) of the reference [px]."""
        shifts = self.shift_px + (points_px - self.centre_px) @ self.linear.T
        return float(np.sqrt((shifts**2).sum(axis=1).max()))


class Steady:
    """Measures the `Shake` of images against a reference image (H, W) float32 with its calibration."""

    def __init__(self, reference: NDArray[np.float32], calibration: Calibration, noise_sigma: float) -> None:
        self._shape = reference.shape
        self._noise_sigma = noise_sigma
        rows, columns = _band(calibration, reference.shape)
        level = reference[rows, columns]
        by_x, by_y = (_change_per_px(reference, *way)[rows, columns] for way in ((1, 0), (0, 1)))
        self._centre_px = np.array([columns.mean(), rows.mean()])
        self._unit_px = float(self._centre_px.max())
        x, y = (columns - self._centre_px[0]) / self._unit_px, (rows - self._centre_px[1]) / self._unit_px
        columns_of = [level, by_x, by_y, by_x * x, by_x * y, by_y * x, by_y * y]
        self._design = np.stack(columns_of, axis=1).astype(np.float32)
        self._inverse = np.linalg.pinv(self._design)
        self._flat = rows * reference.shape[1] + columns
        self._limit = 4 * noise_sigma + _CLIPPED_SHARE * float(level.max())
        self._last = np.zeros(2, int)

    def measure(self, image: NDArray[np.uint8]) -> Shake:
        """The shake of one image; good to hundredths of a pixel within about 8 px of the reference."""
        whole = self._last
        for _ in range(8):
            solution, seen = self._solve(image, whole)
            gain = float(max(solution[0], 1e-3))
            shift = solution[1:3] / gain
            if np.abs(shift).max() <= 0.65 or np.abs(whole + shift).max() > _MOST_PX:
                break
            whole = whole + np.clip(np.round(shift), -1, 1).astype(int)
        else:
            seen = 0.0
        self._last = whole if seen > 0.5 else np.zeros(2, int)
        linear = solution[3:].reshape(2, 2) / gain / self._unit_px
        return Shake(whole + shift, linear, self._centre_px, gain, seen)

    def _solve(self, image: NDArray[np.uint8], whole: NDArray[np.int_]) -> tuple[Floats, float]:
        """Gain, shift and linear part (7,) with the image moved back by whole pixels, and the share that fits."""
        seen = image.ravel()[self._flat + whole[1] * self._shape[1] + whole[0]].astype(np.float32)
        solution, good = self._inverse @ seen, np.array(True)
        for _ in range(3):
            fits = np.abs(seen - self._design @ solution) <= self._limit
            count = np.count_nonzero(fits)
            if count < 200 or count > 0.98 * len(fits) or (fits == good).all():
                break
            kept, good = self._design[fits], fits
            solution = np.linalg.solve(
                kept.T @ kept + 1e-3 * np.eye(7, dtype=np.float32), kept.T @ seen[fits]
            )
        return solution.astype(float), count / len(fits)


def _change_per_px(image: NDArray[np.float32], x: int, y: int) -> NDArray[np.float32]:
    """How the image changes when it moves by one pixel, as the secant over the shakes to be expected."""
    ahead, back = (moved(image, way * x, way * y) for way in (0.3, -0.3))
    change: NDArray[np.float32] = (ahead - back) / np.float32(0.6)
    return change


def moved(image: NDArray[np.float32], x_px: float, y_px: float) -> NDArray[np.float32]:
    """Image (H, W) moved by less than a pixel, by the cubic filter of Keys (1981)."""
    taps_x, taps_y = cubic_taps(x_px), cubic_taps(y_px)
    return cv2.sepFilter2D(  # type: ignore[no-any-return]
        image, cv2.CV_32F, taps_x, taps_y, borderType=cv2.BORDER_REPLICATE
    )


def cubic_taps(shift_px: float) -> NDArray[np.float32]:
    """Weights (5,) of the samples around one, for a shift of up to half a sample; a = -1/2."""
    s = float(shift_px)
    a, b = abs(s), 1.0 - abs(s)
    far = [-0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 for d in (1 + a, 1 + b)]
    near = [1.5 * d**3 - 2.5 * d**2 + 1 for d in (a, b)]
    # In order along the shift: two samples on the side it comes from, the nearest, two beyond (one unused).
    taps = [0.0, far[0], near[0], near[1], far[1]]
    return np.array(taps if s < 0 else taps[::-1], np.float32)


def _band(calibration: Calibration, shape: tuple[int, ...]) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Rows and columns of pixels spread along the sides of the glass, a few pixels to both sides."""
    flat = calibration.lens.flat_from_pixels(calibration.corners_px)
    places = []
    for i in range(4):
        start, end = flat[i], flat[(i + 1) % 4]
        length_px = float(np.linalg.norm(calibration.corners_px[(i + 1) % 4] - calibration.corners_px[i]))
        share = np.arange(0.04, 0.96, _SPACING_PX / length_px)[:, None]
        line = calibration.lens.pixels_from_flat(start + share * (end - start))
        along = np.gradient(line, axis=0)
        normal = np.stack([along[:, 1], -along[:, 0]], axis=1) / np.linalg.norm(along, axis=1)[:, None]
        offsets = np.arange(-_HALF_BAND_PX, _HALF_BAND_PX + 0.5)
        places += [np.round(line + offset * normal).astype(int) for offset in offsets]
    place = np.unique(np.concatenate(places), axis=0)
    inside = ((place >= BORDER_PX) & (place < np.array(shape[::-1]) - BORDER_PX)).all(axis=1)
    return place[inside, 1], place[inside, 0]
