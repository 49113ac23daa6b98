"""Makes the README's pictures from three demos that it runs: python doc/make_figures.py FOLDER (see make figures)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import skimage.data

from sketch_cell.bringup import CellSettings, parameter_file
from sketch_cell.files import write_whole
from sketch_cell.report import Picture, side_by_side

IMAGES = Path(__file__).parent / "images"
ROWS = ("line_m", "commands", "draw_s", "wall_s", "deviation_rms_mm", "deviation_p95_mm", "deviation_max_mm")


FACE = (slice(0, 300), slice(90, 390))
FACE_CELLS = 48


def main(folder: Path) -> None:
    """Draw a face in fine cells, and the demo's own photo with the loop closed and open; show all three."""
    face = _demo(folder / "face", "--params-file", str(_fine(folder)), str(_face(folder)))
    closed, opened = (_demo(folder / loop, "--loop", loop) for loop in ("closed", "open"))
    _write("hero.jpg", np.hstack([_square(_face(folder)), _square(face / "drawn.png")]), width=1600)
    _write("compare.jpg", _read(closed / "compare.png"), width=1800)
    panels = [
        ("planned", _read(closed / "preview.png")),
        ("drawn with the camera", _read(closed / "drawn.png")),
        ("drawn without", _read(opened / "drawn.png")),
    ]
    _write("loops.jpg", side_by_side(panels), width=1800)
    reports = [json.loads((output / "report.json").read_text()) for output in (closed, opened)]
    print("| | " + " | ".join(f"`LOOP={report['loop']}`" for report in reports) + " |\n|---|---|---|")
    for row in ROWS:
        print(f"| `{row}` | " + " | ".join(f"{report[row]:g}" for report in reports) + " |")


def _demo(output: Path, *arguments: str) -> Path:
    """Run one demo; the folder of its results."""
    subprocess.run(
        [sys.executable, "-m", "sketch_cell", "demo", "--output", str(output), *arguments], check=True
    )
    return next(output.iterdir())


def _face(folder: Path) -> Path:
    path = folder / "face.png"
    photo = cv2.cvtColor(skimage.data.astronaut()[FACE], cv2.COLOR_RGB2BGR)
    write_whole(path, cv2.imencode(".png", photo)[1].tobytes())
    return path


def _fine(folder: Path) -> Path:
    """The demo's parameters with finer cells, and a toy with all its backlash that loses no steps."""
    path = folder / "fine.yaml"
    text = parameter_file(CellSettings()).read_text()
    text = text.replace("cells: 40", f"cells: {FACE_CELLS}")
    write_whole(path, text.replace("lost_step_probability: 0.001", "lost_step_probability: 0.0"))
    return path


def _square(path: Path) -> Picture:
    """The middle of a picture, as wide as it is high: a square drawing stands in the middle of the glass."""
    picture = _read(path)
    side, beside = picture.shape[0], (picture.shape[1] - picture.shape[0]) // 2
    square = cv2.resize(picture[:, beside : beside + side], (800, 800), interpolation=cv2.INTER_AREA)
    return np.asarray(square, np.uint8)


def _read(path: Path) -> Picture:
    return np.asarray(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), np.uint8)


def _write(name: str, picture: Picture, width: int) -> None:
    height = round(picture.shape[0] * width / picture.shape[1])
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    encoded = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    write_whole(IMAGES / name, encoded.tobytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
