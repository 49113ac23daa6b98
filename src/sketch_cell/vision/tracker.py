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
from sketch_cell.vision.commanded import CommandedMotion
from sketch_cell.vision.differencing import PlainDifference
from sketch_cell.vision.glass import GlassSettings, calibrate, moved_px
from sketch_cell.vision.prediction import Gap, Prediction
from sketch_cell.vision.steady import Shake, Steady
from sketch_cell.vision.stroke import Bend, Brush, StrokeFit, fit_stroke

METHODS = ("stroke", "absdiff", "three_frame")
_LOOSE_PX = 2.5  # how far a path may bend that the prediction does not explain
_FLOOR_PX = 0.1  # what no fit of one image is better than: pixels, lens, calibration


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
        self._gap = Gap(settings.backlash_m, self._scale)
        self._time_s: float | None = None
        self._tip = np.zeros(2)  # m
        self._sigma_px = np.zeros(2)
        self._hits = 0  # fits in a row that agree; the first only says where to look
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
        if self._hits > 0:
            prediction = self._gap.predict(motor, self._tip, self._sigma_px)
        else:
            prediction = self._gap.predict_lost(motor, self._tip, float(self._sigma_px.max()))
        frame = self._axes(prediction)
        window = self._background.window_around(frame.path_px, min(3 * prediction.sigma_px.max(), 20.0) + 8.0)
        if window is None:
            self._keep_predicted(prediction)
            return NoTip(time_s, "the tip should be off the glass")
        view = self._background.look(image, window, shake, self._brush.darkness)
        frame = frame._replace(path_px=frame.path_px - window.origin_px)
        fit = self._best_fit(view, frame)
        self.last_view, self.last_path_px = view, _bent(frame, fit) + window.origin_px
        return self._judged(time_s, view, motor, prediction, frame, fit)

    def _start(self, time_s: float) -> None:
        self._time_s = time_s
        self._tip = self._motion.path(time_s, time_s)[-1]
        self._sigma_px = np.full(2, 0.6 * self._settings.backlash_m * self._scale)
        self._lose()

    def _lose(self) -> None:
        self._hits = 0
        self._misses = 0
        self._tail.clear()
        self._gap.doubt()

    def _axes(self, prediction: Prediction) -> Bend:
        """The prediction in pixels; a bend of 1 px moves its nodes by about 1 px along a screen axis."""
        path_px = self._calibration.pixels_from_screen(prediction.path_m)
        axes = self._calibration.pixels_per_m(prediction.path_m[-1]) / self._scale
        ways = prediction.weights[:, :, None] * np.tile(axes.T, (2, 1))[None]
        return Bend(path_px, ways, np.diag(prediction.sigma_px**-2.0), np.zeros(4))

    def _best_fit(self, view: View, bend: Bend) -> StrokeFit:
        tail = np.array(self._tail) - view.window.origin_px if self._tail else np.empty((0, 2))
        fit = self._fit(view, bend, tail)
        sigma = np.diag(bend.information) ** -0.5
        surprised = bool((np.abs(fit.bends) > 2.5 * sigma).any())
        if self._hits == 0 or surprised or fit.odd_dark > 2 or fit.misfit > 5 or fit.gain_chi2 < -5:
            loose = bend._replace(information=np.diag(np.maximum(sigma, _LOOSE_PX) ** -2.0))
            fit = self._fit(view, loose._replace(start=fit.bends), tail)
            for start in _other_starts(view, bend, self._brush.darkness):
                other = self._fit(view, loose._replace(start=start), tail)
                if other.cost < fit.cost - 2.0:
                    fit = other
        return fit

    def _fit(self, view: View, bend: Bend, tail: Floats) -> StrokeFit:
        return fit_stroke(view.darkening, view.variance, view.old_ink, view.light, bend, tail, self._brush)

    def _judged(
        self, time_s: float, view: View, motor: Floats, prediction: Prediction, bend: Bend, fit: StrokeFit
    ) -> Tip | NoTip:
        ink = fit.new_ink_px
        seen = fit.gain_chi2 >= 25 and ink >= 0.5
        strange = abs(fit.darkness - self._brush.darkness) > 3 * self._brush.darkness_sigma
        odd = fit.odd_bright > 4 + 0.1 * ink or fit.odd_dark > 4 + 0.3 * ink
        if odd or (seen and strange):
            self._background.replace(view)
            self._lose()
            self._keep_predicted(prediction)
            self._sigma_px = np.minimum(np.maximum(self._sigma_px, 1.0) + 0.3, 8.0)
            return NoTip(time_s, "something else than ink changed near the tip")
        self._background.absorb(view)
        if not seen:
            return self._no_ink(time_s, motor, prediction, fit)
        return self._new_ink(time_s, view, motor, prediction, bend, fit)

    def _keep_predicted(self, prediction: Prediction) -> None:
        self._tip = prediction.path_m[-1]
        sigma = prediction.sigma_px
        if self._hits == 0:
            self._sigma_px = np.minimum(np.maximum(sigma[2:], 0.5), 8.0)
        else:
            self._sigma_px = np.minimum(sigma[:2], 8.0)

    def _no_ink(self, time_s: float, motor: Floats, prediction: Prediction, fit: StrokeFit) -> NoTip:
        if fit.expected_ink_px > 1.5:  # it would have shown, so the tip has not come along yet
            self._misses += 1
            self._gap.not_yet(prediction, motor[-1], self._tip)
            if self._misses > 3 or self._hits < 2:
                self._lose()
                self._keep_predicted(prediction)
                self._sigma_px = np.minimum(self._sigma_px + 0.5, 8.0)
            return NoTip(time_s, "no new ink where some was expected")
        moved = np.linalg.norm(prediction.path_m[-1] - prediction.path_m[0]) * self._scale > 0.3
        self._keep_predicted(prediction)
        return NoTip(time_s, "retracing: no new ink" if moved else "standing still")

    def _new_ink(
        self, time_s: float, view: View, motor: Floats, prediction: Prediction, bend: Bend, fit: StrokeFit
    ) -> Tip | NoTip:
        path_px = _bent(bend, fit) + view.window.origin_px
        ends = bend.ways_px[-1]
        covariance_px = ends.T @ fit.covariance @ ends * max(1.0, fit.misfit)
        sigma = float(np.sqrt(np.linalg.eigvalsh(covariance_px)[-1]))
        tip = self._calibration.screen_from_pixels(path_px[-1:])[0]
        if self._hits:
            self._gap.learn(prediction, motor, tip, fit.bends, np.sqrt(np.diag(fit.covariance)))
        else:
            self._gap.found(motor, tip, sigma)
        self._gap.hold(motor[-1], tip)
        self._hits += 1
        self._misses = 0
        self._tip = tip
        self._sigma_px = np.sqrt(
            np.diag(fit.covariance)[:2] + (np.diag(fit.covariance)[2:] if self._hits == 1 else 0)
        )
        self._remember(path_px)
        if fit.misfit < 2.5 and fit.new_ink_px > 3:
            self._learn_darkness(fit.darkness)
        if self._hits < 2:
            return NoTip(time_s, "found new ink: waiting for more of it")
        if sigma > self._settings.max_sigma_px:
            return NoTip(time_s, f"unsure: the tip is known to {sigma:.1f} px only")
        metres = np.linalg.inv(self._calibration.pixels_per_m(tip))
        floor = np.eye(2) * _FLOOR_PX**2
        return Tip(time_s, tip, metres @ (covariance_px + floor) @ metres.T)

    def _learn_darkness(self, darkness: float) -> None:
        sigma = max(0.04, self._brush.darkness_sigma * 0.9)
        rate = 0.1 if sigma == 0.04 else 0.3
        new = self._brush.darkness + rate * (darkness - self._brush.darkness)
        self._brush = self._brush._replace(darkness=new, darkness_sigma=sigma)

    def _remember(self, path_px: Floats) -> None:
        """Keep the last stretch of the line, as long as a half-wave."""
        for point in path_px:
            if not self._tail or np.abs(point - self._tail[-1]).max() > 0.3:
                self._tail.append(point)
        while len(self._tail) > 24:
            self._tail.popleft()


