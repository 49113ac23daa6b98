"""The camera command: calibrate the camera that watches the glass, from pictures or from the camera itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.commands.console import console
from sketch_cell.commands.options import settings_from, settings_options
from sketch_cell.errors import InputError
from sketch_cell.files import check_outputs, whole_file, write_whole
from sketch_cell.vision.calibration import Calibration, Lens, read_calibration
from sketch_cell.vision.capture import Capture, CaptureSettings
from sketch_cell.vision.glass import GlassSettings, moved_px
from sketch_cell.vision.glass import calibrate as calibrate_glass


@click.group()
def camera() -> None:
    """Calibrate the camera that watches the glass."""


@camera.command("calibrate")
@click.argument("pictures", nargs=-1, type=click.Path(path_type=Path))
@click.option("--device", default="", help="camera device to take the pictures from, as /dev/video0")
@click.option("--count", default=10, show_default=True, type=click.IntRange(1, 200), help="pictures to take")
@click.option("--lens", type=click.Path(path_type=Path), help="calibration file whose lens is used")
@click.option("--output", default=Path("camera.json"), show_default=True, type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="compare with OUTPUT instead of writing it")
@click.option("--picture", type=click.Path(path_type=Path), help="also draw what was found, as PNG")
@settings_options(GlassSettings)
def calibrate(
    pictures: tuple[Path, ...],
    device: str,
    count: int,
    lens: Path | None,
    output: Path,
    check: bool,
    picture: Path | None,
    **options: Any,
) -> None:
    """Find the four sides of the glass in PICTURES (or a camera) and write where they are.

    Several pictures of the same scene are averaged. A bad calibration is refused with the reason.

    Example: sketch-cell camera calibrate --device /dev/video0 --picture seen.png
    """
    if bool(pictures) == bool(device):
        raise InputError("Give either picture files or --device: the calibration needs exactly one of them.")
    if picture and picture.suffix.lower() != ".png":
        raise InputError(f"--picture {picture} is no name for PNG. End it in .png.")
    read, written = (output, None) if check else (None, output)
    check_outputs((picture, written), (*pictures, lens, read))
    images = [_read(path) for path in pictures] if pictures else _take(device, count)
    if len({image.shape for image in images}) > 1:
        raise InputError("The pictures differ in size: give pictures of one camera in one mode.")
    mean = np.mean(images, axis=0).round().astype(np.uint8)
    known = read_calibration(lens).lens if lens else None
    found = calibrate_glass(mean, settings_from(GlassSettings, options), known)
    console.print(_summary(found, known))
    if check:
        _check(found, output)
    if picture:
        _draw(mean, found, picture)
    if not check:
        write_whole(output, found.to_text())
        console.print(f"wrote {output}")


def _read(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
    if image is None:
        raise InputError(f"{path} cannot be read as a picture: give a PNG or JPEG file.")
    return np.asarray(image, np.uint8)


def _take(device: str, count: int) -> list[NDArray[np.uint8]]:
    capture = Capture(CaptureSettings(device=device))
    images = []
    try:
        for _ in range(count):
            image, _, problem = capture.read()
            if image is None:
                raise InputError(problem)
            images.append(image)
    finally:
        capture.close()
    return images


def _summary(found: Calibration, lens: Lens | None) -> str:
    middle = found.screen_from_pixels(found.corners_px.mean(axis=0, keepdims=True))[0]
    scale = float(np.sqrt(abs(np.linalg.det(found.pixels_per_m(middle))))) * 1e-3
    rigid = f"{found.reprojection_px:.2f} px as a rigid glass" if lens else "lens not known: shape not judged"
    return f"{scale:.2f} px/mm; sides straight to {found.edge_rms_px:.2f} px; corners: {rigid}"


def _check(found: Calibration, path: Path) -> None:
    distance_px = moved_px(found, read_calibration(path))
    if distance_px > 2.0:
        raise InputError(f"The camera moved by {distance_px:.1f} px since {path} was made: calibrate again.")
    console.print(f"the camera stands as in {path}, to {distance_px:.1f} px")


def _draw(image: NDArray[np.uint8], found: Calibration, path: Path) -> None:
    shown = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    cv2.polylines(
        shown, [(found.corners_px * 16).round().astype(np.int32)], True, (0, 0, 255), 1, cv2.LINE_AA, 4
    )
    with whole_file(path) as temporary:
        if not cv2.imwrite(str(temporary), shown):
            raise InputError(f"{path} cannot be written: choose a name that ends in .png.")
