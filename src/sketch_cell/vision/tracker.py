"""The tip of the line in a camera's images: where it is, how sure that is, or why it cannot be told."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.errors import InputError
from sketch_cell.settings import Settings, setting
from sketch_cell.vision.background import Background, View
from sketch_cell.vision.calibration import Calibration, Floats, Lens
from sketch_cell.vision.commanded import CommandedMotion, dragged
from sketch_cell.vision.differencing import PlainDifference
from sketch_cell.vision.glass import GlassSettings, calibrate, moved_px
from sketch_cell.vision.steady import Shake, Steady
from sketch_cell.vision.stroke import Brush, StrokeFit, fit_stroke

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
        self.last_view: View | None = None
        self._glass, self._lens, self._given = glass or GlassSettings(), lens, calibration
        self._motion = CommandedMotion()
        self._first_images: list[NDArray[np.uint8]] = []
        self._plain = PlainDifference(self.settings.method)

    def note_motion(self, stamp_s: float, position_m: Floats, velocity_m_per_s: Floats) -> None:
        """The motors were commanded to position (2,) [m, screen] with velocity (2,) [m/s] at stamp_s."""
        self._motion.note(stamp_s, position_m, velocity_m_per_s)

    def track(self, image: NDArray[np.uint8], stamp_s: float) -> Tip | NoTip:
        """The tip in a grey image (H, W) whose exposure began at stamp_s (plus the latency setting)."""
        middle_s = stamp_s - self.settings.latency_s + self.settings.exposure_s / 2
        self.last_view = None
        if self.calibration is None:
            return self._calibrate(image, middle_s)
        if image.shape != (self.calibration.height_px, self.calibration.width_px):
            return NoTip(middle_s, f"the image is {image.shape[1]} x {image.shape[0]}, not as calibrated")
        shake = self._steady.measure(image)
        if shake.seen < 0.5:
            return self._lost_sight(image, middle_s)
        self._unseen_images = 0
        if self.settings.method != "stroke":
            return self._track_plain(image, middle_s)
        return self._follower.follow(image, middle_s, shake)

    # Calibration -------------------------------------------------------------------------------------

    def _calibrate(self, image: NDArray[np.uint8], middle_s: float) -> NoTip:
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
        covariance = np.linalg.inv(pixels_per_m.T @ pixels_per_m)
        return Tip(middle_s, xy, covariance)


class Follower:
    """The stroke method: predicts the piece of line drawn since the last image and fits it to the darkening."""

    def __init__(
        self,
        settings: TrackerSettings,
        calibration: Calibration,
        background: Background,
        motion: CommandedMotion,
    ) -> None:
        self._settings, self._calibration = settings, calibration
        self._background, self._motion = background, motion
        middle = calibration.screen_from_pixels(calibration.corners_px.mean(axis=0, keepdims=True))[0]
        self._scale = float(np.sqrt(abs(np.linalg.det(calibration.pixels_per_m(middle)))))
        radius_px = settings.line_width_m / 2 * self._scale
        self._brush = Brush(radius_px, settings.blur_px, settings.ink_darkness, 0.15)
        self._gap = _Gap(settings.backlash_m)
        self._time_s: float | None = None
        self._tip = np.zeros(2)  # m
        self._sigma_px = 0.0
        self._hits = 0  # fits in a row that agree; two make the tip known
        self._misses = 0
        self._tail: deque[Floats] = deque()

    def follow(self, image: NDArray[np.uint8], time_s: float, shake: Shake) -> Tip | NoTip:
        """The tip in one image whose middle of exposure was time_s."""
        self._background.refresh(image, shake)
        if not self._motion.covers(time_s):
            self._time_s = None
            return NoTip(time_s, "no commanded motion is known for this time")
        if self._time_s is None or not self._motion.covers(self._time_s) or self._time_s >= time_s:
            self._start(time_s)
            return NoTip(time_s, "waiting for the next image")
        motor = self._motion.path(self._time_s, time_s)
        self._time_s = time_s
        path = dragged(motor, self._tip, self._gap.low, self._gap.high)
        path = np.vstack([self._tip, path])
        travel = float(np.abs(np.diff(motor, axis=0)).sum()) * self._scale
        return self._fit_and_judge(image, time_s, shake, path, motor[-1], travel)

    def _start(self, time_s: float) -> None:
        self._time_s = time_s
        self._tip = self._motion.path(time_s, time_s)[-1]
        self._sigma_px = 0.6 * self._settings.backlash_m * self._scale
        self._lose()

    def _lose(self) -> None:
        self._hits = 0
        self._tail.clear()

    def _fit_and_judge(
        self,
        image: NDArray[np.uint8],
        time_s: float,
        shake: Shake,
        path: Floats,
        motor: Floats,
        travel_px: float,
    ) -> Tip | NoTip:
        path_px = self._calibration.pixels_from_screen(path)
        known = self._hits >= 2
        sigma_px = self._prior_sigma(path_px, travel_px)
        reach_px = min(3 * sigma_px, 20.0) + 8.0
        window = self._background.window_around(path_px, reach_px)
        if window is None:
            self._predicted(path, sigma_px)
            return NoTip(time_s, "the tip should be off the glass")
        view = self._background.look(image, window, shake, self._brush.darkness)
        fit, path_fit = self._best_fit(view, path_px - window.origin_px, sigma_px, known)
        verdict = self._judge(view, fit, known)
        if verdict == "disturbed":
            self._background.replace(view)
            self._lose()
            self._predicted(path, min(sigma_px + 0.5, 6.0))
            return NoTip(time_s, "something else than ink changed near the tip")
        self._background.absorb(view)
        if verdict == "no ink":
            return self._no_ink(time_s, fit, path, motor, sigma_px)
        return self._new_ink(time_s, view, fit, path_fit, path, motor, sigma_px)

    def _prior_sigma(self, path_px: Floats, travel_px: float) -> float:
        moved = float(np.linalg.norm(np.diff(path_px, axis=0), axis=1).sum())
        return float(np.sqrt(self._sigma_px**2 + (0.15 + 0.3 * moved + 0.1 * travel_px) ** 2))

    def _best_fit(self, view: View, path: Floats, sigma_px: float, known: bool) -> tuple[StrokeFit, Floats]:
        """The best of a few starts; returns the fit and the path (N, 2) it gives, in window pixels."""
        share = _arc_share(path) if known else np.ones(len(path))
        tail = np.array(self._tail)[:, :] - view.window.origin_px if self._tail else np.empty((0, 2))
        fit = self._fit(view, path, share, tail, sigma_px, np.zeros(2))
        if not known or fit.odd_dark > 2:
            wide = max(sigma_px, 3.0) if known else sigma_px
            for start in _other_starts(view, path, share, self._brush.darkness):
                other = self._fit(view, path, share, tail, wide, start)
                if other.cost < fit.cost - 6.0:
                    fit = other
        return fit, path + share[:, None] * fit.shift_px

    def _fit(
        self, view: View, path: Floats, share: Floats, tail: Floats, sigma_px: float, start: Floats
    ) -> StrokeFit:
        information = np.eye(2) / sigma_px**2
        return fit_stroke(
            view.darkening,
            view.variance,
            view.old_ink,
            view.light,
            path,
            share,
            tail,
            self._brush,
            information,
            start,
        )

    def _judge(self, view: View, fit: StrokeFit, known: bool) -> str:
        ink = fit.new_ink_px
        if fit.odd_bright > 4 + 0.1 * ink or fit.odd_dark > 4 + 0.3 * ink:
            return "disturbed"
        if fit.gain_chi2 < 25 or ink < 0.5:
            return "no ink"
        if abs(fit.darkness - self._brush.darkness) > 3 * self._brush.darkness_sigma:
            return "disturbed"
        return "ink"

    def _predicted(self, path: Floats, sigma_px: float) -> None:
        self._tip, self._sigma_px = path[-1], sigma_px

    def _no_ink(self, time_s: float, fit: StrokeFit, path: Floats, motor: Floats, sigma_px: float) -> NoTip:
        if fit.expected_ink_px > 1.5:  # it would have shown, so the tip has not moved: the gap is wider
            self._misses += 1
            self._sigma_px = max(self._sigma_px, 0.2)
            if self._misses > 3 or self._hits < 2:
                self._lose()
                self._predicted(path, min(sigma_px + 1.0, 8.0))
            return NoTip(time_s, "no new ink where some was expected")
        moved = np.linalg.norm(path[-1] - path[0]) * self._scale > 0.3
        self._predicted(path, min(sigma_px, 6.0))
        return NoTip(time_s, "retracing: no new ink" if moved else "standing still")

    def _new_ink(
        self,
        time_s: float,
        view: View,
        fit: StrokeFit,
        path_fit: Floats,
        path: Floats,
        motor: Floats,
        sigma_px: float,
    ) -> Tip | NoTip:
        self._hits += 1
        self._misses = 0
        covariance_px = np.linalg.inv(fit.information + np.eye(2) / sigma_px**2) * max(1.0, fit.misfit)
        sigma = float(np.sqrt(np.linalg.eigvalsh(covariance_px)[-1]))
        path_px = path_fit + view.window.origin_px
        tip = self._calibration.screen_from_pixels(path_px[-1:])[0]
        moved = np.abs(tip - self._tip) if self._hits > 2 else np.abs(path[-1] - path[0])
        self._gap.learn(motor - tip, path[-1] - path[0], moved * self._scale > 0.5)
        self._tip, self._sigma_px = tip, sigma
        self._remember(path_px)
        if fit.misfit < 2.5 and fit.new_ink_px > 3:
            self._learn_darkness(fit.darkness)
        if self._hits < 2:
            return NoTip(time_s, "found new ink: waiting for more of it")
        if sigma > self._settings.max_sigma_px:
            return NoTip(time_s, f"unsure: the tip is known to {sigma:.1f} px only")
        metres = np.linalg.inv(self._calibration.pixels_per_m(tip))
        floor = np.eye(2) * 0.06**2
        return Tip(time_s, tip, metres @ (covariance_px + floor) @ metres.T)

    def _learn_darkness(self, darkness: float) -> None:
        sigma = max(0.04, self._brush.darkness_sigma * 0.9)
        rate = 0.1 if sigma == 0.04 else 0.3
        new = self._brush.darkness + rate * (darkness - self._brush.darkness)
        self._brush = self._brush._replace(darkness=new, darkness_sigma=sigma)

    def _remember(self, path_px: Floats) -> None:
        """Keep the last stretch of the line, as long as a half-wave."""
        for point in path_px:
            if not self._tail or np.abs(point - self._tail[-1]).max() > 0.05:
                self._tail.append(point)
        while len(self._tail) > 24:
            self._tail.popleft()


class _Gap:
    """The range of motor minus tip [m] per axis: learnt at its ends, where the motor drags the tip."""

    def __init__(self, backlash_m: float) -> None:
        self.low, self.high = np.full(2, -backlash_m / 2), np.full(2, backlash_m / 2)

    def learn(self, gap: Floats, predicted: Floats, dragged_axes: NDArray[np.bool_]) -> None:
        """The motor led the tip by gap (2,) after it dragged it the way of predicted (2,)."""
        for axis in np.flatnonzero(dragged_axes):
            ends = (self.high, self.low) if predicted[axis] > 0 else (self.low, self.high)
            change = gap[axis] - ends[0][axis]
            ends[0][axis] += 0.6 * change
            if abs(change) > 0.0003:  # as lost steps do, which move both ends
                ends[1][axis] += 0.6 * change
        self.high = np.maximum(self.high, self.low + 1e-5)


def _arc_share(path: Floats) -> Floats:
    """How far along its length each point of a path (N, 2) is, 0..1."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    if along[-1] < 1e-6:
        return np.linspace(0, 1, len(path))
    share: Floats = along / along[-1]
    return share


