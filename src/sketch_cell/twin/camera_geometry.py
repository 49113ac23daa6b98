"""From the screen to the pixels of a tilted camera with a lens."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.twin.camera_settings import CameraSettings

Floats = NDArray[np.float64]


class Geometry:
    """Screen metres to image pixels: rigid pose, pinhole, plumb-bob lens (OpenCV's camera model)."""

    def __init__(self, settings: CameraSettings) -> None:
        width, height = settings.width_px, settings.height_px
        focal = settings.focal_length_px
        self.matrix = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
        self.distortion = np.array([settings.lens_k1, settings.lens_k2, 0.0, 0.0, 0.0])
        turn = _rotation(settings.tilt_x_rad, settings.tilt_y_rad, settings.roll_rad)
        # Screen y points up and image y down, so the toy is turned by pi about x before it is tilted.
        self.rotation = turn @ np.diag([1.0, -1.0, -1.0])
        middle = np.array([settings.glass_width_m / 2, settings.glass_height_m / 2, 0.0])
        self.offset = np.array([0.0, 0.0, focal / settings.pixels_per_m]) - self.rotation @ middle

    def pixels(self, xy_m: Floats) -> Floats:
        """Pixels (N, 2), pixel centres at whole numbers, of screen points (N, 2) [m]."""
        seen = xy_m @ self.rotation[:, :2].T + self.offset
        flat = seen[:, :2] / seen[:, 2:]
        r2 = np.sum(flat**2, axis=1, keepdims=True)
        bent: Floats = flat * (1 + r2 * (self.distortion[0] + r2 * self.distortion[1]))
        pixels: Floats = bent * self.matrix[[0, 1], [0, 1]] + self.matrix[:2, 2]
        return pixels


def _rotation(tilt_x_rad: float, tilt_y_rad: float, roll_rad: float) -> Floats:
    turn: Floats = np.eye(3)
    for vector in ([tilt_x_rad, 0, 0], [0, tilt_y_rad, 0], [0, 0, roll_rad]):
        turn = cv2.Rodrigues(np.array(vector, float))[0] @ turn
    return turn
