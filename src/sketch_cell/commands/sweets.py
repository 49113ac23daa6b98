"""`sketch-cell sweets PHOTO...`: cut the sweets out of photos into a library of chips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray

from sketch_cell.commands.console import console, progress
from sketch_cell.commands.options import settings_from, settings_options
from sketch_cell.errors import InputError
from sketch_cell.files import check_outputs, write_whole
from sketch_cell.mosaic.sweets_settings import LIBRARY_FILES, SweetsSettings

if TYPE_CHECKING:
    from sketch_cell.mosaic.chips import Chip

A_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("photos", type=A_PATH, nargs=-1, required=True, metavar="PHOTO...")
@click.option(
    "--library", type=A_PATH, default="library", show_default=True, help="Folder for chips and palette."
)
@settings_options(SweetsSettings)
def sweets(photos: tuple[Path, ...], library: Path, **options: Any) -> None:
    """Cut the sweets in every PHOTO out into a library of chips, by colour.

    Lay them on white paper, white ones on a coloured sheet in a photo of its own, away from the edge. Rename or merge
    colours in palette.csv.

    Example: sketch-cell sweets tray1.jpg tray2.jpg --library mine
    """
    settings = settings_from(SweetsSettings, options)
    photos = tuple({photo.resolve(): photo for photo in photos}.values())
    check_outputs([library / name for name in LIBRARY_FILES], photos)
    for photo in photos:
        if photo.resolve().parent == (library / "chips").resolve():
            raise InputError(
                f"{photo} is a chip of {library} itself. Choose another library, or other photos."
            )

    from sketch_cell.mosaic.board_picture import board_picture
    from sketch_cell.mosaic.library_files import write_library
    from sketch_cell.mosaic.naming import group_chips
    from sketch_cell.mosaic.outputs import png

    chips: list[Chip] = []
    origin: list[str] = []
    scales: dict[str, float | None] = {}
    with progress("finding sweets", len(photos)) as advance:
        for photo in photos:
            found, scales[str(photo)] = _chips_of(photo, settings)
            chips += found
            origin += [str(photo)] * len(found)
            advance(1.0)
    colours = group_chips(chips, settings.colours)
    write_library(library, colours)
    write_whole(library / "board.png", png(board_picture(colours)))
    report = _report(chips, origin, [(c.name, c.top + c.side) for c in colours], scales)
    write_whole(library / "report.json", json.dumps(report, indent=2) + "\n")
    for name, count in report["colours"].items():
        console.print(f"{count:5d} {name}")
    console.print(f"{len(chips)} sweets of {len(colours)} colours: {library}")


def _chips_of(photo: Path, settings: SweetsSettings) -> tuple[list[Chip], float | None]:
    """Chips and pixels per metre of one photo; every error names the file."""
    from sketch_cell.mosaic.chips import cut_chips
    from sketch_cell.mosaic.segmentation import find_sweets
    from sketch_cell.picture.read import read_photo

    try:
        pixels = _eight_bit_colour(read_photo(photo.read_bytes()))
        found = find_sweets(pixels, settings)
    except OSError as error:
        raise InputError(f"{photo} cannot be read: {error.strerror}. Name a photo of sweets.") from error
    except InputError as error:
        raise InputError(f"{photo}: {error}") from error
    return cut_chips(pixels, found, settings.sheet), found.pixels_per_m


def _eight_bit_colour(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    eight = (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
    return np.repeat(eight[..., None], 3, axis=2) if eight.ndim == 2 else eight


def _report(
    chips: list[Chip],
    origin: list[str],
    colours: list[tuple[str, tuple[NDArray[np.uint8], ...]]],
    scales: dict[str, float | None],
) -> dict[str, Any]:
    """Counts per photo and colour, and the mean diameter in metres where a marker gave the scale."""
    name_of = {id(rgba): name for name, members in colours for rgba in members}
    photos: dict[str, Any] = {}
    for photo, scale in scales.items():
        own = [chip for chip, source in zip(chips, origin, strict=True) if source == photo]
        names = [name_of[id(chip.rgba)] for chip in own]
        photos[photo] = {
            "count": len(own),
            "colours": {name: names.count(name) for name, _ in colours if name in names},
            "diameter_m": None if scale is None else float(np.mean([chip.width_px for chip in own])) / scale,
        }
    return {
        "count": len(chips),
        "colours": {name: len(members) for name, members in colours},
        "photos": photos,
    }
