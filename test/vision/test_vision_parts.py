"""The tracker's parts one by one: shake, commanded motion, the learnt gap, the brush."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sketch_cell.twin.camera import Camera, CameraSettings
from sketch_cell.vision.calibration import Lens
from sketch_cell.vision.commanded import CommandedMotion
from sketch_cell.vision.glass import GlassSettings, calibrate
from sketch_cell.vision.prediction import Gap
from sketch_cell.vision.steady import Steady, moved
from sketch_cell.vision.stroke import Bend, Brush, fit_stroke

CALM = CameraSettings(noise_sigma=4.0, flicker=0.0, vibration_px=0.0)
SCALE = 3900.0


# Shake ---------------------------------------------------------------------------------------------


def steady_camera():
    camera = Camera(CALM, seed=4)
    image = np.mean([camera.image(k / 30) for k in range(8)], axis=0).astype(np.float32)
    calibration = calibrate(image.round().astype(np.uint8), GlassSettings(), Lens(*camera.camera_info[2:]))
    return camera, Steady(image, calibration, 4.0)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.3, -0.4), (2.6, 1.2), (-6.0, 5.3)])
def test_shake_is_measured_to_hundredths_of_a_pixel(shift):
    camera, steady = steady_camera()
    camera.configure(dataclasses.replace(CALM, bump_x_px=shift[0], bump_y_px=shift[1]))
    shake = steady.measure(camera.image(1.0))
    assert shake.shift_px == pytest.approx(shift, abs=0.05)
    assert shake.seen > 0.9


def test_brightness_is_measured_with_a_hand_in_the_picture():
    camera, steady = steady_camera()
    image = camera.image(1.0)
    cv2.rectangle(image, (200, 300), (330, 479), 100, -1)
    darker = (image * 0.8).astype(np.uint8)
    shake = steady.measure(darker)
    assert shake.gain == pytest.approx(0.8, abs=0.01)
    assert shake.shift_px == pytest.approx([0, 0], abs=0.05)


def test_another_scene_is_not_taken_for_the_glass():
    _, steady = steady_camera()
    assert steady.measure(np.full((480, 640), 120, np.uint8)).seen < 0.7


@hypothesis_settings(deadline=None, max_examples=25)
@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_moving_an_image_moves_its_centre_of_gravity(x, y):
    spot = np.zeros((21, 21), np.float32)
    spot[8:13, 8:13] = 1.0
    rows, columns = np.mgrid[:21, :21]
    after = moved(spot, x, y)
    assert (after * columns).sum() / after.sum() - 10 == pytest.approx(x, abs=1e-4)
    assert (after * rows).sum() / after.sum() - 10 == pytest.approx(y, abs=1e-4)


# Commanded motion ----------------------------------------------------------------------------------


def test_a_corner_between_two_samples_stays_sharp():
    motion = CommandedMotion()
    motion.note(0.0, np.array([0.0, 0.0]), np.array([0.03, 0.0]))
    motion.note(0.05, np.array([0.0006, 0.0009]), np.array([0.0, 0.03]))  # turned at 0.02 s
    path = motion.path(0.0, 0.05)
    assert path == pytest.approx(np.array([[0, 0], [0.0006, 0], [0.0006, 0.0009]]), abs=1e-9)
    assert motion.path(0.02, 0.02)[-1] == pytest.approx([0.0006, 0.0])


@hypothesis_settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(-0.04, 0.04), st.floats(-0.04, 0.04)), min_size=2, max_size=12))
def test_the_path_goes_through_every_sample(velocities):
    motion, places = CommandedMotion(), [np.array([0.05, 0.05])]
    for velocity in velocities:
        places.append(places[-1] + np.array(velocity) * 0.02)
    for i, place in enumerate(places):
        velocity = velocities[min(i, len(velocities) - 1)]
        motion.note(i * 0.02, place, np.array(velocity))
    for i, place in enumerate(places):
        assert motion.path(i * 0.02, i * 0.02)[-1] == pytest.approx(place, abs=1e-9)


def test_a_new_origin_makes_the_old_motion_unknown():
    motion = CommandedMotion()
    motion.note(0.0, np.array([0.05, 0.05]), np.zeros(2))
    motion.note(0.1, np.array([0.01, 0.05]), np.zeros(2))
    assert not motion.covers(0.05)
    assert motion.covers(0.1)


def test_motion_is_known_only_where_it_was_told():
    motion = CommandedMotion()
    assert not motion.covers(0.0)
    motion.note(1.0, np.zeros(2), np.array([0.01, 0.0]))
    assert motion.covers(1.1) and not motion.covers(0.9) and not motion.covers(2.0)
    assert motion.path(1.0, 1.1)[-1] == pytest.approx([0.001, 0.0])


def test_a_stand_is_known_only_after_all_of_its_samples():
    motion, place = CommandedMotion(), np.array([0.05, 0.05])
    motion.note(0.0, place, np.array([0.01, 0.0]))
    for tick in range(1, 13):
        assert motion.stands(0.1 * tick - 0.01, 1.0) == (tick == 12)
        motion.note(0.1 * tick, np.array([0.051, 0.05]), np.zeros(2))
    assert motion.stands(1.2, 1.0) and not motion.stands(1.2, 1.15)
    motion.note(1.3, np.array([0.052, 0.05]), np.zeros(2))
    assert not motion.stands(1.3, 1.0)


# The gap -------------------------------------------------------------------------------------------


def test_the_predicted_tip_stands_within_the_gap_and_follows_at_its_end():
    gap = Gap(0.002, SCALE)
    motor = np.array([[0.05, 0.05], [0.053, 0.05]])
    prediction = gap.predict(motor, np.array([0.05, 0.05]), np.full(2, 0.1))
    assert prediction.path_m[0] == pytest.approx([0.05, 0.05])
    assert prediction.path_m[-1] == pytest.approx([0.052, 0.05])
    assert np.all(np.diff(prediction.path_m[:, 0]) >= 0)
    back = gap.predict(motor[::-1] - [0.0, 0.0], prediction.path_m[-1], np.full(2, 0.1))
    assert back.path_m[-1] == pytest.approx([0.051, 0.05])


def test_finds_that_were_not_believed_are_forgotten_in_doubt():
    gap = Gap(0.002, SCALE)
    motor = np.array([[0.05, 0.05], [0.052, 0.052]])
    gap.found(motor, motor[-1] - 0.0008, 0.1)
    gap.believe()
    believed = gap.limits_m()
    gap.found(motor, motor[-1] - 0.014, 0.1)  # a hand's edge
    assert np.abs(np.subtract(gap.limits_m(), believed)).max() > 0.005
    gap.doubt()
    assert np.allclose(gap.limits_m(), believed)
    gap.found(motor, motor[-1] - 0.0008 - 0.00072, 0.1)  # lost steps are still learnt at once
    assert np.abs(gap.limits_m()[1] - 0.00152).max() < 0.0003


@hypothesis_settings(deadline=None, max_examples=20)
@given(true_mm=st.floats(0.9, 2.8), offset_mm=st.floats(-0.7, 0.7))
def test_the_gap_is_learnt_from_a_few_reversals(true_mm, offset_mm):
    gap, half, offset = Gap(0.0017, SCALE), true_mm * 0.5e-3, offset_mm * 1e-3
    tip, motor = np.array([0.05 - offset, 0.05]), np.array([0.05, 0.05])
    for turn in range(60):
        goal = motor + np.array([0.0012 * (1 if turn // 6 % 2 == 0 else -1), 0.0])
        way = np.array([motor, goal])
        prediction = gap.predict(way, tip, np.full(2, 0.1))
        tip = np.array([np.clip(tip[0], goal[0] - offset - half, goal[0] - offset + half), 0.05])
        bends = np.array([(tip[0] - prediction.path_m[-1, 0]) * SCALE, 0.0, 0.0, 0.0])
        if abs(tip[0] - prediction.path_m[0, 0]) * SCALE > 0.3:
            gap.learn(prediction, way, tip, bends, np.full(4, 0.15), np.maximum(prediction.sigma_px, 2.5))
            gap.hold(goal, tip)
        elif abs(bends[0]) > 1.5:
            gap.not_yet(prediction, goal, tip)
        motor = goal
    low, high = gap.limits_m()
    assert high[0] == pytest.approx(offset + half, abs=1.5e-4)
    assert low[0] == pytest.approx(offset - half, abs=1.5e-4)


# The brush -----------------------------------------------------------------------------------------


def ink(*lines_px, size=(40, 48), fine=16, radius_px=1.17):
    """Coverage (rows, columns) 0..1 of a blurred round brush, drawn independently of the fit."""
    canvas = np.zeros((size[0] * fine, size[1] * fine), np.uint8)
    for points_px in lines_px:
        points = (((np.asarray(points_px) + 0.5) * fine - 0.5) * 16).round().astype(np.int32)
        cv2.polylines(canvas, [points], False, 255, round(2 * radius_px * fine - 1.4), cv2.LINE_AA, 4)
    small = cv2.resize(canvas, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return cv2.GaussianBlur(small, (0, 0), 0.6)


def fit(old, both, path, tail=(), sigma_px=2.0, noise=4.0, seed=0):
    """Fit the end of path to the ink that turned `old` into `both`; both axes may bend."""
    rng = np.random.default_rng(seed)
    light, darkness = 190.0, 0.65
    dark = light * darkness * (both - old) + rng.normal(0, noise, old.shape)
    path = np.asarray(path, float)
    ramp = np.linspace(0, 1, len(path))[:, None, None] * np.eye(2)[None]
    bend = Bend(path, ramp, np.eye(2) / sigma_px**2, np.zeros(2))
    brush = Brush(1.17, 0.68, darkness, 0.1)
    variance = np.full(old.shape, noise**2, np.float32)
    tail_px = np.reshape(tail, (-1, 2)).astype(float)
    return fit_stroke(dark.astype(np.float32), variance, old.astype(np.float32), light, bend, tail_px, brush)


START = np.array([14.0, 20.0])
CLEAN = np.zeros((40, 48), np.float32)


@hypothesis_settings(deadline=None, max_examples=30)
@given(x=st.floats(-2.0, 2.0), y=st.floats(-2.0, 2.0), seed=st.integers(0, 99))
def test_the_end_of_a_stroke_is_found_to_a_tenth_of_a_pixel(x, y, seed):
    end = START + np.array([6.0, 2.0])
    truth = end + np.array([x, y])
    found = fit(CLEAN, ink([START, truth]), np.linspace(START, end, 6), seed=seed)
    assert found.bends == pytest.approx([x, y], abs=0.25)
    assert found.gain_chi2 > 100
    error = found.bends - [x, y]
    assert error @ np.linalg.solve(found.covariance + np.eye(2) * 0.1**2, error) < 14


@pytest.mark.parametrize("beside_px", [1.2, 2.0, 3.0])
def test_old_ink_beside_the_stroke_does_not_pull_it(beside_px):
    end = START + np.array([7.0, 0.0])
    old = ink([START + np.array([-6, beside_px]), START + np.array([20, beside_px])])
    both = ink([START + np.array([-6, beside_px]), START + np.array([20, beside_px])], [START, end])
    found = fit(old, both, np.linspace(START, end + np.array([0.8, -0.5]), 6))
    sigma = np.sqrt(found.covariance[1, 1])
    assert abs(found.bends[1] - 0.5) < max(0.25, 2.5 * sigma)
    assert found.bends[0] == pytest.approx(-0.8, abs=0.35)


def test_pixels_shared_with_old_ink_make_the_stroke_less_certain():
    end = START + np.array([7.0, 0.0])
    near = ink([START + np.array([-6, 1.6]), START + np.array([20, 1.6])])
    both = ink([START + np.array([-6, 1.6]), START + np.array([20, 1.6])], [START, end])
    way = np.linspace(START, end, 6)
    alone, shared = fit(CLEAN, ink([START, end]), way), fit(near, both, way)
    assert np.trace(shared.covariance) > 1.5 * np.trace(alone.covariance)


def test_retracing_says_nothing():
    end = START + np.array([7.0, 0.0])
    old = ink([START - np.array([10, 0]), START + np.array([25, 0])])
    found = fit(old, old, np.linspace(START, end, 6), sigma_px=1.0)
    assert found.gain_chi2 < 25
    assert np.sqrt(found.covariance[0, 0]) > 0.3


def test_bright_and_dark_spots_are_counted_as_odd():
    found = fit(CLEAN, CLEAN, np.linspace(START, START + 3.0, 4))
    assert (found.odd_dark, found.odd_bright) == (0, 0)
    shadow = CLEAN.copy()
    shadow[30:36, 30:40] = 1.0
    found = fit(CLEAN, shadow, np.linspace(START, START + 3.0, 4))
    assert found.odd_dark == 60