def _bent(bend: Bend, fit: StrokeFit) -> Floats:
    """The fitted path (N, 2) in window pixels."""
    path: Floats = bend.path_px + np.einsum("k,nkc->nc", fit.bends, bend.ways_px)
    return path


def _other_starts(view: View, bend: Bend, darkness: float) -> list[Floats]:
    """Bends that would put the path onto what darkened: first guesses when the prediction is far off."""
    dark = (view.darkening > 0.4 * darkness * view.light) & (view.variance < 1e5)
    count, _, stats, centroids = cv2.connectedComponentsWithStats(dark.view(np.uint8), connectivity=8)
    spots = sorted(range(1, count), key=lambda i: -stats[i, cv2.CC_STAT_AREA])[:4]
    start, end, middle = bend.path_px[0], bend.path_px[-1], bend.path_px.mean(axis=0)
    ways = bend.ways_px[-1]
    back = np.linalg.solve(ways[:2].T, start - end) if abs(np.linalg.det(ways[:2])) > 1e-6 else np.zeros(2)
    starts = [np.array([*back, *back])]
    for centroid in (centroids[i] for i in spots if stats[i, cv2.CC_STAT_AREA] >= 2):
        if bend.ways_px[0].any():  # the whole path may move: by bends 2 and 3
            shift = np.linalg.solve(ways[2:].T, centroid - middle)
            starts.append(np.array([0.0, 0.0, *shift]))
        else:
            for target in (centroid, start + 2 * (centroid - start)):
                shift = np.linalg.solve(ways[:2].T, target - end)
                starts.append(np.array([*shift, *shift]))
    return starts


def _noise_sigma(images: NDArray[np.uint8]) -> float:
    """Sensor noise [grey levels] from images (N, H, W) of a still scene, robust to shake and flicker."""
    if len(images) < 2:
        return 4.0
    middle = images[:, 60:-60:3, 60:-60:3].astype(np.float32)
    levels = np.median(middle, axis=(1, 2), keepdims=True)
    change = np.diff(middle / np.maximum(levels, 1) * float(levels.mean()), axis=0)
    return max(0.7, 1.4826 * float(np.median(np.abs(change))) / 2**0.5)
