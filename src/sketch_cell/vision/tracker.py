"""The tip of the line in a camera's images: where it is, how sure that is, or why it cannot be told."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sketch_cell.errors import InputError
from sketch_cell.vision.background import Background
from sketch_cell.vision.calibration import Calibration, Floats, Lens
from sketch_cell.vision.commanded import CommandedMotion
from sketch_cell.vision.differencing import PlainDifference
from sketch_cell.vision.following import Follower, Look
from sketch_cell.vision.glass import GlassSettings, calibrate, moved_px
from sketch_cell.vision.latency import LatencyEstimate
from sketch_cell.vision.steady import Steady
from sketch_cell.vision.tip import NoTip as NoTip
from sketch_cell.vision.tip import Tip as Tip
from sketch_cell.vision.tip import TrackerSettings as TrackerSettings

_STILL_S = 1.0
_LEAST_SEEN = 0.7  # of the sides of the glass: less, and the camera stands elsewhere or is blocked


class TipTracker:
    """Follows the newest end of the line through a camera's images.

    `note_motion` tells the commanded (motor side) motion; `track` takes each image. The tracker calibrates
    itself from its first images unless a calibration is given, and says so if the camera was moved since.
    """

    def __init__(
        self,
        settings: TrackerSettings | None = None,
        *,
        glass: GlassSettings | None = None,
        lens: Lens | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        self.settings = settings or TrackerSettings()
        self.calibration: Calibration | None = None
        self._glass, self._lens, self._given = glass or GlassSettings(), lens, calibration
        self._motion = CommandedMotion()
        self._first_images: list[NDArray[np.uint8]] = []
        self._plain = PlainDifference(self.settings.method)

    @property
    def last_look(self) -> Look | None:
        """Where the last image was looked at (stroke method only)."""
        return self._follower.last_look if self.calibration is not None else None

    @property
    def latency(self) -> LatencyEstimate | None:
        """How late the stamps are beyond the setting (stroke method, once calibrated)."""
        return self._follower.latency if self.calibration is not None else None

    def note_motion(self, stamp_s: float, position_m: Floats, velocity_m_per_s: Floats) -> None:
        """The motors were commanded to position (2,) [m, screen] with velocity (2,) [m/s] at stamp_s."""
        self._motion.note(stamp_s, position_m, velocity_m_per_s)

    def rests(self, stamp_s: float) -> bool:
        """Whether nothing has moved for a while before stamp_s: a few looks a second keep up with the light."""
        return self.calibration is not None and self._motion.stands(stamp_s, _STILL_S)

    def track(self, image: NDArray[np.uint8], stamp_s: float) -> Tip | NoTip:
        """The tip in a grey image (H, W) whose exposure began at stamp_s (plus the latency setting)."""
        middle_s = stamp_s - self.settings.latency_s + self.settings.exposure_s / 2
        if self.calibration is None:
            return self._calibrate(image, middle_s)
        if image.shape != (self.calibration.height_px, self.calibration.width_px):
            return NoTip(middle_s, f"the image is {image.shape[1]} x {image.shape[0]}, not as calibrated")
        shake = self._steady.measure(image)
        moved = shake.most_px(self.calibration.corners_px) > self.settings.max_moved_px
        if shake.seen < _LEAST_SEEN or moved:
            return self._lost_sight(image, middle_s)
        self._unseen_images = 0
        if self.settings.method != "stroke":
            return self._track_plain(image, middle_s)
        self._follower.last_look = None
        return self._follower.follow(image, middle_s, shake)

    # Calibration -------------------------------------------------------------------------------------

    def _calibrate(self, image: NDArray[np.uint8], middle_s: float) -> NoTip:
        if self._first_images and self._first_images[0].shape != image.shape:
            self._first_images = []  # another camera, or another mode: begin anew
        self._first_images.append(image)
        count = len(self._first_images)
        if count < self.settings.calibration_frames:
            return NoTip(middle_s, f"calibrating: image {count} of {self.settings.calibration_frames}")
        images, self._first_images = np.stack(self._first_images), []
        mean = images.mean(axis=0, dtype=np.float32)
        try:
            calibration = calibrate(mean.round().astype(np.uint8), self._glass, self._lens)
        except InputError as error:
            return NoTip(middle_s, f"no calibration: {error}")
        if self._given is not None:
            distance_px = moved_px(calibration, self._given)
            if distance_px > self.settings.max_moved_px:
                return NoTip(middle_s, f"the camera moved by {distance_px:.1f} px since it was calibrated")
        self._use(calibration, mean, _noise_sigma(images))
        return NoTip(middle_s, "just calibrated")

    def _use(self, calibration: Calibration, mean: NDArray[np.float32], noise_sigma: float) -> None:
        self.calibration = calibration
        self._steady = Steady(mean, calibration, noise_sigma)
        self._unseen_images = 0
        background = Background(mean, calibration, noise_sigma)
        self._follower = Follower(self.settings, calibration, background, self._motion)

    def _lost_sight(self, image: NDArray[np.uint8], middle_s: float) -> NoTip:
        """The sides of the glass are not where they were: something hides them, or the camera was moved."""
        self._unseen_images += 1
        if self._unseen_images % 10 == 0:
            try:
                now = calibrate(image, self._glass, self._lens)
            except InputError:
                return NoTip(middle_s, "the sides of the glass are hidden")
            assert self.calibration is not None
            distance_px = moved_px(now, self.calibration)
            self.calibration = None
            return NoTip(middle_s, f"the camera moved by {distance_px:.1f} px: calibrating again")
        return NoTip(middle_s, "the sides of the glass are hidden or the camera moved")

    def _track_plain(self, image: NDArray[np.uint8], middle_s: float) -> Tip | NoTip:
        assert self.calibration is not None
        found = self._plain.centroid_px(image)
        if found is None:
            return NoTip(middle_s, "nothing changed")
        xy = self.calibration.screen_from_pixels(found[None])[0]
        pixels_per_m = self.calibration.pixels_per_m(xy)
        covariance = np.asarray(np.linalg.inv(pixels_per_m.T @ pixels_per_m), float)
        return Tip(middle_s, xy, covariance)


def _noise_sigma(images: NDArray[np.uint8]) -> float:
    """Sensor noise [grey levels] from images (N, H, W) of a still scene, robust to shake and flicker."""
    if len(images) < 2:
        return 4.0
    middle = images[:, 60:-60:3, 60:-60:3].astype(np.float32)
    levels = np.median(middle, axis=(1, 2), keepdims=True)
    change = np.diff(middle / np.maximum(levels, 1) * float(levels.mean()), axis=0)
    return max(0.7, 1.4826 * float(np.median(np.abs(change))) / 2**0.5)
