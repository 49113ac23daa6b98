"""What the tracker says, and what it must be told of the camera and the line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sketch_cell.settings import Settings, setting

Floats = NDArray[np.float64]

METHODS = ("stroke", "absdiff", "three_frame")


@dataclass(frozen=True)
class TrackerSettings(Settings):
    """What the tracker must know of the camera and the line, and when it keeps silent."""

    method: str = setting("stroke", "how the tip is found", choices=METHODS)
    line_width_m: float = setting(0.0006, "width of the drawn line", unit="m", minimum=1e-4, maximum=0.005)
    blur_px: float = setting(
        0.68, "sigma of lens blur and pixel size together", unit="px", minimum=0.3, maximum=5
    )
    ink_darkness: float = setting(
        0.6, "first guess of the light the line takes away", minimum=0.1, maximum=0.95
    )
    backlash_m: float = setting(0.0017, "first guess of the backlash", unit="m", minimum=0.0, maximum=0.01)
    exposure_s: float = setting(0.008, "exposure time of the camera", unit="s", minimum=0.0, maximum=0.2)
    latency_s: float = setting(
        0.0, "image stamp minus start of exposure", unit="s", minimum=-0.5, maximum=0.5
    )
    calibration_frames: int = setting(10, "images averaged for the calibration", minimum=1, maximum=200)
    max_sigma_px: float = setting(
        0.4, "a less certain tip is not reported", unit="px", minimum=0.05, maximum=5
    )
    max_moved_px: float = setting(
        3.0, "a camera moved further is reported", unit="px", minimum=0.5, maximum=8
    )


@dataclass(frozen=True)
class Tip:
    """The tip of the line at stamp_s (the middle of the exposure): xy_m (2,) [m, screen] and its covariance."""

    stamp_s: float
    xy_m: Floats
    covariance_m2: Floats


@dataclass(frozen=True)
class NoTip:
    """No tip in this image, and why."""

    stamp_s: float
    reason: str
