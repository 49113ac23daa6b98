"""The simulated camera's settings, and what it tells of itself."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sketch_cell.settings import Settings, setting

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CameraSettings(Settings):
    """Geometry, timing and faults of the simulated camera; all of it may change at run time."""

    glass_width_m: float = setting(0.153, "width of the glass", unit="m", minimum=0.01, maximum=2.0)
    glass_height_m: float = setting(0.107, "height of the glass", unit="m", minimum=0.01, maximum=2.0)
    line_width_m: float = setting(0.0006, "width of the drawn line", unit="m", minimum=1e-4, maximum=0.005)
    ink_darkness: float = setting(0.65, "light the line takes away, of 1", minimum=0.05, maximum=1.0)
    width_px: int = setting(640, "image width", unit="px", minimum=64, maximum=4096)
    height_px: int = setting(480, "image height", unit="px", minimum=64, maximum=4096)
    pixels_per_m: float = setting(3900.0, "scale at the middle of the glass", unit="px/m", minimum=100.0)
    focal_length_px: float = setting(700.0, "focal length", unit="px", minimum=50.0)
    tilt_x_rad: float = setting(0.05, "tilt about the image's x axis", unit="rad", minimum=-0.5, maximum=0.5)
    tilt_y_rad: float = setting(-0.04, "tilt about the image's y axis", unit="rad", minimum=-0.5, maximum=0.5)
    roll_rad: float = setting(0.01, "turn in the image plane", unit="rad", minimum=-0.5, maximum=0.5)
    lens_k1: float = setting(-0.06, "radial lens distortion, 2nd order", minimum=-0.5, maximum=0.5)
    lens_k2: float = setting(0.01, "radial lens distortion, 4th order", minimum=-0.5, maximum=0.5)
    blur_px: float = setting(0.6, "sigma of the lens blur", unit="px", minimum=0.0, maximum=5.0)
    frame_rate_hz: float = setting(30.0, "images per second", unit="Hz", minimum=1.0, maximum=240.0)
    exposure_s: float = setting(0.008, "exposure time", unit="s", minimum=0.0, maximum=0.1)
    latency_s: float = setting(0.02, "end of exposure to delivery", unit="s", minimum=0.0, maximum=1.0)
    stamp_error_s: float = setting(0.0, "stamp minus start of exposure", unit="s", minimum=-0.5, maximum=0.5)
    dropped_fraction: float = setting(0.01, "share of images lost", minimum=0.0, maximum=1.0)
    noise_sigma: float = setting(4.0, "sensor noise, of 255 grey levels", minimum=0.0, maximum=64.0)
    flicker: float = setting(0.01, "amplitude of the lamps' flicker, of 1", minimum=0.0, maximum=0.5)
    mains_hz: float = setting(50.0, "mains frequency; lamps flicker at twice that", unit="Hz", minimum=1.0)
    exposure_step: float = setting(0.0, "size of automatic exposure's steps, of 1", minimum=0.0, maximum=0.5)
    exposure_step_period_s: float = setting(5.0, "time between such steps", unit="s", minimum=0.05)
    vibration_px: float = setting(0.1, "RMS shift per axis", unit="px", minimum=0.0, maximum=5.0)
    bump_x_px: float = setting(0.0, "shift of a bumped camera", unit="px", minimum=-50.0, maximum=50.0)
    bump_y_px: float = setting(0.0, "shift of a bumped camera", unit="px", minimum=-50.0, maximum=50.0)
    glare: float = setting(0.0, "grey levels a reflection adds", minimum=0.0, maximum=255.0)
    hand_period_s: float = setting(0.0, "from one hand to the next; 0: never", unit="s", minimum=0.0)
    hand_duration_s: float = setting(2.0, "time a hand stays over the glass", unit="s", minimum=0.1)


class CameraInfo(NamedTuple):
    """Image size, camera matrix (3, 3) [px] and plumb-bob lens distortion (k1, k2, p1, p2, k3)."""

    width_px: int
    height_px: int
    matrix: Floats
    distortion: Floats


class Frame(NamedTuple):
    """An image (H, W) as the camera delivers it, stamped at the start of exposure (stamp error included)."""

    stamp_s: float
    image: NDArray[np.uint8]


def with_faults(settings: CameraSettings) -> CameraSettings:
    """The same camera in bad conditions: the third fault set of the benchmarks (see doc/benchmarks/loop.md)."""
    return dataclasses.replace(
        settings, noise_sigma=8.0, flicker=0.02, vibration_px=0.3, dropped_fraction=0.05, hand_period_s=60.0
    )
