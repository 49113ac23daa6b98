"""The library on disk: `chips/*.png` with an alpha channel, and `palette.csv` that a person may edit.

Each row of `palette.csv` owns the chips whose file names begin with its `chips` entry. To rename a colour,
change its name; to merge two, give them one name; to leave one out, delete its row.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.errors import InputError
from sketch_cell.files import write_whole
from sketch_cell.mosaic.library import Colour

COLUMNS = ("name", "L", "a", "b", "count", "chips")
VIEWS = ("top", "side")


def palette_csv(colours: Sequence[Colour]) -> str:
    """The text of `palette.csv`: name, CIELAB, count and file prefix of every colour."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for index, colour in enumerate(colours):
        count = len(colour.top) + len(colour.side)
        writer.writerow([colour.name, *(f"{value:.2f}" for value in colour.lab), count, f"c{index:02d}"])
    return out.getvalue()


def write_library(folder: Path, colours: Sequence[Colour]) -> None:
    """Write chips and palette; chips of an earlier library in the same folder are removed."""
    chips = folder / "chips"
    written = set()
    for index, colour in enumerate(colours):
        for view in VIEWS:
            for number, chip in enumerate(getattr(colour, view)):
                path = chips / f"c{index:02d}_{view}_{number:04d}.png"
                _, data = cv2.imencode(".png", cv2.cvtColor(chip, cv2.COLOR_RGBA2BGRA))
                write_whole(path, data.tobytes())
                written.add(path)
    write_whole(folder / "palette.csv", palette_csv(colours))
    for old in set(chips.glob("c[0-9][0-9]_*.png")) - written:
        old.unlink()


def read_library(folder: Path) -> tuple[Colour, ...]:
    """The colours of a library, rows of one name merged; raises `InputError` where it is empty or broken."""
    palette = folder / "palette.csv"
    try:
        text = palette.read_text(encoding="utf-8-sig")  # as a spreadsheet may save it
    except UnicodeDecodeError as error:
        raise InputError(f"{palette} is not in UTF-8. Save it anew, as CSV in UTF-8.") from error
    except OSError as error:
        raise InputError(
            f"{palette} cannot be read: make a library with `sketch-cell sweets PHOTO --library {folder}`."
        ) from error
    reader = csv.DictReader(io.StringIO(text))
    if not {"name", "chips"} <= set(reader.fieldnames or ()):
        raise InputError(
            f"{palette} lacks the columns name and chips. Bring its first line back, or make the library again."
        )
    found: dict[str, dict[str, list[NDArray[np.uint8]]]] = {}
    for row in reader:
        name, prefix = (row["name"] or "").strip(), (row["chips"] or "").strip()
        if not name or not prefix or not prefix.isalnum():
            raise InputError(
                f"{palette}, line {reader.line_num}: a colour needs a name and the prefix of its chips."
            )
        views = found.setdefault(name, {view: [] for view in VIEWS})
        for view in VIEWS:
            views[view] += [
                _read_chip(path) for path in sorted((folder / "chips").glob(f"{prefix}_{view}_*.png"))
            ]
    colours = tuple(Colour(name, tuple(views["top"]), tuple(views["side"])) for name, views in found.items())
    if not colours or any(not colour.top and not colour.side for colour in colours):
        empty = ", ".join(colour.name for colour in colours if not colour.top and not colour.side)
        raise InputError(
            f"{folder} is an empty library{' for ' + empty if empty else ''}: "
            "make it again with `sketch-cell sweets`, or delete the row of the colour without chips."
        )
    return colours


def _read_chip(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 4:
        raise InputError(f"{path} is no chip: it must be a PNG of 8 bits with an alpha channel.")
    if not image[..., 3].any():
        raise InputError(f"{path} is a chip without a sweet: its alpha channel is empty. Delete it.")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA), np.uint8)
