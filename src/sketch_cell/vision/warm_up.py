"""Compiles the tracker's kernels before the first real image needs them (numba keeps them on disk after that)."""

from __future__ import annotations

import cv2
import numpy as np

from sketch_cell.vision.tracker import TipTracker

FRAME_PERIOD_S = 0.05
SPEED_M_PER_S = 0.02
PIXELS_PER_M = 3900.0
GLASS_PX = (22, 31, 618, 448)  # left, top, right, bottom of 153 x 107 mm in an image of 640 x 480


def warm_up(frames: int = 24) -> None:
    """Follow a straight line across a rendered glass with a tracker of its own."""
    tracker = TipTracker()
    left, top, right, bottom = GLASS_PX
    image = np.full((480, 640), 60, np.uint8)
    image[top:bottom, left:right] = 205
    noise = np.random.default_rng(0).integers(0, 5, image.shape, dtype=np.uint8)
    y_m = 0.05
    for frame in range(frames):
        stamp_s = frame * FRAME_PERIOD_S
        x_m = 0.05 + SPEED_M_PER_S * stamp_s
        tip_px = (round(left + x_m * PIXELS_PER_M), round(bottom - y_m * PIXELS_PER_M))
        start_px = (round(left + 0.05 * PIXELS_PER_M), tip_px[1])
        # Standstill while the tracker calibrates, then a line.
        if frame > 12:
            cv2.line(image, start_px, tip_px, 75, 2, cv2.LINE_AA)
        tracker.note_motion(stamp_s, np.array([x_m, y_m]), np.array([SPEED_M_PER_S, 0.0]))
        tracker.track(image + noise, stamp_s)
