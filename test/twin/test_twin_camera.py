"""The twin's camera: what it shows, when it delivers, and that each fault does what it says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sketch_cell.twin.camera import Camera, CameraSettings, with_faults

PURE = CameraSettings(noise_sigma=0.0, flicker=0.0, vibration_px=0.0, dropped_fraction=0.0)


def line(start, end, seconds=1.0, begin_s=0.0):
    """A straight stroke (n, 2), one point per millisecond, and its times."""
    times = begin_s + np.arange(round(seconds * 1000)) * 1e-3
    share = np.linspace(0, 1, len(times))[:, None]
    return np.array(start) + share * (np.array(end) - start), times


def darkened(camera, before, time_s):
    return before.astype(float) - camera.image(time_s)


def test_equal_seeds_see_equal_images_and_others_do_not():
    bad = with_faults(PURE)
    one, same, other = (Camera(bad, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.image(0.0), same.image(0.0))
    assert not np.array_equal(one.image(0.1), other.image(0.1))


def test_a_stroke_darkens_where_the_geometry_says_and_nowhere_else():
    camera = Camera(PURE)
    before = camera.image(0.0)
    camera.see(*line([0.04, 0.05], [0.06, 0.05]))
    dark = darkened(camera, before, 2.0)
    rows, columns = np.nonzero(dark > 40)
    ends = camera.pixels_from_screen(np.array([[0.04, 0.05], [0.06, 0.05]]))
    assert columns.min() == pytest.approx(ends[0, 0] - 1.2, abs=1)
    assert columns.max() == pytest.approx(ends[1, 0] + 1.2, abs=1)
    weights = dark[dark > 40]
    assert (rows * weights).sum() / weights.sum() == pytest.approx(ends[:, 1].mean(), abs=0.15)
    far = np.ones(dark.shape, bool)
    far[rows.min() - 4 : rows.max() + 5, columns.min() - 4 : columns.max() + 5] = False
    assert not dark[far].any()


@hypothesis_settings(deadline=None, max_examples=15)
@given(st.floats(0.01, 0.14), st.floats(0.01, 0.1))
def test_pixels_move_right_with_x_and_up_with_y(x, y):
    camera = _shared_camera()
    here, right, up = camera.pixels_from_screen(np.array([[x, y], [x + 0.001, y], [x, y + 0.001]]))
    assert right[0] - here[0] == pytest.approx(3.9, rel=0.15)
    assert here[1] - up[1] == pytest.approx(3.9, rel=0.15)


_CAMERAS = []


def _shared_camera():
    if not _CAMERAS:
        _CAMERAS.append(Camera(PURE))
    return _CAMERAS[0]


def test_a_moving_tip_is_seen_where_it_was_in_the_middle_of_the_exposure():
    settings = dataclasses.replace(PURE, exposure_s=0.04)
    camera = Camera(settings)
    before = camera.image(0.0)
    camera.see(*line([0.04, 0.05], [0.08, 0.05], begin_s=0.1))
    dark = darkened(camera, before, 0.5)
    middle = 0.04 + 0.04 * (0.5 + 0.02 - 0.1)
    row = round(camera.pixels_from_screen(np.array([[middle, 0.05]]))[0, 1])
    profile = dark[row - 1 : row + 2].sum(axis=0)
    half = np.flatnonzero(profile > profile.max() / 2)[-1]
    assert half == pytest.approx(camera.pixels_from_screen(np.array([[middle, 0.05]]))[0, 0] + 1.2, abs=0.9)


def test_frames_come_at_their_rate_late_and_stamped():
    settings = dataclasses.replace(PURE, frame_rate_hz=20.0, latency_s=0.03, stamp_error_s=0.004)
    camera = Camera(settings)
    assert camera.frames(0.0379) == []
    assert [frame.stamp_s for frame in camera.frames(0.0381)] == pytest.approx([0.004])
    later = camera.frames(1.0)
    assert np.diff([frame.stamp_s for frame in later]) == pytest.approx(np.full(len(later) - 1, 0.05))


def test_dropped_frames_are_as_many_as_asked():
    camera = Camera(dataclasses.replace(PURE, dropped_fraction=0.25))
    assert len(camera.frames(10.0)) == pytest.approx(300 * 0.75, abs=30)


def test_sensor_noise_has_its_sigma():
    camera = Camera(dataclasses.replace(PURE, noise_sigma=6.0))
    change = camera.image(0.0).astype(float) - camera.image(0.1)
    assert change[100:300, 100:300].std() / 2**0.5 == pytest.approx(6.0, rel=0.05)


@pytest.mark.parametrize(
    ("fault", "least"),
    [
        ({"flicker": 0.05}, 1.0),
        ({"exposure_step": 0.2, "exposure_step_period_s": 0.1}, 2.0),
        ({"glare": 100.0}, 1.0),
        ({"vibration_px": 1.0}, 0.3),
        ({"hand_period_s": 1.0, "hand_duration_s": 1.0}, 2.0),
    ],
)
def test_each_fault_changes_the_images_once_it_is_switched_on(fault, least):
    camera = Camera(dataclasses.replace(PURE, mains_hz=47.0))
    calm = [camera.image(k / 30) for k in range(4)]
    camera.configure(dataclasses.replace(camera.settings, **fault))
    wild = [camera.image(0.5 + k / 9) for k in range(4)]
    assert np.abs(np.diff(np.array(calm, float), axis=0)).max() <= 1
    change = np.abs(np.array(wild, float) - calm[-1]).mean(axis=(1, 2))
    assert change.max() > least


def test_a_bump_shifts_the_whole_image():
    camera = Camera(PURE)
    before = camera.image(0.0)
    camera.configure(dataclasses.replace(PURE, bump_x_px=5.0, bump_y_px=-3.0))
    after = camera.image(0.1)
    assert np.array_equal(after[20:-20, 20:-20], before[23:-17, 15:-25])


def test_ink_stays_when_the_geometry_changes_and_goes_when_shaken():
    camera = Camera(PURE)
    camera.see(*line([0.04, 0.05], [0.06, 0.05]))
    drawn = camera.image(2.0)
    camera.configure(dataclasses.replace(PURE, roll_rad=0.03))
    x, y = camera.pixels_from_screen(np.array([[0.05, 0.05]]))[0].round().astype(int)
    assert camera.image(2.1)[y, x] < 110
    camera.configure(PURE)
    assert np.abs(camera.image(2.2).astype(float) - drawn).max() <= 1
    camera.shake()
    x, y = camera.pixels_from_screen(np.array([[0.05, 0.05]]))[0].round().astype(int)
    assert camera.image(2.3)[y, x] > 150


def test_the_sharp_drawing_has_the_line_at_its_width_and_place():
    camera = Camera(PURE)
    camera.see(*line([0.04, 0.05], [0.06, 0.05]))
    camera.image(2.0)
    glass = camera.glass(pixels_per_m=10_000)
    assert glass.shape == (1070, 1530)
    dark = glass < 130
    assert dark[:, 500].sum() == pytest.approx(6, abs=1)
    rows, columns = np.nonzero(dark)
    assert rows.mean() == pytest.approx(1070 - 500 - 0.5, abs=0.6)
    assert (columns.min(), columns.max()) == pytest.approx((397, 602), abs=2)


def test_arguments_are_left_alone():
    camera = Camera(PURE)
    xy, times = line([0.04, 0.05], [0.06, 0.05])
    kept = xy.copy(), times.copy()
    camera.see(xy, times)
    camera.frames(0.7)
    assert np.array_equal(xy, kept[0]) and np.array_equal(times, kept[1])
