"""Camera pixels to screen metres and back: the lens, then the homography of the glass."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from sketch_cell.errors import InputError

Floats = NDArray[np.float64]

_STEP_M = 1e-5  # of the central differences
_AROUND_M = _STEP_M * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])


class Lens(NamedTuple):
    """Camera matrix (3, 3) [px] and plumb-bob distortion (k1, k2, p1, p2, k3), as in a camera_info message."""

    matrix: Floats
    distortion: Floats

    @classmethod
    def unknown(cls, width_px: int, height_px: int) -> Lens:
        """A lens without distortion, for a camera that publishes no calibration."""
        focal = float(width_px)
        matrix = np.array([[focal, 0, (width_px - 1) / 2], [0, focal, (height_px - 1) / 2], [0, 0, 1]])
        return cls(matrix, np.zeros(5))

    def flat_from_pixels(self, pixels: Floats) -> Floats:
        """Undistorted image-plane points (N, 2) at distance 1 of pixels (N, 2)."""
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 30, 1e-10)
        points = np.asarray(pixels, float).reshape(-1, 1, 2)
        flat = cv2.undistortPointsIter(points, self.matrix, self.distortion, np.eye(3), np.eye(3), criteria)
        return np.asarray(flat, float).reshape(-1, 2)

    def pixels_from_flat(self, flat: Floats) -> Floats:
        """Pixels (N, 2) of undistorted image-plane points (N, 2); Brown's lens model."""
        return np.asarray(_bent(np.asarray(flat, float), self.matrix, self.distortion))


@dataclass(frozen=True)
class Calibration:
    """Where the glass is in the image, and how well that is known.

    `homography` (3, 3) takes screen points [m] to undistorted image-plane points; `corners_px` (4, 2)
    are the lower left, lower right, upper right and upper left corners of the glass as seen;
    `edge_rms_px` is how far the seen sides are from straight lines, `reprojection_px` how far the
    corners are from those of a rigid glass of the stated size under this lens.
    """

    lens: Lens
    homography: Floats
    width_px: int
    height_px: int
    corners_px: Floats
    edge_rms_px: float
    reprojection_px: float

    def pixels_from_screen(self, xy_m: Floats) -> Floats:
        """Pixels (N, 2), pixel centres at whole numbers, of screen points (N, 2) [m]."""
        return self.lens.pixels_from_flat(_mapped(self.homography, xy_m))

    def screen_from_pixels(self, pixels: Floats) -> Floats:
        """Screen points (N, 2) [m] of pixels (N, 2)."""
        return _mapped(self._back, self.lens.flat_from_pixels(pixels))

    @cached_property
    def _back(self) -> Floats:
        return np.asarray(np.linalg.inv(self.homography), float)

    def pixels_per_m(self, xy_m: Floats) -> Floats:
        """The Jacobian (2, 2) [px/m] of `pixels_from_screen` at one screen point (2,) [m]."""
        p = self.pixels_from_screen(xy_m + _AROUND_M)
        jacobian: Floats = (p[0::2] - p[1::2]).T / (2 * _STEP_M)
        return jacobian

    def to_text(self) -> str:
        """This calibration as JSON text for a file."""
        fields = {
            "image_size_px": [self.width_px, self.height_px],
            "camera_matrix": self.lens.matrix.tolist(),
            "distortion": self.lens.distortion.tolist(),
            "homography": self.homography.tolist(),
            "corners_px": self.corners_px.tolist(),
            "edge_rms_px": self.edge_rms_px,
            "reprojection_px": self.reprojection_px,
        }
        return json.dumps(fields, indent=2) + "\n"

    @classmethod
    def from_text(cls, text: str) -> Calibration:
        """The calibration that `to_text` wrote; `InputError` where the text is something else."""
        try:
            fields = json.loads(text)
            lens = Lens(np.array(fields["camera_matrix"], float), np.array(fields["distortion"], float))
            homography, corners = (np.array(fields[name], float) for name in ("homography", "corners_px"))
            shapes = (lens.matrix.shape, homography.shape, corners.shape)
            if shapes != ((3, 3), (3, 3), (4, 2)) or lens.distortion.size < 5:
                raise ValueError("a matrix has the wrong shape")
            width, height = (int(size) for size in fields["image_size_px"])
            errors = float(fields["edge_rms_px"]), float(fields["reprojection_px"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"This is not a camera calibration ({error}): make one with `sketch-cell camera calibrate`."
            ) from error
        return cls(lens, homography, width, height, corners, *errors)


def _mapped(homography: Floats, points: Floats) -> Floats:
    return np.asarray(_divided(homography, np.asarray(points, float)))


@njit(cache=True)
def _divided(h, points):  # type: ignore[no-untyped-def]
    """Points (N, 2) through a homography (3, 3)."""
    out = np.empty((len(points), 2))
    for i in range(len(points)):
        x, y = points[i, 0], points[i, 1]
        depth = h[2, 0] * x + h[2, 1] * y + h[2, 2]
        out[i, 0] = (h[0, 0] * x + h[0, 1] * y + h[0, 2]) / depth
        out[i, 1] = (h[1, 0] * x + h[1, 1] * y + h[1, 2]) / depth
    return out


@njit(cache=True)
def _bent(flat, m, distortion):  # type: ignore[no-untyped-def]
    """Image-plane points (N, 2) through Brown's lens and the camera matrix m (3, 3)."""
    k1, k2, p1, p2, k3 = distortion[0], distortion[1], distortion[2], distortion[3], distortion[4]
    out = np.empty((len(flat), 2))
    for i in range(len(flat)):
        x, y = flat[i, 0], flat[i, 1]
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        bent_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        out[i, 0] = m[0, 0] * bent_x + m[0, 1] * bent_y + m[0, 2]
        out[i, 1] = m[1, 1] * bent_y + m[1, 2]
    return out


def read_calibration(path: Path) -> Calibration:
    """The calibration in a file; `InputError` where it cannot be read."""
    try:
        return Calibration.from_text(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InputError(
            f"{path} cannot be read ({reason}): calibrate with `sketch-cell camera calibrate`."
        ) from error
