"""Pixels to metres: the calibration finds the glass, undoes tilt and lens, and refuses what it cannot trust."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sketch_cell.errors import InputError
from sketch_cell.twin.camera import Camera, CameraSettings
from sketch_cell.vision.calibration import Calibration, Lens, read_calibration
from sketch_cell.vision.glass import GlassSettings, calibrate, moved_px
from sketch_cell.vision.steady import Steady

CALM = CameraSettings(noise_sigma=3.0, flicker=0.0, vibration_px=0.0, pixels_per_m=3600.0)
GRID = np.stack(np.meshgrid(np.linspace(0.005, 0.148, 9), np.linspace(0.005, 0.102, 7)), -1).reshape(-1, 2)


def mean_image(camera: Camera, count: int = 6) -> np.ndarray:
    return np.mean([camera.image(k / 30) for k in range(count)], axis=0).round().astype(np.uint8)


def lens_of(camera: Camera) -> Lens:
    return Lens(*camera.camera_info[2:])


@hypothesis_settings(deadline=None, max_examples=8)
@given(
    tilt_x=st.floats(-0.1, 0.1),
    tilt_y=st.floats(-0.1, 0.1),
    roll=st.floats(-0.05, 0.05),
    k1=st.floats(-0.1, 0.1),
)
def test_metres_come_back_within_a_fiftieth_of_a_millimetre_or_so(tilt_x, tilt_y, roll, k1):
    settings = dataclasses.replace(CALM, tilt_x_rad=tilt_x, tilt_y_rad=tilt_y, roll_rad=roll, lens_k1=k1)
    camera = Camera(settings, seed=1)
    calibration = calibrate(mean_image(camera), GlassSettings(), lens_of(camera))
    error_m = calibration.screen_from_pixels(camera.pixels_from_screen(GRID)) - GRID
    assert np.linalg.norm(error_m, axis=1).max() < 4e-5


def calibrated() -> tuple[Camera, Calibration]:
    camera = Camera(CALM, seed=1)
    return camera, calibrate(mean_image(camera), GlassSettings(), lens_of(camera))


def test_both_directions_are_inverse_and_the_jacobian_is_their_slope():
    _, calibration = calibrated()
    pixels = calibration.pixels_from_screen(GRID)
    assert calibration.screen_from_pixels(pixels) == pytest.approx(GRID, abs=1e-8)
    step = np.array([1e-4, -2e-4])
    seen = calibration.pixels_from_screen((GRID[20] + step)[None])[0] - pixels[20]
    assert calibration.pixels_per_m(GRID[20]) @ step == pytest.approx(seen, abs=2e-3)


def test_ink_and_noise_on_the_glass_do_no_harm():
    camera, clean = calibrated()
    rng = np.random.default_rng(0)
    camera.see(rng.uniform([0.01, 0.01], [0.14, 0.1], (400, 2)), np.arange(400) * 1e-3)
    camera.image(1.0)
    inked = calibrate(mean_image(camera), GlassSettings(), lens_of(camera))
    assert moved_px(inked, clean) < 0.1


def test_a_moved_camera_is_noticed_by_how_much():
    camera, before = calibrated()
    camera.configure(dataclasses.replace(CALM, bump_x_px=3.0, bump_y_px=4.0))
    after = calibrate(mean_image(camera), GlassSettings(), lens_of(camera))
    assert moved_px(after, before) == pytest.approx(5.0, abs=0.2)


def test_the_text_holds_everything(tmp_path):
    _, calibration = calibrated()
    path = tmp_path / "camera.json"
    path.write_text(calibration.to_text())
    again = read_calibration(path)
    assert again.pixels_from_screen(GRID) == pytest.approx(calibration.pixels_from_screen(GRID))
    assert again.corners_px == pytest.approx(calibration.corners_px)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"homography": 3}', "not json"])
def test_other_texts_are_refused_in_words(text):
    with pytest.raises(InputError, match="not a camera calibration"):
        Calibration.from_text(text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.json"):
        read_calibration(tmp_path / "none.json")


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_camera_that_is_mounted_turned_gives_the_same_metres(turns):
    camera = Camera(CALM, seed=1)
    image = np.ascontiguousarray(np.rot90(mean_image(camera), turns))
    straight = calibrate(mean_image(camera), GlassSettings())
    turned = calibrate(image, GlassSettings(quarter_turns=turns))
    height, width = mean_image(camera).shape
    place = np.array([[0.03, 0.02]])
    column, row = straight.pixels_from_screen(place)[0]
    for _ in range(turns):  # np.rot90 turns the image counter-clockwise
        column, row, width, height = row, width - 1 - column, height, width
    assert turned.pixels_from_screen(place)[0] == pytest.approx([column, row], abs=0.3)


def covered(image: np.ndarray) -> np.ndarray:
    hand = image.copy()
    cv2.circle(hand, (90, 420), 110, 90, -1)
    return hand


def cut_off(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[:, 60:])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (np.zeros_like, "No bright glass"),
        (covered, "corners|hidden|straight"),
        (cut_off, "border"),
        (lambda image: image[:, :, None].repeat(3, axis=2), "grey image"),
    ],
)
def test_bad_images_are_refused_with_the_reason(spoil, reason):
    camera = Camera(CALM, seed=1)
    with pytest.raises(InputError, match=reason):
        calibrate(spoil(mean_image(camera)), GlassSettings(), lens_of(camera))


def test_a_glass_of_another_shape_is_refused():
    camera = Camera(CALM, seed=1)
    with pytest.raises(InputError, match="160 x 100 mm"):
        calibrate(mean_image(camera), GlassSettings(width_m=0.16, height_m=0.1), lens_of(camera))


def test_a_strong_lens_that_is_not_declared_is_refused():
    camera = Camera(dataclasses.replace(CALM, lens_k1=-0.15), seed=1)
    with pytest.raises(InputError, match="camera_info"):
        calibrate(mean_image(camera), GlassSettings())


def framed(left: int, top: int, shape: tuple[int, int] = (480, 640)) -> np.ndarray:
    """A glass with that much dark frame [px] on both sides, and above and below."""
    image = np.full(shape, 60, np.uint8)
    image[top : shape[0] - top, left : shape[1] - left] = 205
    return cv2.GaussianBlur(image, (0, 0), 0.7)


@pytest.mark.parametrize("moved_by", [(1, 0), (0, 1), (-1, 1)])
@pytest.mark.parametrize("frame", [(10, 40), (40, 10), (10, 10)])
def test_as_near_to_the_border_as_a_glass_may_be_its_shake_is_still_measured(frame, moved_by) -> None:
    image = framed(*frame)
    calibration = calibrate(image, GlassSettings(width_m=(640 - 2 * frame[0]) * 1e-4, height_m=0.04))
    shaken = np.roll(image, moved_by, axis=(1, 0))
    shake = Steady(image.astype(np.float32), calibration, 3.0).measure(shaken)
    assert shake.shift_px == pytest.approx(moved_by, abs=0.05)


@pytest.mark.parametrize("frame", [(9, 40), (40, 9), (6, 6)])
def test_a_glass_nearer_to_the_border_is_refused(frame) -> None:
    with pytest.raises(InputError, match="border"):
        calibrate(framed(*frame), GlassSettings())
