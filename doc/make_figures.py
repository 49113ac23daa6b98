"""Makes the README's pictures from two finished demos: python doc/make_figures.py CLOSED OPEN (see make figures)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np

from sketch_cell.files import write_whole
from sketch_cell.report import Picture, side_by_side

IMAGES = Path(__file__).parent / "images"
ROWS = ("line_m", "commands", "draw_s", "wall_s", "deviation_rms_mm", "deviation_p95_mm", "deviation_max_mm")


def main(closed: Path, opened: Path) -> None:
    """`closed` and `opened` are the output folders of demos of the same photo with the loop closed and open."""
    _write("compare.jpg", _read(closed / "compare.png"), width=1800)
    panels = [
        ("planned", _read(closed / "preview.png")),
        ("drawn with the camera", _read(closed / "drawn.png")),
        ("drawn without", _read(opened / "drawn.png")),
    ]
    _write("loops.jpg", side_by_side(panels), width=1800)
    _write("deviation.jpg", _read(closed / "deviation.png"), width=1000)
    reports = [json.loads((folder / "report.json").read_text()) for folder in (closed, opened)]
    print("| | " + " | ".join(f"`LOOP={report['loop']}`" for report in reports) + " |\n|---|---|---|")
    for row in ROWS:
        print(f"| `{row}` | " + " | ".join(f"{report[row]:g}" for report in reports) + " |")


def _read(path: Path) -> Picture:
    return np.asarray(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), np.uint8)


def _write(name: str, picture: Picture, width: int) -> None:
    height = round(picture.shape[0] * width / picture.shape[1])
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    encoded = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    write_whole(IMAGES / name, encoded.tobytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
