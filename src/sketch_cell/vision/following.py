"""The stroke method: predict the piece of line drawn since the last image, fit it to what darkened, judge the fit."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.vision.background import Background, View, Window
from sketch_cell.vision.calibration import Calibration, Floats
from sketch_cell.vision.commanded import CommandedMotion
from sketch_cell.vision.latency import LatencyEstimate
from sketch_cell.vision.prediction import Gap, Prediction
from sketch_cell.vision.steady import Shake
from sketch_cell.vision.stroke import Bend, Brush, StrokeFit, fit_stroke
from sketch_cell.vision.tip import NoTip, Tip, TrackerSettings

_DOUBT_PX = 1.0  # a tip that is known worse must be found twice before it is believed
_LOOSE_PX = 2.5  # how far a path may bend that the prediction does not explain
# New ink must explain the image so much better than none, and so much per pixel of it; where most of it
# would fall on old ink it cannot.
_LEAST_GAIN, _GAIN_PER_PX = 25.0, 12.0
# Of a find that ends a doubt: a hand's edge once left a speck of 27 beside what had been taken for ink.
_SURE_GAIN = 50.0
# A hand's edge may be taken for ink once and again elsewhere; two finds agree only if the second is a good fit near
# where the first puts it. Of 1900 true tips one was beyond (misfit; bends, with lost steps, reach 4 px).
_MOST_MISFIT, _MOST_BEND_PX = 5.0, 5.0
_FLOOR_PX = 0.13  # what no fit of one image is better than: pixels, lens, calibration


class Look(NamedTuple):
    """The window of an image that was looked at, and the path (N, 2) [px] that was fitted there."""

    window: Window
    path_px: Floats


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
        self.last_look: Look | None = None
        self.latency = LatencyEstimate()
        self._hits = 0  # fits in a row that agree; the first only says where to look
        self._agreeing = 0  # good fits since the tip was last in doubt
        self._misses = 0
        self._tail: deque[Floats] = deque()

    def follow(self, image: NDArray[np.uint8], time_s: float, shake: Shake) -> Tip | NoTip:
        """The tip in one image whose middle of exposure was time_s."""
        if time_s == self._time_s:
            return NoTip(time_s, "this image was seen already")
        self._background.refresh(image, shake)
        if not self._motion.covers(time_s):
            self._time_s = None
            return NoTip(time_s, "no commanded motion is known for this time")
        if self._time_s is None or not self._motion.covers(self._time_s) or self._time_s >= time_s:
            self._start(time_s)
            return NoTip(time_s, "waiting for the next image")
        motor = self._motion.path(self._time_s, time_s)
        self._duration_s, self._time_s = time_s - self._time_s, time_s
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
        fit, frame = self._best_fit(view, frame)
        self.last_look = Look(window, _bent(frame, fit) + window.origin_px)
        return self._judged(time_s, view, motor, prediction, frame, fit)

    def _start(self, time_s: float) -> None:
        self._time_s = time_s
        self._tip = self._motion.path(time_s, time_s)[-1]
        self._sigma_px = np.full(2, 0.6 * self._settings.backlash_m * self._scale)
        self._lose()

    def _lose(self) -> None:
        self._hits = self._agreeing = self._misses = 0
        self._tail.clear()
        self._gap.doubt()

    def _axes(self, prediction: Prediction) -> Bend:
        """The prediction in pixels; a bend of 1 px moves its nodes by about 1 px along a screen axis."""
        path_px = self._calibration.pixels_from_screen(prediction.path_m)
        self._pixels_per_m = self._calibration.pixels_per_m(prediction.path_m[-1])
        axes = self._pixels_per_m / self._scale
        ways = prediction.weights[:, :, None] * np.tile(axes.T, (2, 1))[None]
        return Bend(path_px, ways, np.diag(prediction.sigma_px**-2.0), np.zeros(4))

    def _best_fit(self, view: View, bend: Bend) -> tuple[StrokeFit, Bend]:
        """The fit and what was assumed for it: the prediction, or more freedom where that fails."""
        tail = np.array(self._tail) - view.window.origin_px if self._tail else np.empty((0, 2))
        sigma = np.diag(bend.information) ** -0.5
        fit = self._fit(view, bend, tail)
        surprised = bool((np.abs(fit.bends) > 2.5 * sigma).any())
        if self._hits == 0 or surprised or fit.odd_dark > 2 or fit.misfit > 5 or fit.gain_chi2 < -5:
            loose = bend._replace(information=np.diag(np.maximum(sigma, _LOOSE_PX) ** -2.0))
            starts = [fit.bends, *_other_starts(view, bend, self._brush.darkness)]
            fits = [self._fit(view, loose._replace(start=start), tail) for start in starts]
            return min(fits, key=lambda other: other.cost), loose
        return fit, bend

    def _fit(self, view: View, bend: Bend, tail: Floats) -> StrokeFit:
        return fit_stroke(view.darkening, view.variance, view.old_ink, view.light, bend, tail, self._brush)

    def _judged(
        self, time_s: float, view: View, motor: Floats, prediction: Prediction, bend: Bend, fit: StrokeFit
    ) -> Tip | NoTip:
        ink = fit.new_ink_px
        seen = ink >= 0.5 and fit.gain_chi2 >= max(_LEAST_GAIN, _GAIN_PER_PX * ink)
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
        way_px = float(np.hypot(*np.diff(prediction.path_m, axis=0).T).sum()) * self._scale
        # It would have shown, so the tip has not come along yet.
        if fit.expected_ink_px > max(1.5, 0.3 * way_px):
            self._misses += 1
            self._agreeing = min(self._agreeing, 1)
            self._gap.not_yet(prediction, motor[-1], self._tip)
            if self._misses > 3 or self._hits < 2:
                self._lose()
                self._keep_predicted(prediction)
                self._sigma_px = np.minimum(self._sigma_px + 0.5, 8.0)
            return NoTip(time_s, "no new ink where some was expected")
        self._keep_predicted(prediction)
        if self._sigma_px.max() > _DOUBT_PX:
            self._agreeing = min(self._agreeing, 1)
        return NoTip(time_s, "retracing: no new ink" if way_px > 0.3 else "standing still")

    def _new_ink(
        self, time_s: float, view: View, motor: Floats, prediction: Prediction, bend: Bend, fit: StrokeFit
    ) -> Tip | NoTip:
        path_px = _bent(bend, fit) + view.window.origin_px
        ends = bend.ways_px[-1]
        covariance_px = ends.T @ fit.covariance @ ends * max(1.0, fit.misfit)
        sigma = _largest_sigma(covariance_px)
        tip = self._calibration.screen_from_pixels(path_px[-1:])[0]
        variances = np.diag(fit.covariance)
        if self._hits:
            assumed = np.diag(bend.information) ** -0.5
            self._gap.learn(prediction, motor, tip, fit.bends, np.sqrt(variances), assumed)
        else:
            self._gap.found(motor, tip, sigma)
        self._gap.hold(motor[-1], tip)
        self._hits += 1
        agrees = fit.misfit < _MOST_MISFIT and float(np.abs(fit.bends).max()) < _MOST_BEND_PX
        agrees &= self._agreeing > 1 or fit.gain_chi2 > _SURE_GAIN
        self._agreeing = self._agreeing + 1 if agrees else 1
        self._misses = 0
        self._tip = tip
        self._sigma_px = np.sqrt(variances[:2] + (variances[2:] if self._hits == 1 else 0))
        self._remember(path_px)
        if fit.misfit < 2.5 and fit.new_ink_px > 3:
            self._learn_darkness(fit.darkness)
        if self._agreeing < 2:
            return NoTip(time_s, "found new ink: waiting for more of it")
        if sigma > self._settings.max_sigma_px:
            return NoTip(time_s, f"unsure: the tip is known to {sigma:.1f} px only")
        self._gap.believe()
        self.latency.see(motor, self._duration_s, prediction.pulled, tip)
        metres = np.linalg.inv(self._pixels_per_m)
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


def _largest_sigma(covariance: Floats) -> float:
    """The standard deviation along the longest axis of a covariance (2, 2)."""
    (xx, xy), (_, yy) = covariance.tolist()
    return math.sqrt((xx + yy) / 2 + math.hypot((xx - yy) / 2, xy))


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
        if bend.ways_px[0, 2:].any():  # the whole path may move
            shift = np.linalg.solve(ways[2:].T, centroid - middle)
            starts.append(np.array([0.0, 0.0, *shift]))
        else:
            for target in (centroid, start + 2 * (centroid - start)):
                shift = np.linalg.solve(ways[:2].T, target - end)
                starts.append(np.array([*shift, *shift]))
    return starts
