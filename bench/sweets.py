"""Counting sweets: `python bench/sweets.py [--images DIR]`.

Writes doc/benchmarks/sweets.md: exact counts on rendered trays of 3 to 60 sweets, 40 scenes for each gap, and the
time for a photo of 1,000 x 750 pixels. Photos in DIR are counted too, and printed only: they are nobody's to ship.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from sketch_cell.errors import InputError  # noqa: E402
from sketch_cell.files import write_whole  # noqa: E402
from sketch_cell.mosaic.default_library import DEFAULT_COLOURS  # noqa: E402
from sketch_cell.mosaic.segmentation import find_sweets  # noqa: E402
from sketch_cell.mosaic.sweets_settings import SweetsSettings  # noqa: E402
from sketch_cell.mosaic.tray import Tray, render_tray  # noqa: E402
from sketch_cell.picture.read import read_photo  # noqa: E402

REPORT = ROOT / "doc" / "benchmarks" / "sweets.md"
COATS = np.array([coat for name, coat in DEFAULT_COLOURS.items() if name != "white"], np.uint8)
SCENES = 40
GAPS = (0.05, 0.0)
METHODS = {
    "lab (default)": {},
    "hough, radius estimated": {"method": "hough"},
    "threshold, Otsu (the notebook's)": {"method": "threshold"},
}


def scene(number: int, gap: float) -> Tray:
    rng = np.random.default_rng([2017, number])
    return render_tray(COATS, int(rng.integers(3, 61)), rng, gap=gap, radius_px=float(rng.uniform(18, 38)))


def count(photo: np.ndarray, settings: SweetsSettings) -> int:
    try:
        return len(find_sweets(photo, settings).sweets)
    except InputError:
        return 0


def row(title: str, settings: SweetsSettings, scenes: dict[float, list[Tray]]) -> str:
    """Share of exact counts for each gap, mean absolute error, and median CPU time."""
    cells, times_s, errors = [], [], []
    for trays in scenes.values():
        right = 0
        for tray in trays:
            begin_s = time.process_time()
            found = count(tray.photo, settings)
            times_s.append(time.process_time() - begin_s)
            errors.append(abs(found - len(tray.centres_px)))
            right += not errors[-1]
        cells.append(f"{100 * right / len(trays):.0f} %")
    text = f"| {title} | {' | '.join(cells)} | {np.mean(errors):.2f} | {np.median(times_s):.3f} |"
    print(text, flush=True)
    return text


def picture(tray: Tray) -> None:
    """One tray with the outlines that were found."""
    shown = tray.photo.copy()
    for sweet in find_sweets(tray.photo, SweetsSettings()).sweets:
        cv2.polylines(
            shown, [np.round(sweet.outline_px).astype(np.int32)], True, (0, 255, 255), 2, cv2.LINE_AA
        )
    _, data = cv2.imencode(".jpg", shown[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    write_whole(REPORT.parent / "sweets_tray.jpg", data.tobytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, help="folder of photos to count in as well")
    arguments = parser.parse_args()
    scenes = {gap: [scene(number, gap) for number in range(SCENES)] for gap in GAPS}
    heading = (
        "| method | exact, gap 5 % | exact, touching | mean error, sweets | CPU s |\n|---|---|---|---|---|"
    )
    print(heading)
    rows = [row(title, SweetsSettings(**chosen), scenes) for title, chosen in METHODS.items()]
    parts = [
        "# Sweets in photos",
        f"`python bench/sweets.py`: {SCENES} rendered trays of 3 to 60 sweets for each gap, 1,000 x 750 pixels, seven "
        f"colours, shading, gleams, shadows, noise and uneven light; {platform.machine()}, one thread. Goals: exact "
        "count in 95 % with a gap and 85 % touching, 0.15 s.",
        "\n".join([heading, *rows]),
        "![A tray and what was found](sweets_tray.jpg)",
    ]
    picture(scenes[0.0][3])
    write_whole(REPORT, "\n\n".join(parts) + "\n")
    for path in sorted(arguments.images.iterdir()) if arguments.images else []:
        if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"}:
            print(
                path.name,
                {t: count(read_photo(path.read_bytes()), SweetsSettings(**m)) for t, m in METHODS.items()},
            )


if __name__ == "__main__":
    main()
