"""The tracker on short drawings: it follows, it says how sure it is, and it is silent rather than wrong."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from sketch_cell.twin.camera import Camera, CameraSettings
from sketch_cell.vision.calibration import Lens
from sketch_cell.vision.following import Follower
from sketch_cell.vision.tracker import NoTip, Tip, TipTracker, TrackerSettings

TICK_S = 1e-3
STILL_S = 0.6
PIXELS_PER_M = 3900.0
CLEAN = CameraSettings(noise_sigma=3.0, flicker=0.0, vibration_px=0.0, dropped_fraction=0.0)
BACKLASH_M = np.array([0.0016, 0.0019])


def path(corners, speed_m_per_s=0.025):
    """Motor positions (n, 2), one per millisecond, after a moment of rest at the first corner."""
    parts = [np.repeat(np.array(corners[:1], float), round(STILL_S / TICK_S), axis=0)]
    for a, b in pairwise(np.array(corners, float)):
        count = max(1, round(float(np.abs(b - a).max()) / speed_m_per_s / TICK_S))
        parts.append(a + np.arange(1, count + 1)[:, None] / count * (b - a))
    return np.concatenate(parts)


def dragged(motor, backlash_m=BACKLASH_M, lost_m=None):
    """The stylus behind a hard backlash; lost_m (n, 2) is what the motors lost by then."""
    stylus, tip = np.empty_like(motor), motor[0].copy()
    for i, place in enumerate(motor - (0 if lost_m is None else lost_m)):
        tip = np.clip(tip, place - backlash_m / 2, place + backlash_m / 2)
        stylus[i] = tip
    return stylus


def zigzag(count=24):
    """Waves 1.2 mm high with the take-ups that the backlash needs, to the right."""
    x = 0.04 + 0.0009 * np.arange(count)
    y = 0.05 + 0.0006 * (-1.0) ** np.arange(count)
    half = BACKLASH_M / 2
    corners = []
    for i in range(count):
        way = np.array([1.0, 1.0 if i % 2 == 0 else -1.0])  # how the stylus comes to this vertex
        corners += [(x[i], y[i]) + way * half, (x[i], y[i]) + way * [1, -1] * half]
    return path(corners)


def follow(motor, stylus, camera=CLEAN, tracker=None, seed=2, between=None):
    """What the tracker said of each image, and the truth at its stamps (N, 2)."""
    times = np.arange(len(motor)) * TICK_S
    velocity = np.gradient(motor, TICK_S, axis=0)
    eye = Camera(camera, seed)
    tracker = tracker or TipTracker(lens=Lens(*eye.camera_info[2:]))
    said = []
    for first in range(0, len(motor) - 5, 5):
        eye.see(stylus[first : first + 5], times[first : first + 5])
        if first % 20 == 0:
            tracker.note_motion(times[first], motor[first], velocity[first])
        if between:
            between(times[first], eye)
        said += [tracker.track(frame.image, frame.stamp_s) for frame in eye.frames(times[first + 4])]
    truth = np.array([[np.interp(s.stamp_s, times, stylus[:, i]) for i in (0, 1)] for s in said])
    return said, truth


def errors_px(said, truth):
    return np.array(
        [
            np.linalg.norm(s.xy_m - t) * PIXELS_PER_M
            for s, t in zip(said, truth, strict=True)
            if isinstance(s, Tip)
        ]
    )


def inside_two_sigma(said, truth):
    """Share of tips whose error is within the ellipse of 95.4 %."""
    pairs = [(s, s.xy_m - t) for s, t in zip(said, truth, strict=True) if isinstance(s, Tip)]
    return np.mean([e @ np.linalg.solve(s.covariance_m2, e) < 6.18 for s, e in pairs])


ROUGH = dataclasses.replace(CLEAN, noise_sigma=8.0, flicker=0.02, vibration_px=0.25, dropped_fraction=0.05)


@pytest.mark.parametrize(("camera", "median_px", "p95_px"), [(CLEAN, 0.25, 0.6), (ROUGH, 0.25, 1.0)])
def test_waves_are_followed_to_a_fraction_of_a_pixel(camera, median_px, p95_px):
    motor = zigzag()
    said, truth = follow(motor, dragged(motor), camera)
    errors = errors_px(said, truth)
    assert len(errors) > 35
    assert np.median(errors) < median_px
    assert np.percentile(errors, 95) < p95_px
    assert inside_two_sigma(said, truth) > 0.85


@pytest.mark.parametrize("speed_m_per_s", [0.01, 0.05])
def test_the_tip_is_where_it_was_at_its_stamp_at_any_speed(speed_m_per_s):
    motor = path([[0.03, 0.03], [0.07, 0.05]], speed_m_per_s)
    said, truth = follow(motor, dragged(motor))
    errors = errors_px(said, truth)
    assert len(errors) > 12
    assert np.percentile(errors, 90) < 0.6
    along = np.array([1.0, 0.5]) / 1.25**0.5
    lag = [
        (s.xy_m - t) @ along * PIXELS_PER_M for s, t in zip(said, truth, strict=True) if isinstance(s, Tip)
    ]
    assert abs(np.median(lag)) < 0.15


def test_a_stamp_that_is_late_by_a_known_latency_is_put_right():
    motor = path([[0.03, 0.03], [0.07, 0.03]], 0.04)
    late = dataclasses.replace(CLEAN, stamp_error_s=0.03)
    lens = Lens(*Camera(late).camera_info[2:])
    said, truth = follow(motor, dragged(motor), late, TipTracker(TrackerSettings(latency_s=0.03), lens=lens))
    assert np.median(errors_px(said, truth)) < 0.3


@pytest.mark.parametrize("late_s", [0.0, 0.02, -0.015])
def test_an_unknown_latency_is_found_to_three_milliseconds_from_two_speeds(late_s):
    slow, fast = path([[0.03, 0.03], [0.055, 0.05]], 0.012), path([[0.055, 0.05], [0.1, 0.086]], 0.04)
    motor = np.concatenate([slow, fast[round(STILL_S / TICK_S) :]])
    camera = dataclasses.replace(CLEAN, stamp_error_s=late_s)
    tracker = TipTracker(lens=Lens(*Camera(camera).camera_info[2:]))
    follow(motor[: len(slow)], dragged(motor)[: len(slow)], camera, tracker)
    assert tracker.latency.sigma_s > 0.003  # one speed cannot tell latency from backlash
    tracker = TipTracker(lens=Lens(*Camera(camera).camera_info[2:]))
    follow(motor, dragged(motor), camera, tracker)
    assert tracker.latency.sigma_s < 0.002
    assert tracker.latency.seconds == pytest.approx(late_s, abs=0.003)


def test_the_unknown_backlash_at_the_start_is_found():
    motor = path([[0.05, 0.05], [0.07, 0.05], [0.05, 0.052]])
    said, truth = follow(motor, dragged(motor, np.array([0.003, 0.003])))
    errors = errors_px(said, truth)
    assert len(errors) > 20
    assert errors.max() < 1.5


@pytest.mark.parametrize("lost_m", [0.00072, -0.00144])
def test_lost_steps_are_seen_within_a_third_of_a_second(lost_m):
    motor = path([[0.04, 0.05], [0.1, 0.06]])
    slip_s = 1.5
    lost = np.where(np.arange(len(motor))[:, None] * TICK_S > slip_s, [0.0, lost_m], 0.0)
    ramp = np.minimum(1, np.maximum(0, np.arange(len(motor)) * TICK_S - slip_s) / 0.02)[:, None]
    stylus = dragged(motor, lost_m=lost * ramp)
    said, truth = follow(motor, stylus)
    errors = errors_px(said, truth)
    assert errors.max() < 1.5
    after = [s for s in said if isinstance(s, Tip) and slip_s + 0.05 < s.stamp_s < slip_s + 0.3]
    assert len(after) >= 2


def test_a_retrace_makes_no_ink_and_no_claim():
    motor = path([[0.05, 0.05], [0.08, 0.05], [0.05, 0.05]])
    stylus = dragged(motor)
    said, truth = follow(motor, stylus)
    turned_s = STILL_S + 1.2 + 0.1
    back = [s for s in said if s.stamp_s > turned_s]
    assert len(back) > 20
    assert not any(isinstance(s, Tip) for s in back)
    assert errors_px(said, truth).max() < 1.0


def test_the_first_find_after_doubt_is_not_reported():
    motor = path([[0.03, 0.03], [0.08, 0.05]])
    said, _ = follow(motor, dragged(motor))
    first = next(i for i, s in enumerate(said) if isinstance(s, Tip))
    assert "waiting for more" in said[first - 1].reason


def test_a_tip_that_was_only_in_doubt_needs_no_second_find():
    motor = zigzag(36)
    slip_s = STILL_S + 1.5
    lost = np.where(np.arange(len(motor))[:, None] * TICK_S > slip_s, [0.0, -0.00072], 0.0)
    said, truth = follow(motor, dragged(motor, lost_m=lost))
    reasons = [getattr(s, "reason", "") for s in said if s.stamp_s > slip_s]
    assert sum("expected" in reason for reason in reasons) > 2
    assert sum("waiting for more" in reason for reason in reasons) < 2
    assert errors_px(said, truth).max() < 1.5


def test_a_standing_stylus_is_told_as_such():
    motor = np.concatenate([path([[0.05, 0.05], [0.07, 0.05]]), np.repeat([[0.07, 0.05]], 1000, axis=0)])
    said, _ = follow(motor, dragged(motor))
    assert {s.reason for s in said[-20:]} == {"standing still"}


def test_it_rests_a_second_after_the_last_motion_and_no_longer_than_to_the_next():
    eye = Camera(CLEAN, 2)
    tracker = TipTracker(lens=Lens(*eye.camera_info[2:]))
    rested = []
    for frame in range(150):
        stamp_s, moves = frame / 30, frame >= 120
        place = np.array([0.05 + 1e-4 * min(max(frame - 30, 0), 15) + 1e-4 * max(frame - 120, 0), 0.05])
        tracker.note_motion(stamp_s, place, np.array([0.003 * moves, 0.0]))
        eye.see(place[None], np.array([stamp_s]))
        if tracker.rests(stamp_s):
            rested.append(frame)
        else:
            for image in eye.frames(stamp_s + 1):
                tracker.track(image.image, stamp_s)
    assert rested == [30, *range(45 + 30, 120)]


def test_a_hand_makes_silence_and_the_tip_is_found_again():
    motor = path([[0.03, 0.03], [0.12, 0.08]])
    camera = dataclasses.replace(ROUGH, hand_period_s=4.0, hand_duration_s=1.5)
    for seed in (1, 2, 3):
        said, truth = follow(motor, dragged(motor), camera, seed=seed)
        assert errors_px(said, truth).max() < 3.0
        assert sum(isinstance(s, Tip) for s in said[-15:]) > 5


@pytest.mark.parametrize(
    "fault",
    [
        {"exposure_step": 0.2, "exposure_step_period_s": 0.3},
        {"glare": 80.0},
        {"flicker": 0.05},
        {"vibration_px": 0.6},
        {"dropped_fraction": 0.3},
        {"bump_x_px": 1.5, "bump_y_px": -1.2},
    ],
)
def test_faults_that_begin_while_it_tracks_do_no_harm(fault):
    motor = path([[0.03, 0.03], [0.09, 0.06], [0.05, 0.07]])

    def begin(now_s, eye):
        if now_s == pytest.approx(1.5):
            eye.configure(dataclasses.replace(eye.settings, **fault))

    said, truth = follow(motor, dragged(motor), between=begin)
    errors = errors_px(said, truth)
    assert errors.max() < 2.0
    assert np.percentile(errors, 90) < 0.6
    assert len(errors) > 40


def test_a_camera_that_was_moved_is_said_and_calibrated_anew():
    motor = path([[0.03, 0.03], [0.13, 0.05]])

    def bump(now_s, eye):
        if now_s == pytest.approx(1.5):
            eye.configure(dataclasses.replace(eye.settings, roll_rad=0.03))

    said, truth = follow(motor, dragged(motor), between=bump)
    assert any(isinstance(s, NoTip) and "camera moved by" in s.reason for s in said)
    assert errors_px(said, truth).max() < 1.5
    assert sum(isinstance(s, Tip) for s in said[-20:]) > 10


def test_without_motion_or_glass_the_reason_is_said():
    camera = Camera(CLEAN)
    tracker = TipTracker(TrackerSettings(calibration_frames=2))
    blank = np.zeros((480, 640), np.uint8)
    assert "image 1 of 2" in tracker.track(blank, 0.0).reason
    assert "No bright glass" in tracker.track(blank, 0.1).reason
    for k in range(2):
        tracker.track(camera.image(k / 30), k / 30)
    assert "no commanded motion" in tracker.track(camera.image(0.2), 0.2).reason
    assert "not as calibrated" in tracker.track(blank[:100], 0.3).reason


def test_a_given_calibration_that_no_longer_fits_is_refused():
    camera = Camera(CLEAN)
    first = TipTracker(TrackerSettings(calibration_frames=1))
    first.track(camera.image(0.0), 0.0)
    camera.configure(dataclasses.replace(CLEAN, bump_x_px=6.0))
    again = TipTracker(TrackerSettings(calibration_frames=1), calibration=first.calibration)
    assert "moved by 6" in again.track(camera.image(0.1), 0.1).reason


@pytest.mark.parametrize("method", ["absdiff", "three_frame"])
def test_the_plain_methods_find_the_new_ink_too(method):
    motor = path([[0.03, 0.03], [0.07, 0.04]])
    lens = Lens(*Camera(CLEAN).camera_info[2:])
    said, truth = follow(motor, dragged(motor), tracker=TipTracker(TrackerSettings(method=method), lens=lens))
    errors = errors_px(said, truth)
    assert len(errors) > 30
    assert np.median(errors) < 3.0


@pytest.mark.parametrize("spoilt", [{"misfit": 8.0}, {"bends": np.array([10.0, 0.0, 0.0, 0.0])}])
def test_a_find_that_fits_badly_or_far_from_where_it_should_be_is_no_tip(monkeypatch, spoilt):
    spoilt_s, fit_well = set(), Follower._fit

    def fit_badly(self, *arguments):
        """Every sixth image is explained badly, as at the edge of a hand."""
        fit = fit_well(self, *arguments)
        if self._time_s % 0.2 > 0.034:
            return fit
        spoilt_s.add(self._time_s)
        return fit._replace(**spoilt)

    monkeypatch.setattr(Follower, "_fit", fit_badly)
    motor = zigzag()
    said, truth = follow(motor, dragged(motor))
    assert len(spoilt_s) > 8
    assert not [s.stamp_s for s in said if isinstance(s, Tip) and s.stamp_s in spoilt_s]
    assert len(errors_px(said, truth)) > 10
    assert errors_px(said, truth).max() < 5.0


def test_specks_do_not_end_a_doubt(monkeypatch):
    fit_well, doubt_s = Follower._fit, STILL_S + 1.0

    def fit_specks(self, *arguments):
        """At first hardly any ink is seen, as at the edge of a hand."""
        fit = fit_well(self, *arguments)
        return fit._replace(gain_chi2=30.0, new_ink_px=2.0) if self._time_s < doubt_s else fit

    monkeypatch.setattr(Follower, "_fit", fit_specks)
    motor = path([[0.03, 0.03], [0.09, 0.06]])
    said, _ = follow(motor, dragged(motor))
    reasons = [getattr(s, "reason", "") for s in said if s.stamp_s < doubt_s]
    assert sum("waiting for more" in reason for reason in reasons) > 8
    told = [s.stamp_s for s in said if isinstance(s, Tip)]
    assert doubt_s - 0.1 < told[0] < doubt_s + 0.1
    assert len(told) > 20


def test_images_of_another_size_begin_the_calibration_anew():
    tracker = TipTracker(TrackerSettings(calibration_frames=3))
    large, small = np.zeros((48, 64), np.uint8), np.zeros((24, 32), np.uint8)
    reasons = [tracker.track(image, n / 30).reason for n, image in enumerate((large, large, small, small))]
    assert reasons[2:] == ["calibrating: image 1 of 3", "calibrating: image 2 of 3"]


def test_an_image_that_comes_twice_is_told_and_costs_no_tip():
    class Twice(TipTracker):
        """Gets every image twice, as from two publishers of one camera."""

        def track(self, image, stamp_s):
            seen, again = super().track(image, stamp_s), super().track(image, stamp_s)
            reasons.append(getattr(again, "reason", "a tip"))
            return seen

    reasons = []
    motor = zigzag(12)
    said, truth = follow(motor, dragged(motor), tracker=Twice(lens=Lens(*Camera(CLEAN).camera_info[2:])))
    assert {*reasons[10:]} == {"this image was seen already"}
    assert len(errors_px(said, truth)) > 10