def _other_starts(view: View, path: Floats, share: Floats, darkness: float) -> list[Floats]:
    """Shifts that would put the path onto what darkened: first guesses when the prediction is far off."""
    dark = view.darkening > 0.4 * darkness * view.light
    dark &= view.variance < 1e5
    spots, _, stats, centroids = cv2.connectedComponentsWithStats(dark.view(np.uint8), connectivity=8)
    starts = []
    for i in range(1, spots):
        if stats[i, cv2.CC_STAT_AREA] >= 2:
            starts.append((stats[i, cv2.CC_STAT_AREA], centroids[i]))
    starts.sort(key=lambda item: -item[0])
    middle = path.mean(axis=0) if len(path) else np.zeros(2)
    shifts = []
    for _, centroid in starts[:4]:
        if share[0] == 1.0:
            shifts.append(centroid - middle)
        else:
            shifts += [centroid - path[-1], path[0] + 2 * (centroid - path[0]) - path[-1]]
    return shifts


def _noise_sigma(images: NDArray[np.uint8]) -> float:
    """Sensor noise [grey levels] from images (N, H, W) of a still scene, robust to shake and flicker."""
    if len(images) < 2:
        return 4.0
    middle = images[:, 60:-60:3, 60:-60:3].astype(np.float32)
    levels = np.median(middle, axis=(1, 2), keepdims=True)
    change = np.diff(middle / np.maximum(levels, 1) * float(levels.mean()), axis=0)
    return max(0.7, 1.4826 * float(np.median(np.abs(change))) / 2**0.5)
