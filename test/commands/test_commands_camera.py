"""sketch-cell camera calibrate: pictures in, a calibration file out, and refusals in words."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from sketch_cell.commands.camera import camera
from sketch_cell.errors import InputError
from sketch_cell.twin.camera import Camera, CameraSettings
from sketch_cell.vision.calibration import read_calibration

CALM = CameraSettings(lens_k1=0.0, lens_k2=0.0)


def pictures(folder, settings=CALM, count=3):
    eye = Camera(settings, seed=5)
    names = []
    for k in range(count):
        names.append(str(folder / f"{settings.bump_x_px:g}-{k}.png"))
        cv2.imwrite(names[-1], eye.image(k / 30))
    return names, eye


def run(*arguments):
    """What the command printed; its error is raised as the CLI's main would see it."""
    return CliRunner().invoke(camera, ["calibrate", *map(str, arguments)], catch_exceptions=False).output


def test_pictures_become_a_calibration_and_a_picture_of_it(tmp_path):
    names, eye = pictures(tmp_path)
    run(*names, "--output", tmp_path / "camera.json", "--picture", tmp_path / "seen.png")
    calibration = read_calibration(tmp_path / "camera.json")
    places = np.array([[0.02, 0.02], [0.13, 0.09]])
    assert calibration.pixels_from_screen(places) == pytest.approx(eye.pixels_from_screen(places), abs=0.3)
    assert cv2.imread(str(tmp_path / "seen.png")).shape == (480, 640, 3)


def test_a_check_tells_a_camera_that_stands_from_one_that_was_moved(tmp_path):
    output = tmp_path / "camera.json"
    names, _ = pictures(tmp_path)
    run(*names, "--output", output)
    before = output.read_text()
    run(*names, "--output", output, "--check")
    bumped, _ = pictures(tmp_path, dataclasses.replace(CALM, bump_x_px=6.0))
    with pytest.raises(InputError, match=r"moved by 6\.\d px"):
        run(*bumped, "--output", output, "--check")
    assert output.read_text() == before


def test_the_size_of_the_glass_is_an_option_in_millimetres(tmp_path):
    names, _ = pictures(tmp_path)
    run(*names, "--width-mm", 306, "--height-mm", 214, "--output", tmp_path / "double.json")
    run(*names, "--output", tmp_path / "single.json")
    double, single = (read_calibration(tmp_path / f"{name}.json") for name in ("double", "single"))
    place = np.array([[0.05, 0.03]])
    assert double.pixels_from_screen(2 * place) == pytest.approx(single.pixels_from_screen(place), abs=1e-6)


def test_bad_input_is_refused_and_nothing_is_written(tmp_path):
    output = tmp_path / "camera.json"
    text = tmp_path / "text.png"
    text.write_text("no picture")
    black = tmp_path / "black.png"
    cv2.imwrite(str(black), np.zeros((480, 640), np.uint8))
    small = tmp_path / "small.png"
    cv2.imwrite(str(small), np.zeros((100, 100), np.uint8))
    for arguments, reason in (
        ((), "exactly one"),
        ((text,), "cannot be read as a picture"),
        ((black,), "No bright glass"),
        ((black, small), "differ in size"),
        (("--device", tmp_path / "no-camera"), "cannot be opened"),
        ((black, "--lens", tmp_path / "none.json"), r"none\.json"),
    ):
        with pytest.raises(InputError, match=reason):
            run(*arguments, "--output", output)
    assert not output.exists()
